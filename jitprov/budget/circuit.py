"""The circuit breaker, pure: an API that is down is left alone by everyone, and asked by one now and then.

outcome.lua is the same in Redis. Closed: failures in a row are counted, of all workers together. Enough of them, or one
that no repetition mends (a refused OAuth client), open it: no slot is given. When its time is over it is half-open: the
next caller's request is the probe, everybody else waits for what becomes of it. A probe that succeeds closes it; one
that fails opens it for twice as long, up to a bound; one that never tells (its worker died) is followed by another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from jitprov.budget.rate import BudgetRate

_OPEN_SHARE = 6
#: The longest opening is this many doublings of the first.
DOUBLINGS_MAX = 3
#: Real microseconds that a probe may take from its slot on: connecting, reading, and a margin.
PROBE_US = 20_000_000
#: Real microseconds after which those who wait for a probe look again.
LOOK_US = 500_000


def first_open_us(rate: BudgetRate) -> int:
    """Return how long the circuit stays open the first time: 10 API seconds; at most it becomes 80."""
    return rate.window_us // _OPEN_SHARE


@dataclass(slots=True)
class Circuit:
    """The breaker of one OAuth client; all times are real microseconds on the meter's clock.

    Attributes:
        failures_max: Failures in a row that open it.
        first_us: How long it stays open the first time.
        failures: In a row, since the last success.
        opened: Times that it opened since the last success; 0 when closed.
        open_until_us: When the next probe may go.
        probe_until_us: Until when a probe under way is waited for.
        why: What opened it.
    """

    failures_max: int
    first_us: int
    failures: int = 0
    opened: int = 0
    open_until_us: int = 0
    probe_until_us: int = 0
    why: str = ""

    @classmethod
    def of(cls, rate: BudgetRate, failures_max: int) -> Self:
        """Return a closed one."""
        return cls(failures_max, first_open_us(rate))

    def wait_us(self, now_us: int) -> int:
        """Return how long to wait before asking again; 0 when it is closed, or when the caller would be the probe."""
        if not self.opened:
            return 0
        if now_us < self.open_until_us:
            return self.open_until_us - now_us
        return min(max(0, self.probe_until_us - now_us), LOOK_US)

    def fail(self, now_us: int, why: str, *, probe: bool, final: bool) -> int:
        """Count a failure and return how long it is open now."""
        self.failures += 1
        if self.opened and not probe:
            return self.wait_us(now_us)
        if not (probe or final or self.failures >= self.failures_max):
            return 0
        open_us = self.first_us << min(self.opened, DOUBLINGS_MAX)
        self.opened += 1
        self.open_until_us, self.probe_until_us, self.why = now_us + open_us, 0, why
        return open_us

    def succeed(self, *, probe: bool) -> None:
        """Close it, if it is not open or this was the probe; a success from before it opened closes nothing."""
        if probe or not self.opened:
            self.failures, self.opened, self.open_until_us, self.probe_until_us, self.why = 0, 0, 0, 0, ""

    def let_probe(self) -> None:
        """Let the next probe go at once."""
        if self.opened:
            self.open_until_us, self.probe_until_us = 0, 0

    def called(self, now_us: int) -> str:
        """Return `closed`, `open` or `half-open`."""
        if not self.opened:
            return "closed"
        return "open" if now_us < self.open_until_us else "half-open"
