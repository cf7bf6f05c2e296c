"""The meter's arithmetic, pure: which slot comes next, and how late a permit may be used. Knows no store, no clock.

Both meters give slots by one rule (GCRA). `even` is the instant at which a meter that is spent evenly gives its next
slot; after idling up to `burst` slots may be taken ahead of it:

    slot = max(now, even - burst * T, end of a pause)        even = max(even, slot) + T

Why no window of the API ever holds more than the limit. Write W for the API's minute, L for the limit, B for the
burst, T for the interval, all in real microseconds (API time divided by the time scale).

1.  `even` grows by T or more with each slot, and a slot is never before even - B*T. So n slots in a row span at least
    (n - 1 - B) * T, and n slots fit into a closed span X only if n <= floor(X / T) + 1 + B.
2.  A request leaves within G (`good_for`) after its slot. Between leaving and arriving it takes some constant time,
    which shifts all of them alike, and up to J (`jitter`) more: connection set-up, scheduling, the API's own queue.
    Requests that arrive within a span W therefore have slots within a span W + G + J.
3.  So at most floor((W + G + J) / T) + 1 + B arrive within W, which is at most L as long as W + G + J < (L - B) * T.

T is W / (L * (1 - headroom) - B), rounded up; rate * 60 + burst is then L * (1 - headroom). What is left over,
(L - B) * T - W - 1, is the slack: half of it becomes G, the other half is kept for J. At 300 a minute and 2 %
headroom: T = 204,082 us, G = 612 ms, J = 612 ms. A time scale shrinks all three alike: at 60, J is 10 ms.

Not covered: a step forward of the store's clock (a step back is, see reserve.lua), and calls that others make with
the same token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from jitprov.errors import ConfigurationError

MICROSECONDS = 1_000_000
_MINUTE_US = 60 * MICROSECONDS


def to_us(seconds: float) -> int:
    """Return real seconds as whole microseconds, rounded up."""
    return math.ceil(seconds * MICROSECONDS)


@dataclass(frozen=True, slots=True)
class BudgetRate:
    """How fast a meter gives slots. All times are real microseconds.

    Attributes:
        limit_per_min: Requests that the API allows per API minute.
        window_us: The API's minute.
        interval_us: Between two slots when callers wait.
        burst_us: How far ahead of the even pace slots may be taken after idling; a multiple of the interval.
        good_for_us: How long after its slot a request may still leave.
        jitter_us: How much the way to the API may vary without breaking the promise.
    """

    limit_per_min: int
    window_us: int
    interval_us: int
    burst_us: int
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
        per_window = limit_per_min * (1 - headroom) - burst
        window_us = math.ceil(_MINUTE_US / time_scale)
        interval_us = math.ceil(window_us / per_window) if per_window > 0 else 0
        slack_us = (limit_per_min - burst) * interval_us - window_us - 1
        if slack_us < 0 or burst < 0:
            msg = (
                f"api_burst: {burst} of {limit_per_min} calls with a headroom of {headroom} leave no even rate. "
                "Lower api_burst, or set api_headroom between 0.0034 and 0.9"
            )
            raise ConfigurationError(msg)
        good_for_us = slack_us // 2
        return cls(limit_per_min, window_us, interval_us, burst * interval_us, good_for_us, slack_us - good_for_us)

    def slot_us(self, *, now_us: int, even_us: int, paused_until_us: int = 0) -> int:
        """Return the next slot that a caller would get."""
        return max(now_us, even_us - self.burst_us, paused_until_us)

    def even_after_us(self, *, slot_us: int, even_us: int) -> int:
        """Return the meter's even pace once a slot is given."""
        return max(even_us, slot_us) + self.interval_us

    def ask_again_us(self, *, wait_us: int, wait_max_us: int) -> int:
        """Return when a caller whose slot was too far away should ask again.

        By then half of what may be reserved ahead is free. Asking as soon as one slot is in reach would have a crowd
        ask for each slot; asking once all are used up would leave the meter idle.
        """
        return wait_us - wait_max_us // 2
