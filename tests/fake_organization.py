"""A tiny organization in memory, and a kit over it: every call is noted, any call may go wrong.

It stands where the Genesys client, the catalogue, the rules and the profile reader stand, so that steps and runner
can be tried without HTTP. What the real ones do is tested with the sandbox.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from builders import a_profile
from fixed_clock import FixedClock
from jitprov.cache.memory import MemoryCache
from jitprov.domain.agent import (
    Granted,
    MediaShare,
    Phone,
    Place,
    Profile,
    RatedLanguage,
    RatedSkill,
    RoleGrant,
    WantedState,
)
from jitprov.domain.clock import Clock
from jitprov.errors import NotYetConsistent, SkillUnknown
from jitprov.genesys.stations import StationLore
from jitprov.pipeline.kit import Kit
from jitprov.settings import Settings, read_settings

Call = tuple[Any, ...]
# What happens around a call: it may raise before `apply` runs (nothing was sent), or after (the answer was lost).
Meddle = Callable[[str, Callable[[], Any]], Any]

SKILL_IDS = {name: f"id-of-{name}" for name in ("Customer_Service", "Order_Tracking", "Billing")}


@functools.cache
def _settings(**changes: Any) -> Settings:
    return read_settings(_env_file=None, **changes)


@dataclass
class Agent:
    """One agent as the organization has it."""

    profile: Profile
    skills: dict[str, float] = field(default_factory=dict)
    phones: list[Phone] = field(default_factory=list)
    default_station: str = ""
    languages: dict[str, float] = field(default_factory=dict)
    shares: tuple[MediaShare, ...] = ()


class FakeOrganization:
    """Agents, skills, phones and stations, with the methods that steps call."""

    def __init__(self, *, line_id_is_station_id: bool = True, clock: Clock | None = None) -> None:
        self.agents: dict[str, Agent] = {}
        self.calls: list[Call] = []
        self.line_id_is_station_id = line_id_is_station_id
        self.clock = clock or FixedClock()
        self.cache = MemoryCache(self.clock.monotonic_s)
        self.lore = self.new_lore()
        self.stations_late = False
        self.phones_hidden: Callable[[Phone], bool] = lambda _: False
        self.assignments_late = False
        self.wanted: Callable[[Profile], WantedState] = lambda _: WantedState(
            rules=("Everybody",), skills=(RatedSkill("Customer_Service", 1.0), RatedSkill("Order_Tracking", 2.0))
        )
        self.known_skills = dict(SKILL_IDS)
        self.rule_lines: dict[str, int] = {}
        self.rules_look_at_location = False
        self.meddle: Meddle = lambda _, apply: apply()
        self.acting: list[str] = []
        self.release_phone = self.looks_at_department_or_title = False
        self.roles: frozenset[tuple[str, str]] = frozenset()
        self.queues: frozenset[str] = frozenset()

    def add(self, profile: Profile | None = None) -> Agent:
        agent = Agent(profile or a_profile())
        self.agents[agent.profile.user_id] = agent
        return agent

    def new_lore(self, **changes: Any) -> StationLore:
        """Return what a worker that just started knows about stations."""
        return StationLore(self.cache, self.clock, _settings(**changes))

    def station_of(self, phone: Phone) -> str:
        return phone.line_id if self.line_id_is_station_id else f"station-of-{phone.line_id}"

    def names(self) -> list[str]:
        """Return the names of the calls so far."""
        return [str(call[0]) for call in self.calls]

    def _call(self, apply: Callable[[], Any], name: str, *told: Any) -> Any:
        self.calls.append((name, *told))
        return self.meddle(name, apply)

    def hold(self) -> None:
        self.calls.append(("hold",))

    # --- the client -----------------------------------------------------------------------------------------
    @contextmanager
    def acting_for(self, provisioning_id: str) -> Iterator[None]:
        self.acting.append(provisioning_id)
        yield

    def get_user(self, user_id: str) -> Profile:
        def apply() -> Profile:
            if user_id not in self.agents:
                raise NotYetConsistent("the user is not known", http_status=404)
            return self._seen(user_id)

        return self._profile(self._call(apply, "get_user", user_id))

    def get_users(self, user_ids: Sequence[str]) -> dict[str, Profile]:
        def apply() -> dict[str, Profile]:
            return {user_id: self._seen(user_id) for user_id in user_ids if user_id in self.agents}

        found: dict[str, Profile] = self._call(apply, "get_users", tuple(user_ids))
        return found

    def patch_routing_skills(self, user_id: str, skills: Sequence[RatedSkill]) -> None:
        rated = {skill.skill_id: skill.proficiency for skill in skills}
        self._call(lambda: self.agents[user_id].skills.update(rated), "patch_routing_skills", user_id, rated)

    def put_routing_skills(self, user_id: str, skills: Sequence[RatedSkill]) -> None:
        rated = {skill.skill_id: skill.proficiency for skill in skills}

        def apply() -> None:
            self.agents[user_id].skills = dict(rated)

        self._call(apply, "put_routing_skills", user_id, rated)

    def find_phones(self, user_id: str) -> list[Phone]:
        def apply() -> list[Phone]:
            return [phone for phone in self.agents[user_id].phones if not self.phones_hidden(phone)]

        phones: list[Phone] = self._call(apply, "find_phones", user_id)
        return phones

    def create_phone(
        self, user_id: str, name: str, setup: object, *, about_to_send: Callable[[], None] = lambda: None
    ) -> Phone:
        about_to_send()

        def apply() -> Phone:
            phone = Phone(str(uuid4()), str(uuid4()), name)
            self.agents[user_id].phones.append(phone)
            return phone

        made: Phone = self._call(apply, "create_phone", user_id, setup)
        return made

    def delete_phone(self, phone_id: str) -> None:
        def apply() -> None:
            for agent in self.agents.values():
                agent.phones = [phone for phone in agent.phones if phone.phone_id != phone_id]

        self._call(apply, "delete_phone", phone_id)

    def find_station(self, user_id: str) -> str | None:
        def apply() -> str | None:
            phones = self.agents[user_id].phones
            return self.station_of(phones[0]) if phones and not self.stations_late else None

        found: str | None = self._call(apply, "find_station", user_id)
        return found

    def get_default_station(self, user_id: str) -> str | None:
        found: str | None = self._call(
            lambda: self.agents[user_id].default_station or None, "get_default_station", user_id
        )
        return found

    def set_default_station(self, user_id: str, station_id: str) -> bool:
        def apply() -> bool:
            agent = self.agents[user_id]
            known = station_id in map(self.station_of, agent.phones) and not self.stations_late
            if known and not self.assignments_late:
                agent.default_station = station_id
            return known

        was_set: bool = self._call(apply, "set_default_station", user_id, station_id)
        return was_set

    # --- catalogue, rules, profiles -------------------------------------------------------------------------
    def skill_ids(self, names: Sequence[str]) -> dict[str, str]:
        unknown = [name for name in names if name not in self.known_skills]
        if unknown:
            raise SkillUnknown("; ".join(f"no routing skill {name!r}" for name in unknown))
        return {name: self.known_skills[name] for name in names}

    def forget_skills(self) -> None:
        self.calls.append(("forget_skills",))

    def patch_languages(self, user_id: str, languages: Sequence[RatedLanguage]) -> None:
        rated = {language.language_id: language.proficiency for language in languages}
        self._call(lambda: self.agents[user_id].languages.update(rated), "patch_languages", user_id, rated)

    def remove_language(self, user_id: str, language_id: str) -> None:
        self._call(lambda: self.agents[user_id].languages.pop(language_id, None), "remove_language", language_id)

    def put_utilization(self, user_id: str, shares: Sequence[MediaShare]) -> None:
        def apply() -> None:
            self.agents[user_id].shares = tuple(shares)

        self._call(apply, "put_utilization", user_id, tuple(shares))

    def utilization(self) -> dict[str, MediaShare]:
        return {"call": MediaShare("call", 1, ()), "email": MediaShare("email", 1, ("call", "chat"))}

    def forget(self) -> None:
        self.calls.append(("forget",))

    def resolved(self, wanted: WantedState) -> WantedState:
        languages = tuple(replace(each, language_id=f"id-of-{each.name}") for each in wanted.languages)
        return replace(wanted, languages=languages)

    def give(self, user_id: str, wanted: WantedState, profile: Profile, *, anew: bool) -> tuple[Granted, ...]:
        given: tuple[Granted, ...] = self._call(
            lambda: tuple(Granted("group", group.name, "own", 1) for group in wanted.groups), "give", user_id, anew
        )
        return given

    def grants_of(self, user_id: str) -> frozenset[tuple[str, str]]:
        held: frozenset[tuple[str, str]] = self._call(lambda: self.roles, "grants_of", user_id)
        return held

    def queues_of(self, user_id: str, *, enough: frozenset[str]) -> frozenset[str]:
        held: frozenset[str] = self._call(lambda: self.queues, "queues_of", user_id)
        return held

    def spare_queues(self, user_id: str, *, kept: frozenset[str]) -> tuple[Place, ...]:
        spare: tuple[Place, ...] = self._call(
            lambda: tuple(Place(each, each) for each in sorted(self.queues - kept)), "spare_queues", user_id
        )
        return spare

    def forget_notes(self, user_id: str) -> None:
        """Notes of grants are the grants' own affair."""

    # --- removals -------------------------------------------------------------------------------------------
    def remove_skill(self, user_id: str, skill_id: str) -> None:
        self._call(lambda: self.agents[user_id].skills.pop(skill_id, None), "remove_skill", skill_id)

    def reset_utilization(self, user_id: str) -> None:
        self._call(lambda: None, "reset_utilization")

    def revoke_roles(self, user_id: str, grants: Sequence[RoleGrant]) -> None:
        self._call(lambda: None, "revoke_roles", *(grant.role_id for grant in grants))

    def remove_from_group(self, user_id: str, group_id: str) -> None:
        self._call(lambda: None, "remove_from_group", group_id)

    def remove_from_queue(self, user_id: str, queue_id: str) -> None:
        self._call(lambda: None, "remove_from_queue", queue_id)

    def move_back(self, user_id: str, division_id: str) -> None:
        self._call(lambda: None, "move_back", division_id)

    def remove_phone(self, phone_id: str) -> None:
        def apply() -> None:
            for agent in self.agents.values():
                agent.phones = [phone for phone in agent.phones if phone.phone_id != phone_id]

        self._call(apply, "remove_phone", phone_id)

    def phone_setup(self, site: str = "", base: str = "") -> str:
        setup: str = self._call(lambda: "the setup", "phone_setup")
        return setup

    def in_force(self) -> FakeOrganization:
        return self

    @property
    def rules_version(self) -> str:
        return "v1"

    def wanted_for(self, profile: Profile) -> WantedState:
        return self.wanted(profile)

    def name_lines(self) -> dict[str, int]:
        return self.rule_lines

    def looks_at_location(self) -> bool:
        return self.rules_look_at_location

    def of(self, user_id: str, *, since: datetime | None = None) -> Profile:
        return self._profile(self._call(lambda: self._seen(user_id), "profile_of", user_id))

    def fresh(self, user_id: str) -> Profile:
        return self._profile(self._call(lambda: self._seen(user_id), "fresh_profile_of", user_id))

    def _seen(self, user_id: str) -> Profile:
        agent = self.agents[user_id]
        held = tuple(RatedSkill("", rating, skill_id) for skill_id, rating in agent.skills.items())
        return replace(agent.profile, skills=held, default_station_id=agent.default_station)

    @staticmethod
    def _profile(found: Any) -> Profile:
        assert isinstance(found, Profile)
        return found


def a_kit(organization: FakeOrganization, **changes: Any) -> Kit:
    """Return a kit whose every part is the organization."""
    parts: Any = organization
    values = {
        "genesys": parts,
        "catalogue": parts,
        "rules": parts,
        "profiles": parts,
        "access": parts,
        "holdings": parts,
        "removals": parts,
        "belongings": parts,
        "grants": parts,
        "stations": organization.lore,
        "hold": organization.hold,
    } | changes
    return Kit(**values)
