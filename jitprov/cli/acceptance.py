"""Is every agent call-ready? Asked of the sandbox' own state, never of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from jitprov.domain.agent import Profile
from jitprov.domain.provisioning import Provisioning, State
from jitprov.rules.engine import RuleBook


@dataclass(frozen=True, slots=True)
class Wrong:
    """One way in which one agent is not as the rules say."""

    user_id: str
    what: str


def wrong_agents(users: Sequence[Mapping[str, Any]], rules: RuleBook) -> list[Wrong]:
    """Compare each agent in the sandbox with the rules: exactly their skills, exactly one phone, its station set.

    Args:
        users: The sandbox' state, one mapping per user.
        rules: What each shall have.
    """
    found: list[Wrong] = []
    for user in users:
        profile = Profile(user_id=user["id"], department=user.get("department") or "", title=user.get("title") or "")
        wanted = rules.wanted_for(profile)
        should = {skill.name: skill.proficiency for skill in wanted.skills}
        has = {skill["name"]: skill["proficiency"] for skill in user["skills"]}
        if has != should:
            found.append(Wrong(user["id"], f"skills {has} instead of {should}"))
        phones = user["phones"]
        if len(phones) != int(wanted.phone):
            found.append(Wrong(user["id"], f"{len(phones)} phones instead of {int(wanted.phone)}"))
        elif phones and user["default_station_id"] not in {phone["station_id"] for phone in phones}:
            found.append(Wrong(user["id"], f"default station {user['default_station_id']} is not its phone's"))
    return found


@dataclass(frozen=True, slots=True)
class Timing:
    """When agents became ready, in real seconds after the first was accepted; 0.0 when none did."""

    first_s: float
    median_s: float
    last_s: float


def timing_of(records: Sequence[Provisioning]) -> Timing:
    """Return first, median and last time to ready."""
    if not records:
        return Timing(0.0, 0.0, 0.0)
    start = min(record.accepted_at for record in records)
    ready = sorted(
        (record.ended_at - start).total_seconds()
        for record in records
        if record.state is State.READY and record.ended_at
    )
    return Timing(ready[0], median(ready), ready[-1]) if ready else Timing(0.0, 0.0, 0.0)
