"""Events that may open a provisioning, and the ledger's answers to them. Reading them from JSON is `receiver.body`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Opening:
    """An event that asks for an agent to be provisioned.

    Attributes:
        provisioning_id: Chosen before the write, so that the answer and the chain agree.
        event_id: The audit record's id; the same for all deliveries of one event.
        user_id: Genesys user id, a UUID in lower case.
    """

    provisioning_id: str
    event_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The ledger's answer to an opening.

    Attributes:
        provisioning_id: Of the provisioning that serves this event: a new one, or the one there was.
        duplicate: True when the event or the user had one already; nothing was written then but, for a new
            event of a known user, the event's id.
    """

    provisioning_id: str
    event_id: str
    user_id: str
    duplicate: bool
