"""What an agent has, as far as it was looked at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jitprov.domain.agent import MediaShare, Phone, Place, Profile

# Stands for "in some division": all that a listing of many agents tells of a role.
ANY_DIVISION = ""


@dataclass(frozen=True, slots=True)
class Actual:
    """What an agent has, as far as it was looked at; None stands for what was not.

    Attributes:
        profile: With skills, languages, division, groups and default station.
        utilization: In effect, by the agent's own or by the organization's.
        roles: Pairs of role id and division id; `ANY_DIVISION` where only the role is known.
        queues: Ids.
        spare_queues: That the agent is a member of by hand, by name, and that the rules do not give; looked for only
            where replacing takes them.
        phones: WebRTC phones, the one that jitprov goes by first.
        at_own_phone: Whether the default station is that of the first phone.
    """

    profile: Profile
    utilization: Mapping[str, MediaShare] | None = None
    roles: frozenset[tuple[str, str]] | None = None
    queues: frozenset[str] | None = None
    spare_queues: tuple[Place, ...] | None = None
    phones: tuple[Phone, ...] | None = None
    at_own_phone: bool | None = None


def nothing_but(profile: Profile, usual: Mapping[str, MediaShare]) -> Actual:
    """Return what an agent has who was made this minute: nothing that the profile does not tell."""
    nothing: frozenset[Any] = frozenset()
    return Actual(profile, usual, nothing, nothing, (), (), at_own_phone=False)
