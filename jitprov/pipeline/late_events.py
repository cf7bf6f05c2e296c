"""Events that come by another way than the webhook: replayed, or found to be missing. Accepted as if they came now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jitprov import logs
from jitprov.domain.events import Acceptance, Kind, Opening
from jitprov.errors import DependencyDown
from jitprov.ledger import Ledger

_log = logging.getLogger(__name__)
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Late:
    """What the ledger knows of events that come late.

    Attributes:
        openings: What is to be opened, the first for each event and each user.
        known: How many are served already, or by one of `openings`.
        strangers: How many changes of agents whom nobody knows: nothing to do.
    """

    openings: Sequence[Opening]
    known: int
    strangers: int


def looked_up(ledger: Ledger, openings: Sequence[Opening]) -> Late:
    """Return what is to be opened, and what is not. A change of a known agent is; who is known gets no second start.

    A look that writes nothing: who is accepted meanwhile is found to be known by `accept_late`.

    Raises:
        DependencyDown: The ledger does not answer.
    """
    seen: set[str] = set()
    found: list[Opening] = []
    strangers = 0
    for opening in openings:
        ids = {opening.event_id, opening.user_id}
        if ids & seen or ledger.find(opening.event_id):
            continue
        known = ledger.find(opening.user_id) is not None
        if opening.kind is Kind.CHANGE and not known:
            strangers += 1
        elif not (opening.kind is Kind.NEW and known):
            seen |= ids
            found.append(opening)
    return Late(found, len(openings) - len(found) - strangers, strangers)


def accept_late(
    ledger: Ledger, publish: Callable[[str], None], openings: Sequence[Opening], *, look_after_s: float
) -> list[Acceptance]:
    """Open a provisioning for each event that has none, and send its chain. Safe to repeat: known events open nothing.

    Returns what serves them; changes of agents whom jitprov does not know are served by nothing, and left out.

    Args:
        ledger: The truth.
        publish: Sends a new provisioning's chain.
        openings: What to open; the budget paces what follows, so any number may come.
        look_after_s: When the reconciler may first look for a message, in real seconds.

    Raises:
        DependencyDown: The ledger does not answer; repeat the whole.
    """
    accepted: list[Acceptance] = []
    for start in range(0, len(openings), _AT_ONCE):
        served = ledger.accept(openings[start : start + _AT_ONCE], look_after_s=look_after_s)
        for acceptance in served:
            if not acceptance.duplicate:
                _send(publish, acceptance.provisioning_id)
        accepted += [acceptance for acceptance in served if acceptance.provisioning_id]
    return accepted


def _send(publish: Callable[[str], None], provisioning_id: str) -> None:
    try:
        publish(provisioning_id)
    except DependencyDown:  # the reconciler makes it good
        logs.event(_log, "publish_failed", level=logging.WARNING, provisioning_id=provisioning_id)
