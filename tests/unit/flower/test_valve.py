from __future__ import annotations

import pytest

from jitprov.flower.valve import is_rate


@pytest.mark.parametrize("text", ["120/m", "2/s", "1/h", "0.5/s", "300", "0"])
def test_what_a_valve_keeps(text: str) -> None:
    """A rate as Celery writes it is taken, and 0, which lifts the limit."""
    assert is_rate(text)


@pytest.mark.parametrize(
    "text",
    ["", "fast", "120/x", "/m", "NaN", "nan/m", "inf", "1e999", "-1/m", "0.5/h", "1e-300/s", "1/m/m", "1" + "0" * 30],
)
def test_what_no_valve_keeps(text: str) -> None:
    """What Celery cannot read, and what it reads but no bucket can keep, is refused before a worker hears of it."""
    assert not is_rate(text)
