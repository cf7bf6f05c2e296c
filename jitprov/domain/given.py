"""What jitprov itself gave an agent, beyond every provisioning: so that it alone may be taken away again. Pure.

    resolve_skills ends      what is about to be given and is not there     → `perhaps`
    a step ends              what it gave                                   → `given`
    the provisioning ends    nothing is about to be given any more
    the next one begins      of `perhaps`, what is there now was given before a crash; the rest was not

The ledger writes it with the step that it follows from, in one act (docs/decisions/0030).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, TypeVar

from jitprov.domain.agent import MediaShare, Phone, Place, Profile, RatedLanguage, RatedSkill, RoleGrant, WantedState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """Things that an agent has, or shall lose, or get back: all with their ids. What was there before is not in it.

    Attributes:
        division: Where jitprov moved the agent to.
        division_before: Where the agent was before.
        utilization: Of the media that the rules named.
        phone: The WebRTC phone that jitprov made.
        station_id: The phone's station, once it was set as default.
    """

    skills: tuple[RatedSkill, ...] = ()
    languages: tuple[RatedLanguage, ...] = ()
    roles: tuple[RoleGrant, ...] = ()
    groups: tuple[Place, ...] = ()
    queues: tuple[Place, ...] = ()
    division: Place | None = None
    division_before: Place | None = None
    utilization: tuple[MediaShare, ...] = ()
    phone: Phone | None = None
    station_id: str = ""

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return self != _NOTHING

    def __add__(self, other: Given) -> Given:
        """Return both; where they name the same thing, as the other has it. The division before is the first one's."""
        # Moved twice, the agent goes back to where they were before the first move.
        before = self.division_before if self.division else other.division_before
        return Given(
            **{name: _joined(getattr(self, name), getattr(other, name), key) for name, key in _KEYS.items()},
            division=other.division or self.division,
            division_before=before or other.division_before,
            utilization=other.utilization or self.utilization,
            phone=other.phone or self.phone,
            station_id=other.station_id or self.station_id,
        )

    def __sub__(self, other: Given) -> Given:
        """Return what the other does not name; ratings do not count."""
        same_place = self.division and other.division and self.division.place_id == other.division.place_id
        same_phone = self.phone and other.phone and self.phone.phone_id == other.phone.phone_id
        return Given(
            **{name: _without(getattr(self, name), getattr(other, name), key) for name, key in _KEYS.items()},
            division=None if same_place else self.division,
            division_before=None if same_place else self.division_before,
            utilization=() if other.utilization else self.utilization,
            phone=None if same_phone else self.phone,
            station_id="" if self.station_id == other.station_id else self.station_id,
        )

    def counted(self) -> dict[str, int]:
        """Return how many things of each kind there are, for people; kinds without one are left out."""
        counts = {name: len(getattr(self, name)) for name in _KEYS}
        counts |= {
            "division": int(self.division is not None),
            "utilization": int(bool(self.utilization)),
            "phone": int(self.phone is not None),
        }
        return {name: number for name, number in counts.items() if number}


@dataclass(frozen=True, slots=True)
class Memory:
    """What the ledger remembers of one agent, however long ago the provisionings were that it comes from.

    Attributes:
        given: What jitprov gave and has not taken away.
        perhaps: What it was about to give when it was last heard of; see the module.
        department: Of the agent when it last gave something.
        given_at: When that was; None before anything.
        rules_version: Of the rules that it followed then.
    """

    given: Given = field(default_factory=Given)
    perhaps: Given = field(default_factory=Given)
    department: str = ""
    given_at: datetime | None = None
    rules_version: str = ""


def to_be_given(wanted: WantedState, profile: Profile) -> Given:
    """Return what is wanted and not there, as far as the profile shows it; the phone is not foreseen."""
    skills = {skill.skill_id for skill in profile.skills}
    languages = {language.language_id for language in profile.languages}
    groups = set(profile.group_ids)
    # Held in some division, nobody knows which: whoever gave it, we would not take the right one away.
    held = set(profile.held_role_ids or ())
    moves = wanted.division is not None and wanted.division.place_id != profile.division_id
    return Given(
        skills=tuple(skill for skill in wanted.skills if skill.skill_id not in skills),
        languages=tuple(each for each in wanted.languages if each.language_id not in languages),
        roles=tuple(
            grant for grant in wanted.roles if _role_key(grant) not in profile.role_ids and grant.role_id not in held
        ),
        groups=tuple(group for group in wanted.groups if group.place_id not in groups),
        queues=tuple(queue for queue in wanted.queues if queue.place_id not in profile.queue_ids),
        division=wanted.division if moves else None,
        division_before=Place(profile.division, profile.division_id) if moves else None,
        utilization=wanted.utilization,
    )


def settled(memory: Memory, profile: Profile) -> Given:
    """Return what jitprov gave, with what it was about to give and is there now.

    Roles, queues and utilization are not in a profile: what was about to be given counts as given, since taking away
    what is not there is harmless.
    """
    lacking = to_be_given(_as_wanted(memory.perhaps), profile)
    never = Given(skills=lacking.skills, languages=lacking.languages, groups=lacking.groups, division=lacking.division)
    return memory.given + (memory.perhaps - never)


def wanted_again(given: Given) -> WantedState:
    """Return what makes an agent have these things, ids and all, beside whatever they have."""
    return replace(_as_wanted(given), phone=given.phone is not None)


def surplus(given: Given, wanted: WantedState) -> Given:
    """Return what jitprov gave and the rules do not give any more. The phone is kept: see `jitprov.rules`."""
    # A wish for any division is for the move that follows from it; only without one does the agent go back.
    left = given - _as_given(wanted)
    kept = replace(left, phone=None, station_id="")
    if wanted.mode == "replace":
        # Replacing takes those by itself.
        kept = replace(kept, skills=(), languages=() if wanted.languages else kept.languages)
    return kept if wanted.division is None else replace(kept, division=None, division_before=None)


def _role_key(grant: RoleGrant) -> tuple[str, str]:
    return grant.role_id, grant.division_id


def _as_given(wanted: WantedState) -> Given:
    return Given(**{name: getattr(wanted, name) for name in _SHARED})


def _as_wanted(given: Given) -> WantedState:
    return WantedState(**{name: getattr(given, name) for name in _SHARED})


def _joined(ours: Iterable[T], others: Iterable[T], key: Callable[[Any], Any]) -> tuple[T, ...]:
    return tuple(({key(each): each for each in ours} | {key(each): each for each in others}).values())


def _without(ours: Iterable[T], others: Iterable[T], key: Callable[[Any], Any]) -> tuple[T, ...]:
    gone = {key(each) for each in others}
    return tuple(each for each in ours if key(each) not in gone)


# What tells two things of a kind apart.
_KEYS: dict[str, Callable[[Any], Any]] = {
    "skills": lambda skill: skill.skill_id,
    "languages": lambda language: language.language_id,
    "roles": _role_key,
    "groups": lambda group: group.place_id,
    "queues": lambda queue: queue.place_id,
}
_SHARED = tuple({each.name for each in fields(Given)} & {each.name for each in fields(WantedState)} - {"phone"})
_NOTHING = Given()
