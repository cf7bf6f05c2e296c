"""How many requests one token may make: the window that is enforced, and a sliding window that only watches.

The watching one counts every request received, refused ones too, whatever is enforced. Both cost the same for
each request however many there were. Windows are half open: two requests exactly 60 s apart never share one.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from jitprov.sandbox.options import SandboxOptions

WINDOW_S = 60.0
# Sums of floats differ by less; who waited as long as told is let in all the same.
_ROUNDING_S = 1e-9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the meter said to one request.

    Attributes:
        admitted: Whether the request may go on.
        count: Requests in the window, others' included.
        allowed: Requests the window holds.
        reset_s: Whole seconds, 1 or more, until the window ends (fixed) or its oldest request leaves it (sliding).
        retry_after_s: Whole seconds until a request is admitted again; 0 when this one was.
    """

    admitted: bool
    count: int
    allowed: int
    reset_s: int
    retry_after_s: int = 0

    def headers(self) -> dict[str, str]:
        """Return the headers that every answer to a token carries."""
        return {
            "inin-ratelimit-count": str(self.count),
            "inin-ratelimit-allowed": str(self.allowed),
            "inin-ratelimit-reset": str(self.reset_s),
        }


@dataclass(slots=True)
class Meter:
    """The enforced window of one token."""

    opened_s: float | None = None
    count: int = 0
    admitted_at_s: deque[float] = field(default_factory=deque)

    def take(self, now_s: float, options: SandboxOptions) -> Verdict:
        """Ask for one request at `now_s`; a refused one takes nothing."""
        return self._sliding(now_s, options) if options.window == "sliding" else self._fixed(now_s, options)

    def _fixed(self, now_s: float, options: SandboxOptions) -> Verdict:
        if self.opened_s is None or now_s >= self.opened_s + WINDOW_S - _ROUNDING_S:
            self.opened_s, self.count = now_s, 0
        elapsed_s = now_s - self.opened_s
        by_others = math.ceil(options.background_per_min * elapsed_s / WINDOW_S)
        reset_s = max(1, math.ceil(WINDOW_S - elapsed_s))
        allowed = options.limit_per_min
        if self.count + by_others >= allowed:
            return Verdict(
                admitted=False, count=self.count + by_others, allowed=allowed, reset_s=reset_s, retry_after_s=reset_s
            )
        self.count += 1
        return Verdict(admitted=True, count=self.count + by_others, allowed=allowed, reset_s=reset_s)

    def _sliding(self, now_s: float, options: SandboxOptions) -> Verdict:
        times, allowed, by_others = self.admitted_at_s, options.limit_per_min, options.background_per_min
        while times and times[0] <= now_s - WINDOW_S + _ROUNDING_S:
            times.popleft()
        used = len(times) + by_others
        admitted = used < allowed
        if admitted:
            times.append(now_s)
            used += 1
        reset_s = max(1, math.ceil(times[0] + WINDOW_S - now_s)) if times else math.ceil(WINDOW_S)
        if admitted:
            return Verdict(admitted=True, count=used, allowed=allowed, reset_s=reset_s)
        over = used - allowed
        free_at_s = times[over] + WINDOW_S if over < len(times) else now_s + WINDOW_S
        wait_s = max(1, math.ceil(free_at_s - now_s))
        return Verdict(admitted=False, count=used, allowed=allowed, reset_s=reset_s, retry_after_s=wait_s)


@dataclass(slots=True)
class Watch:
    """The sliding window that sees every request of one token.

    Attributes:
        requests: All received.
        worst_window: Most requests ever seen within 60 s.
        windows_over: Requests on whose arrival the last 60 s held more than the limit.
    """

    requests: int = 0
    worst_window: int = 0
    windows_over: int = 0
    _received_at_s: deque[float] = field(default_factory=deque)

    def see(self, now_s: float, limit: int) -> None:
        """Count one request received at `now_s`."""
        times = self._received_at_s
        while times and times[0] <= now_s - WINDOW_S:
            times.popleft()
        times.append(now_s)
        self.requests += 1
        in_window = len(times)
        self.worst_window = max(self.worst_window, in_window)
        if in_window > limit:
            self.windows_over += 1
