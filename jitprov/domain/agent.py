"""What jitprov knows of an agent, and what the agent shall have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RatedSkill:
    """A routing skill with its proficiency.

    Attributes:
        name: As in Genesys Cloud, case kept.
        proficiency: 0.0 to 5.0.
        skill_id: Genesys id, empty while only the name is known.
    """

    name: str
    proficiency: float
    skill_id: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """One agent as Genesys Cloud describes it.

    Attributes:
        user_id: Genesys user id, a UUID in lower case.
        state: `active`, `inactive` or `deleted`.
        division: Name of the division.
        skills: Routing skills now held; best effort, as the API says of `expand`.
        default_station_id: Of the station set now; empty without one. Best effort likewise.
    """

    user_id: str
    name: str = ""
    email: str = ""
    department: str = ""
    title: str = ""
    division: str = ""
    state: str = "active"
    skills: tuple[RatedSkill, ...] = ()
    default_station_id: str = ""


@dataclass(frozen=True, slots=True)
class WantedState:
    """What the rules say an agent shall have.

    Attributes:
        rules: Names of the rules that matched, in the order of the file.
        mode: `merge` adds and re-rates, `replace` leaves exactly these skills.
        skills: With ids once resolved.
        phone: False for agents who need none.
    """

    rules: tuple[str, ...] = ()
    mode: Literal["merge", "replace"] = "merge"
    skills: tuple[RatedSkill, ...] = ()
    phone: bool = True


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone as jitprov needs it: `line_id` may double as the station's id."""

    phone_id: str
    line_id: str
    name: str = ""
