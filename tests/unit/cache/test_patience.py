"""How a caller waits for its turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitprov.cache.patience import pauses, wait_for_turn
from jitprov.errors import DependencyDown


@given(st.floats(0, 600))
def test_pauses_grow_and_last_as_long_as_the_patience(wait_max_s: float) -> None:
    """Together the pauses are the patience; all but the last grow, and none is longer than half a second."""
    all_pauses = list(pauses(wait_max_s))

    assert sum(all_pauses) == pytest.approx(wait_max_s)
    assert all_pauses[:-1] == sorted(all_pauses[:-1])
    assert all(0 < pause_s <= 0.5 for pause_s in all_pauses)
    assert len(all_pauses) <= wait_max_s / 0.5 + 10


def test_without_patience_there_is_one_try() -> None:
    """A caller without patience tries once, does not wait, and is told whose turn it is."""
    tries: list[int] = []

    with pytest.raises(DependencyDown, match=r"^token: "):
        wait_for_turn("token", lambda: bool(tries.append(1)), wait=lambda _: pytest.fail("waited"), wait_max_s=0)

    assert len(tries) == 1
