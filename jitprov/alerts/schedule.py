"""When sign-ins are expected: `Mon-Fri 08:45-09:30, Sat 10:00-12:00` in a time zone. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d\d:\d\d)-(\d\d:\d\d)")
_FORM = "windows such as `Mon-Fri 08:45-09:30, Sat 10:00-12:00`, each within one day"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of some days.

    Attributes:
        days: 0 is Monday.
        begins: Local time.
        ends: Later on the same day.
    """

    days: frozenset[int]
    begins: time
    ends: time


@dataclass(frozen=True, slots=True)
class Schedule:
    """Windows in which sign-ins are expected.

    Attributes:
        windows: Any number; none: they never are.
        zone: Whose clock they mean.
    """

    windows: tuple[Window, ...]
    zone: ZoneInfo

    @classmethod
    def read(cls, text: str, zone: str) -> Schedule:
        """Return a schedule from its settings.

        Raises:
            ValueError: Says what was expected.
        """
        try:
            place = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no time zone of that name; one such as Europe/Berlin") from None
        return cls(tuple(_window(each) for each in text.split(",") if each.strip()), place)

    def expected_for(self, now: datetime) -> timedelta | None:
        """Return for how long sign-ins have been expected; None when they are not expected now.

        Args:
            now: Aware.
        """
        local = now.astimezone(self.zone)
        for window in self.windows:
            if local.weekday() in window.days and window.begins <= local.time() < window.ends:
                begun = datetime.combine(local.date(), window.begins, self.zone)
                return now - begun
        return None


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(" ".join(text.lower().split()))
    if not found or found[1] not in _DAYS or (found[2] or found[1]) not in _DAYS:
        raise ValueError(_FORM)
    first, last = _DAYS.index(found[1]), _DAYS.index(found[2] or found[1])
    days = frozenset((first + number) % 7 for number in range((last - first) % 7 + 1))
    try:
        begins, ends = time.fromisoformat(found[3]), time.fromisoformat(found[4])
    except ValueError:
        raise ValueError(_FORM) from None
    if begins >= ends:
        raise ValueError(_FORM)
    return Window(days, begins, ends)
