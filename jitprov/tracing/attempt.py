"""What one attempt of a step spent its time on, for its line in the log: gathered by whoever spends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

Part = Literal["slot", "call", "redis"]
# More calls than any honest attempt makes.
_CALLS_MAX = 20


@dataclass(slots=True)
class Parts:
    """Where the time went.

    Attributes:
        spent_s: Seconds by part, each without the parts inside it. `slot`: until the budget's slot had come, asking the
            meter included. `call`: until the API had answered. `redis`: the ledger's answers.
        calls: Each call with method, route template, status (0: no answer), correlation id and duration in ms.
    """

    spent_s: dict[Part, float] = field(default_factory=lambda: {"slot": 0.0, "call": 0.0, "redis": 0.0})
    calls: list[Mapping[str, object]] = field(default_factory=list)

    def ms(self, part: Part) -> int:
        """Return what a part took, in milliseconds."""
        return round(self.spent_s[part] * 1000)


_now: ContextVar[Parts | None] = ContextVar("attempt", default=None)


@contextmanager
def attempt() -> Iterator[Parts]:
    """Gather what is spent inside the block."""
    parts = Parts()
    token = _now.set(parts)
    try:
        yield parts
    finally:
        _now.reset(token)


@contextmanager
def spending(part: Part, monotonic_s: Callable[[], float]) -> Iterator[None]:
    """Count the block's time to a part of the attempt around it, if there is one."""
    parts = _now.get()
    if parts is None:
        yield
        return
    began_s, before_s = monotonic_s(), sum(parts.spent_s.values())
    try:
        yield
    finally:
        inside_s = sum(parts.spent_s.values()) - before_s
        parts.spent_s[part] += max(monotonic_s() - began_s - inside_s, 0.0)


def called(call: Mapping[str, object]) -> None:
    """Note a call to the API in the attempt around it, if there is one; see `Parts.calls`."""
    parts = _now.get()
    if parts is not None and len(parts.calls) < _CALLS_MAX:
        parts.calls.append(call)
