"""What a provisioning costs in Redis: counted, and held."""

from __future__ import annotations

import pytest

from benchmarks.lean import measure

pytestmark = pytest.mark.integration


def test_a_step_costs_few_round_trips_and_an_agent_few_bytes() -> None:
    """A step asks Redis at most three and a half times on average, and an agent leaves at most 8 KB there."""
    figures = measure(60)

    assert figures["redis_round_trips_per_step"] <= 3.5
    assert figures["redis_bytes_per_provisioning"] <= 8000
