"""How a caller waits for its turn: short looks at first, then rarer ones, and not for ever. Knows no store."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jitprov.errors import DependencyDown

_FIRST_S = 0.02
_GROWTH = 1.5
_LONGEST_S = 0.5


def pauses(wait_max_s: float) -> Iterator[float]:
    """Yield the pauses between looks, in real seconds; together they last `wait_max_s`."""
    pause_s, left_s = _FIRST_S, wait_max_s
    while left_s > 0:
        yield min(pause_s, left_s)
        left_s -= pause_s
        pause_s = min(pause_s * _GROWTH, _LONGEST_S)


def wait_for_turn(name: str, take: Callable[[], bool], *, wait: Callable[[float], object], wait_max_s: float) -> bool:
    """Return once `take` succeeded: False when it did at once, True when another was first.

    Args:
        name: What is to be done, for the error.
        take: Tries to take the turn.
        wait: How to wait, in real seconds.
        wait_max_s: Patience: the sum of the pauses.

    Raises:
        DependencyDown: Patience ran out.
    """
    if take():
        return False
    for pause_s in pauses(wait_max_s):
        wait(pause_s)
        if take():
            return True
    msg = f"{name}: another worker was at it for more than {wait_max_s:g} s. Look at the workers' logs"
    raise DependencyDown(msg)
