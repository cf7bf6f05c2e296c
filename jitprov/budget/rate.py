"""The meter's arithmetic, pure: which slot comes next, and how late a permit may be used. Knows no store, no clock.

The meter remembers one thing: the slots that it gave in the last minute or so (calls that others made with the same
token count as slots too, see budget/lane.py). From them follows `even`, the instant at which a meter that is spent
evenly gives its next slot, and with it the next slot itself:

    even = max over slots s of: s + T * (slots at or after s)
    slot = max(now, even - B * T, end of a pause)

T is the interval of the limit in force when the slot is given, B the burst: slots that may be taken ahead after idling.
While T stays, `even` is kept by `even = max(even, slot) + T` (the textbook's GCRA); when T changes, when others' calls
come to light or a slot is given up, it is made anew from the slots. So it does not matter what was in force before.

Why no window of the API ever holds more than the limit. Write W for the API's minute, L for the limit in force when
the last slot of a window is given, all in real microseconds (API time divided by the time scale).

1.  Let z be that last slot, and s the earliest of the window's other k slots. At or after s were at least k slots, so
    z >= even - B*T >= s + (k - B) * T. The window is then longer than (k - B) * T, whatever rates, pauses and bursts
    were before, and in whatever order slots were given.
2.  A request leaves within G (`good_for`) after its slot: the last look at the clock is the connection's own, when it
    is open and the first byte ready (genesys/punctual.py), so whatever stalls a worker costs a slot, not the promise.
    Between leaving and being counted it takes some constant time, which shifts all of them alike, and up to J
    (`jitter`) more: the kernel's queue, the network, the API's own queue. Requests that arrive within a span W
    therefore have slots within a span W + G + J.
3.  So k + 1 requests in a window need W + G + J >= (k - B) * T. More than L of them (k >= L) cannot be as long as
    W + G + J < (L - B) * T. Slots older than W + G + J play no part and are forgotten (`keep`).

With the setting's limit, T is W / (L * (1 - headroom) - B), rounded up; rate * 60 + burst is then L * (1 - headroom).
With a lower limit in force (the API allows less, or people said so) there is no burst: T is W / (L * (1 - headroom)),
never less than with the setting's. Either way (L - B) * T - W is at least W * headroom / (1 - headroom), the slack:
a third of it becomes G, the rest is kept for J, since G is in our hands and J is not: a small G loses a slot now and
then on a machine that stalls, a small J breaks the promise. At 300 a minute and 2 % headroom: T = 204,082 us,
G = 408 ms, J = 816 ms. A time scale shrinks all three alike: at 60, J is 13.6 ms.

From 1. also: when the limit is lowered, the meter waits until what the last minute held has the room that the new limit
needs (at most `keep`), and the first window with a new slot keeps the new limit. When it is raised, what was waited for
is given back at once. `even` is never later than `keep` (and B * T) after the last slot: by then the window is empty.

Not covered: a burst given anew after a step forward of the store's clock (the even pace is covered, see confirm.lua; a
step back is, see reserve.lua), and calls that others make with the same token until the API's answer tells of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from jitprov.errors import ConfigurationError

MICROSECONDS = 1_000_000
_MINUTE_US = 60 * MICROSECONDS
# One part in so many of the slack is for leaving late.
_LATENESS_PART = 3


def to_us(seconds: float) -> int:
    """Return real seconds as whole microseconds, rounded up."""
    return math.ceil(seconds * MICROSECONDS)


@dataclass(frozen=True, slots=True)
class Pace:
    """How slots follow one another at one limit.

    Attributes:
        interval_us: Between two slots when callers wait.
        burst_us: How far ahead of the even pace slots may be taken after idling; a multiple of the interval.
    """

    interval_us: int
    burst_us: int


@dataclass(frozen=True, slots=True)
class BudgetRate:
    """How fast a meter gives slots. All times are real microseconds.

    Attributes:
        limit_per_min: Requests that the API allows per API minute, as the settings say: never exceeded.
        window_us: The API's minute.
        share: Of a limit, what is spent: 1.0 less the headroom.
        pace: At the setting's limit.
        good_for_us: How long after its slot a request may still leave.
        jitter_us: How much the way to the API may vary without breaking the promise.
    """

    limit_per_min: int
    window_us: int
    share: float
    pace: Pace
    good_for_us: int
    jitter_us: int

    @classmethod
    def of(cls, limit_per_min: int, *, headroom: float, burst: int = 0, time_scale: float = 1.0) -> Self:
        """Return the rate that keeps the promise of this module.

        Args:
            limit_per_min: Requests per API minute that the API allows.
            headroom: Share of the limit left unused, more than 0.0 and less than 1.0.
            burst: Calls that may leave at once after idling, besides the one that is due; 0 or more.
            time_scale: API seconds per real second, at least 1.0.

        Raises:
            ConfigurationError: Limit, headroom and burst leave nothing to give, or nothing to spare.
        """
        share = 1 - headroom
        per_window = limit_per_min * share - burst
        window_us = math.ceil(_MINUTE_US / time_scale)
        interval_us = math.ceil(window_us / per_window) if per_window > 0 else 0
        slack_us = (limit_per_min - burst) * interval_us - window_us - 1
        if slack_us < 0 or burst < 0:
            msg = (
                f"api_burst: {burst} of {limit_per_min} calls with a headroom of {headroom} leave no even rate. "
                "Lower api_burst, or set api_headroom between 0.0034 and 0.9"
            )
            raise ConfigurationError(msg)
        # What a lower limit, without a burst, leaves to spare; permits are good for as long at every limit.
        slack_us = min(slack_us, math.floor(window_us / share) - window_us - 1)
        good_for_us = slack_us // _LATENESS_PART
        pace = Pace(interval_us, burst * interval_us)
        return cls(limit_per_min, window_us, share, pace, good_for_us, slack_us - good_for_us)

    @property
    def keep_us(self) -> int:
        """How long a slot counts: the span of slots whose requests may share a window."""
        return self.window_us + self.good_for_us + self.jitter_us

    def pace_at(self, limit_per_min: int, *, shared: bool = False) -> Pace:
        """Return the pace that keeps a limit: the setting's, or a lower one, which leaves no burst.

        Args:
            limit_per_min: At least 1; more than the setting's counts as the setting's.
            shared: Whether others use the token too. Their calls are known late, and some count as our own
                (budget/lane.py): the headroom is left twice.
        """
        if limit_per_min >= self.limit_per_min and not shared:
            return self.pace
        per_window = min(limit_per_min, self.limit_per_min) * self.share * (self.share if shared else 1.0)
        return Pace(max(self.pace.interval_us, math.ceil(self.window_us / per_window)), 0)

    def even_of(self, slots_us: Iterable[int], pace: Pace) -> int:
        """Return `even` as it follows from the slots of the last `keep_us` and those to come, the earliest first."""
        even_us = last_us = 0
        for last_us in slots_us:
            even_us = max(even_us, last_us) + pace.interval_us
        return min(even_us, last_us + self.keep_us + pace.burst_us + 1)

    def ask_again_us(self, *, wait_us: int, wait_max_us: int) -> int:
        """Return when a caller whose slot was too far away should ask again.

        By then half of what may be reserved ahead is free. Asking as soon as one slot is in reach would have a crowd
        ask for each slot; asking once all are used up would leave the meter idle.
        """
        return wait_us - wait_max_us // 2
