"""A second phone of one agent, made by whoever had no right to any more: found and taken back (docs/decisions/0028).

Only phones that nobody but jitprov can have made are deleted: known by their id, or by the name that it gives. Which of
two stays is the ledger's to say.
"""

from __future__ import annotations

import logging

from jitprov import logs
from jitprov.domain.agent import Phone
from jitprov.domain.provisioning import Provisioning
from jitprov.genesys.client import GenesysClient
from jitprov.genesys.payloads import phone_name

_log = logging.getLogger(__name__)


def take_back(record: Provisioning, genesys: GenesysClient, made: Phone | None = None) -> int:
    """Delete an agent's phones that the ledger does not name; return how many. Safe to repeat.

    Args:
        record: As the ledger has it now; while it names no phone, nothing is one too many.
        genesys: Where phones are.
        made: The one phone in question; when None, they are looked for by the name that jitprov gives.

    Cost: 1 call to look, and 1 for each phone.
    """
    kept, profile = record.findings.phone, record.findings.profile
    if kept is None or profile is None:
        return 0
    if made is not None:
        surplus = [made] if made.phone_id != kept.phone_id else []
    else:
        there = genesys.find_phones(record.user_id)
        ours = phone_name(profile)
        surplus = [phone for phone in there if phone.phone_id != kept.phone_id and phone.name == ours]
        if all(phone.phone_id != kept.phone_id for phone in there):
            surplus = []  # a list without the one that must be there proves nothing
    for phone in surplus:
        genesys.delete_phone(phone.phone_id)
        logs.event(
            _log,
            "surplus_phone_deleted",
            level=logging.WARNING,
            provisioning_id=record.provisioning_id,
            phone_id=phone.phone_id,
        )
    return len(surplus)
