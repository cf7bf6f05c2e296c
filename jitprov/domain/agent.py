"""What jitprov knows of an agent, and what the agent shall have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# Who is begun first of those who wait: see docs/decisions/0022.
Priority = Literal["high", "normal", "low"]


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
class RatedLanguage:
    """A routing language with its proficiency; see `RatedSkill`."""

    name: str
    proficiency: float
    language_id: str = ""


@dataclass(frozen=True, slots=True)
class MediaShare:
    """How much of one kind of media an agent handles at once.

    Attributes:
        media: `call`, `callback`, `chat`, `email` or `message`.
        capacity: Interactions at once.
        interruptible: Kinds of media that may interrupt it, sorted; None leaves what the organization has.
    """

    media: str
    capacity: int
    interruptible: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A role in one division.

    Attributes:
        role: Name of the role, case kept.
        division: Name of the division; empty for the organization's home division.
        role_id: Genesys id, empty while only the name is known.
        division_id: Likewise.
    """

    role: str
    division: str = ""
    role_id: str = ""
    division_id: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A division, group or queue; `place_id` is empty while only the name is known."""

    name: str
    place_id: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """One agent as Genesys Cloud describes it.

    Attributes:
        user_id: Genesys user id, a UUID in lower case.
        state: `active`, `inactive` or `deleted`.
        division: Name of the division.
        division_id: Of that division; empty where the API left it out.
        skills: Routing skills now held; best effort, as the API says of `expand`.
        languages: Routing languages now held; best effort likewise.
        locations: Names of the user's locations, an id where the API tells no name; None where nobody asked for
            them, as only rules do that look at them.
        group_ids: Of the groups that the agent is a member of; best effort likewise.
        role_ids: Pairs of role and division held, as far as somebody looked: with a new agent nobody does.
        held_role_ids: Ids of the roles held in whatever divisions; best effort, and None where nobody asked, as only
            rules do that name roles, or where the API left them out.
        queue_ids: Of the queues that the agent is a member of, as far as somebody looked.
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
    division_id: str = ""
    languages: tuple[RatedLanguage, ...] = ()
    group_ids: tuple[str, ...] = ()
    locations: tuple[str, ...] | None = None
    role_ids: tuple[tuple[str, str], ...] = ()
    queue_ids: tuple[str, ...] = ()
    held_role_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class WantedState:
    """What the rules say an agent shall have. All names carry their ids once resolved.

    Attributes:
        rules: Names of the rules that gave it, in the order of the file; none for one whom no rule covers.
        mode: `merge` adds and re-rates, `replace` leaves exactly these skills, and these languages where there are any.
            Where there are queues, other queues are left that the agent is a member of by hand. All else is added.
        phone: False for agents who need none.
        languages: See `mode`.
        utilization: Of the media that the rules name; empty leaves the organization's.
        division: Where the agent belongs; None leaves the agent where they are.
        roles: To be granted.
        groups: To be a member of.
        queues: To be a member of.
        rules_version: Of the file that said so.
        priority: Who is begun first of those who wait; None while no rule of the file has one.
        site: Name of the phone's site; empty for the organization's default.
        phone_base: Name of its base settings; empty for the organization's first WebRTC base.
        skips_unknown: Whether a name that the organization does not have is left out, rather than failing the agent.
        left_out: What was left out for that reason, in words; only once resolved.
    """

    rules: tuple[str, ...] = ()
    mode: Literal["merge", "replace"] = "merge"
    skills: tuple[RatedSkill, ...] = ()
    phone: bool = True
    languages: tuple[RatedLanguage, ...] = ()
    utilization: tuple[MediaShare, ...] = ()
    division: Place | None = None
    roles: tuple[RoleGrant, ...] = ()
    groups: tuple[Place, ...] = ()
    queues: tuple[Place, ...] = ()
    rules_version: str = ""
    priority: Priority | None = None
    site: str = ""
    phone_base: str = ""
    skips_unknown: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def asks_access(self) -> bool:
        """Whether it names a division, a role, a group or a queue."""
        return bool(self.division or self.roles or self.groups or self.queues)

    @property
    def queue_ids(self) -> frozenset[str]:
        """Of the queues to be a member of."""
        return frozenset(queue.place_id for queue in self.queues)

    @property
    def replaces_queues(self) -> bool:
        """Whether queues that it does not name are taken away."""
        return self.mode == "replace" and bool(self.queues)


@dataclass(frozen=True, slots=True)
class Granted:
    """A division, role, group or queue, and how an agent came by it.

    Attributes:
        what: `division`, `role`, `group` or `queue`.
        name: Its name; of a role with its division.
        how: `there`: the agent had it; `own`: the agent's own step had it given; `earlier`: a call made
            before had given it, of another's step for several agents at once, or of an interrupted try of this one.
        together: Agents in the call of the agent's own step; 0 otherwise.
    """

    what: str
    name: str
    how: Literal["there", "own", "earlier"]
    together: int = 0


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone as jitprov needs it: `line_id` may double as the station's id; `made` when jitprov made it."""

    phone_id: str
    line_id: str
    name: str = ""
    made: bool = field(default=False, compare=False)
