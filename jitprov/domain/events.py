"""Events that may open a provisioning, and the ledger's answers to them. Reading them from JSON is `receiver.body`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from jitprov.domain.given import Given


class Kind(StrEnum):
    """What a provisioning is for."""

    NEW = "new"  # a new agent; whoever has a provisioning already gets no second one
    CHANGE = "change"  # something of the agent changed; nothing for one whom jitprov does not know
    RETURN = "return"  # restored: as a change, and for whomever
    MEND = "mend"  # asked for by an operator: what is remembered of the agent is looked for, and not trusted
    CLEANUP = "cleanup"  # what jitprov gave is taken away: the season is over
    UNDO = "undo"  # and given back

    @property
    def follows_profile(self) -> bool:
        """Whether the profile decides what happens, so that one provisioning can serve several events."""
        return self in {Kind.NEW, Kind.CHANGE, Kind.RETURN, Kind.MEND}


@dataclass(frozen=True, slots=True)
class Opening:
    """An event that asks for an agent to be provisioned.

    Attributes:
        provisioning_id: Chosen before the write, so that the answer and the chain agree.
        event_id: The audit record's id; the same for all deliveries of one event.
        user_id: Genesys user id, a UUID in lower case.
        kind: What for.
        order: For `CLEANUP` what to take away, for `UNDO` what to give back.
    """

    provisioning_id: str
    event_id: str
    user_id: str
    kind: Kind = Kind.NEW
    order: Given = field(default_factory=Given)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The ledger's answer to an opening.

    Attributes:
        provisioning_id: Of the provisioning that serves this event: a new one, or the one there was; empty when
            none does: a change of somebody whom jitprov does not know.
        duplicate: True when the event or the user had one already; nothing was written then but, for a new
            event of a known user, the event's id, and when it came. True as well when none serves it.
    """

    provisioning_id: str
    event_id: str
    user_id: str
    duplicate: bool
