"""Agents are provisioned anew by difference since an operator asked: by a plan, or by drift. Sends nothing itself.

Each gets a provisioning of its own, or is served by the one under way that has not read the profile yet. It looks at
what the agent has, trusts nothing that is remembered, and gives what is lacking: so asking twice costs reads alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

from jitprov.domain.events import Kind, Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.genesys.shelf import Shelf
from jitprov.ledger.overview import Act, Overview
from jitprov.pipeline.grants import forget_notes
from jitprov.pipeline.late_events import accept_late


def mend(  # noqa: PLR0913  who, what and why, and by what
    ledger: Overview,
    publish: Callable[[str], None],
    shelf: Shelf,
    user_ids: Sequence[str],
    *,
    what: str,
    whom: str,
    who: str,
    why: str,
    look_after_s: float,
) -> Act:
    """Open a provisioning for each agent, send their chains, and note the act. Returns the act.

    A process that dies halfway leaves agents that are opened and agents that are not; doing it again does the rest.

    Args:
        ledger: The truth, and where the act is noted.
        publish: Sends a new provisioning's chain.
        shelf: Where it is noted what agents were given a short while ago; those notes are forgotten.
        user_ids: Whom.
        what: The act's word in the log.
        whom: The same in words, without names.
        who: Who asked.
        why: Why; may be empty.
        look_after_s: When the reconciler may first look for a message, in real seconds.

    Raises:
        DependencyDown: The ledger does not answer; repeat the whole.
    """
    act = Act(uuid4().hex, ledger.ping(), who, what, whom, why, "begun", finished=False)
    ledger.note(act)
    forget_notes(shelf, user_ids)
    served = accept_late(ledger, publish, _openings(user_ids, what, act.at), look_after_s=look_after_s)
    opened = sum(not each.duplicate for each in served)
    under_way = len(served) - opened
    outcome = f"{opened} opened{f', {under_way} were under way already' if under_way else ''}"
    done = Act(act.act_id, act.at, who, what, whom, why, outcome)
    ledger.note(done)
    return done


def _openings(user_ids: Sequence[str], what: str, at: datetime) -> list[Opening]:
    # The same act repeated within the second is the same event.
    return [
        Opening(provisioning_id_from(uuid4()), f"{what} {at:%Y%m%dT%H%M%S} {user_id}", user_id, Kind.MEND)
        for user_id in user_ids
    ]
