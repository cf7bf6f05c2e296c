"""Taking a slot of the shared budget: waits in place while it is near, refuses when it is far. Fails closed.

While nobody gets a slot (a pause, an open circuit), all wait in place: their messages stay in the queues in the order
in which they came. Who has waited as long as told gives its own back to the front (`CallsHeldUp`).

Beside it the words by which the rest of the room tells the meter what the API answered; where the meter is away they
are lost, since then nothing is sent anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from jitprov.budget import Budget, Permit, Refusal
from jitprov.budget.port import ASK_AHEAD_S
from jitprov.domain.clock import Clock
from jitprov.errors import BudgetDenied, CallsHeldUp, DependencyDown
from jitprov.settings import Settings

# Slots that a caller may miss: each is lost to all. On a busy machine two or three in a row are missed now and then.
_TRIES = 8
_AWAY_S = 5.0
# Real seconds: a wait for a busy meter that is so short is spent in place.
_SOON_S = 0.5
# Real seconds after which those who wait for people's pause to end look again.
_LOOK_FOR_RESUME_S = 1.0


def take_slot(
    budget: Budget,
    clock: Clock,
    settings: Settings,
    about_to_send: Callable[[], None] = lambda: None,
    *,
    lanes: Sequence[int] | None = None,
) -> Permit:
    """Return when the request may leave: now, until the permit's `leave_by_s`, with the token of its lane.

    A caller that woke too late for its slot asks again, since late requests bunch up; so does one whose slot no longer
    holds shortly before it comes, because a pause came, the circuit opened, or others' calls took it. What happens
    between this and the request's first byte is for the connection to judge: genesys/punctual.py.

    Args:
        budget: Gives slots.
        clock: Waits for them.
        settings: How long to wait in all.
        about_to_send: Called right before the slot comes. It may ask a part that is slow to answer, so what it takes
            too long counts as lateness; what it raises is raised.
        lanes: Of which tokens; all when None.

    Raises:
        BudgetDenied: No slot in time, or the meter does not answer; nothing may be sent. `CallsHeldUp` when nobody got
            one for as long as told.
        WorkerStops: The worker was told to stop while this waited.
    """
    scale = settings.time_scale
    ends_s = clock.monotonic_s() + settings.budget_wait_max_s
    late = 0
    while late < _TRIES:
        left_s = max(0.0, ends_s - clock.monotonic_s())
        try:
            answer = budget.reserve(wait_max_s=left_s, lanes=lanes)
            if isinstance(answer, Refusal):
                in_place_s = _in_place_s(answer, left_s)
                if in_place_s <= 0:
                    raise _denied(answer, scale)
                clock.wait(in_place_s * scale)
                continue
            _wait_until(answer.slot_at_s - min(ASK_AHEAD_S, answer.good_for_s), clock, scale)
            # A pause that begins in a shorter wait is met by at most this much lateness.
            if answer.wait_s > ASK_AHEAD_S and not budget.confirm(answer):
                continue
        except DependencyDown as error:
            raise BudgetDenied("the meter does not answer, so nothing is sent", wait_s=_AWAY_S * scale) from error
        about_to_send()
        _wait_until(answer.slot_at_s, clock, scale)
        if clock.monotonic_s() <= answer.leave_by_s:
            return answer
        late += 1
    raise too_busy(scale)


def too_busy(scale: float) -> BudgetDenied:
    """Return what is raised when slot after slot was missed."""
    return BudgetDenied("this machine is too busy to keep its slots", wait_s=_AWAY_S * scale)


def pause_all(budget: Budget, permit: Permit, for_s: float, reason: str) -> None:
    """Pause a permit's token for all workers, for real seconds."""
    with suppress(DependencyDown):
        budget.pause(for_s=for_s, reason=reason, lane=permit.lane)


def tell_failure(budget: Budget, permit: Permit, why: str, *, final: bool = False) -> float:
    """Count a failure of the API for all workers; return for how many real seconds nobody asks it, 0.0 as a rule."""
    with suppress(DependencyDown):
        return budget.failed(permit, why, final=final)
    return 0.0


def tell_success(budget: Budget, permit: Permit) -> None:
    """Tell that the API answered."""
    with suppress(DependencyDown):
        budget.succeeded(permit)


def _wait_until(instant_s: float, clock: Clock, scale: float) -> None:
    left_s = instant_s - clock.monotonic_s()
    if left_s > 0:
        clock.wait(left_s * scale)


def _in_place_s(refusal: Refusal, left_s: float) -> float:
    # How long to wait before asking again; 0.0: not at all.
    if refusal.reason == "busy":
        # So near: the meter's answer came too late to be used. Else more wait than there are slots in reach.
        return refusal.wait_s if refusal.wait_s <= min(left_s, _SOON_S) else 0.0
    looks_s = _LOOK_FOR_RESUME_S if refusal.reason == "held" else refusal.wait_s
    return min(refusal.wait_s, looks_s, left_s)


def _denied(refusal: Refusal, scale: float) -> BudgetDenied:
    words = {
        "busy": "no slot in time (busy)",
        "paused": f"no slot in time (paused: {refusal.why})",
        "held": f"no slot in time (paused by people: {refusal.why})",
        "broken": f"no slot in time (the circuit is open: {refusal.why})",
    }
    error = BudgetDenied if refusal.reason == "busy" else CallsHeldUp
    return error(words[refusal.reason], wait_s=refusal.wait_s * scale)
