"""When sign-ins are expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jitprov.alerts.schedule import Schedule

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at_h", "expected"),
    [(7.7, None), (7.75, 0), (8.25, 30), (8.5, None), (24 * 5 + 10, 60), (24 * 6 + 10, None), (24 * 4 + 8, 15)],
)
def test_windows_are_local_and_end_before_their_end(at_h: float, expected: int | None) -> None:
    """A window holds on its days from its begin until before its end, on the clock of its zone."""
    schedule = Schedule.read("Mon-Fri 08:45-09:30, sat 10:00-12:00", "Europe/Berlin")  # an hour before UTC in November

    found = schedule.expected_for(MONDAY + timedelta(hours=at_h))
    assert found == (None if expected is None else timedelta(minutes=expected))


def test_days_go_round_the_week() -> None:
    """Sat-Mon are three days; an empty schedule never expects anybody."""
    schedule = Schedule.read("Sat-Mon 00:00-23:59", "UTC")

    days = [schedule.expected_for(MONDAY + timedelta(days=day)) is not None for day in range(7)]
    assert days == [True, False, False, False, False, True, True]
    assert Schedule.read(" ", "UTC").expected_for(MONDAY) is None


@pytest.mark.parametrize(
    "text", ["always", "Mon 9-10", "Mon-Fri 10:00-09:00", "Day 08:00-09:00", "Mon 08:00-25:00", "Mon 08:00-08:00"]
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    """A day, time or order that is none says what was expected."""
    with pytest.raises(ValueError, match="windows such as"):
        Schedule.read(text, "UTC")


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "../etc/passwd"])
def test_a_zone_must_exist(zone: str) -> None:
    """An unknown zone is refused by name, whatever it looks like."""
    with pytest.raises(ValueError, match="time zone"):
        Schedule.read("", zone)
