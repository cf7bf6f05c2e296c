"""Taking a slot of the shared budget: waits in place while it is near, refuses when it is far. Fails closed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from jitprov.budget import Budget, Refusal
from jitprov.domain.clock import Clock
from jitprov.errors import BudgetDenied, DependencyDown
from jitprov.settings import Settings

_TRIES = 3
_AWAY_S = 5.0
# Real seconds: a wait so short is spent in place.
_SOON_S = 0.5
# Real seconds. A pause that begins during a shorter wait is met by at most this much lateness.
_LOOK_FOR_PAUSE_S = 0.05


def take_slot(
    budget: Budget, clock: Clock, settings: Settings, about_to_send: Callable[[], None] = lambda: None
) -> None:
    """Return when the request may leave: now.

    A caller that woke too late for its slot asks again, since late requests bunch up; so does one over whose wait a
    pause came, since a pause is for everyone.

    Args:
        budget: Gives slots.
        clock: Waits for them.
        settings: How long to wait.
        about_to_send: Called when the slot has come. It may ask a part that is slow to answer, so what it takes
            counts as lateness; what it raises is raised.

    Raises:
        BudgetDenied: No slot in time, or the meter does not answer; nothing may be sent.
    """
    scale = settings.time_scale
    for _ in range(_TRIES):
        try:
            answer = budget.reserve(wait_max_s=settings.budget_wait_max_s)
        except DependencyDown as error:
            raise BudgetDenied("the meter does not answer, so nothing is sent", wait_s=_AWAY_S * scale) from error
        if isinstance(answer, Refusal) and answer.reason == "busy" and answer.wait_s <= _SOON_S:
            clock.wait(answer.wait_s * scale)  # the meter's answer came too late to be used: ask again, a little later
            continue
        if isinstance(answer, Refusal):
            raise BudgetDenied(f"no slot in time ({answer.reason})", wait_s=answer.wait_s * scale)
        asked_s = clock.monotonic_s()
        clock.wait(answer.wait_s * scale)
        if answer.wait_s > _LOOK_FOR_PAUSE_S and _is_paused(budget, scale):
            continue
        about_to_send()
        if clock.monotonic_s() - asked_s - answer.wait_s <= answer.good_for_s:
            return
    raise BudgetDenied("this machine is too busy to keep its slots", wait_s=_AWAY_S * scale)


def pause_all(budget: Budget, for_s: float, reason: str) -> None:
    """Pause the budget for all workers, for real seconds. Without the meter nothing is sent anyway."""
    with suppress(DependencyDown):
        budget.pause(for_s=for_s, reason=reason)


def _is_paused(budget: Budget, scale: float) -> bool:
    try:
        return budget.state().paused_s > 0
    except DependencyDown as error:
        raise BudgetDenied("the meter does not answer, so nothing is sent", wait_s=_AWAY_S * scale) from error
