"""Workers that come and go in the middle of a stampede."""

from __future__ import annotations

import pytest

from benchmarks.arena import World
from benchmarks.contenders import jitprov

pytestmark = pytest.mark.integration


def test_a_worker_added_and_one_killed_break_nothing() -> None:
    """One worker joins and one is killed while agents wait: all become ready, none twice, and no window is over."""
    score = jitprov(World(4.0, line_id=True), 45, restless=True, cap_s=100)

    assert not score.capped
    assert (score.ready, score.wrong) == (45, 0)
    assert (score.answers_429, score.windows_over) == (0, 0)
