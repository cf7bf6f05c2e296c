"""The room that this folder's tests enter."""

from __future__ import annotations

import pytest

from desk_room import Room
from fixed_clock import FixedClock
from jitprov.ledger.memory_overview import MemoryOverview


@pytest.fixture
def room(clock: FixedClock) -> Room:
    return Room(clock, MemoryOverview(clock.now))
