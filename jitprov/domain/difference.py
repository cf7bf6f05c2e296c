"""What an agent has against what the rules want: the one comparison that steps, plan and drift share. Pure.

What jitprov itself gave and the rules do not give any more is among the changes; what others gave is not, unless the
rules replace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jitprov.domain.actual import ANY_DIVISION, Actual
from jitprov.domain.agent import MediaShare, Profile, RatedLanguage, RatedSkill, WantedState
from jitprov.domain.change import AGENTS_PER_CALL, RATED_PER_CALL, Call, Change, How, What
from jitprov.domain.given import Given
from jitprov.domain.skills import complete_shares, diff_languages, diff_skills, extra_languages
from jitprov.domain.withdrawal import withdrawn

_ROUTES: Mapping[str, tuple[str, str]] = {
    "skill": ("PATCH", "/api/v2/users/{userId}/routingskills/bulk"),
    "language": ("PATCH", "/api/v2/users/{userId}/routinglanguages/bulk"),
    "utilization": ("PUT", "/api/v2/routing/users/{userId}/utilization"),
    "division": ("POST", "/api/v2/authorization/divisions/{divisionId}/objects/{objectType}"),
    "role": ("POST", "/api/v2/authorization/roles/{roleId}"),
    "group": ("POST", "/api/v2/groups/{groupId}/members"),
    "queue": ("POST", "/api/v2/routing/queues/{queueId}/members"),
    "phone": ("POST", "/api/v2/telephony/providers/edges/phones"),
    "station": ("PUT", "/api/v2/users/{userId}/station/defaultstation/{stationId}"),
}
_TAKE_LANGUAGE = "/api/v2/users/{userId}/routinglanguages/{languageId}"


@dataclass(frozen=True, slots=True)
class Grantable:
    """One thing that can be given to many at once.

    Attributes:
        what: `division`, `role`, `group` or `queue`.
        ids: Of the thing; of a role, its own and its division's.
        name: For people; does not count.
    """

    what: Literal["division", "role", "group", "queue"]
    ids: tuple[str, ...]
    name: str = field(compare=False)

    @property
    def note(self) -> str:
        """What is noted about somebody who was given it."""
        return ":".join((self.what, *self.ids))


@dataclass(frozen=True, slots=True)
class Difference:
    """How an agent differs from what the rules want.

    Attributes:
        changes: In the order of the corridor.
        calls: That mend them, in the same order; reads are not among them.
        unseen: Kinds that the rules ask for and nobody looked at.
    """

    changes: tuple[Change, ...] = ()
    calls: tuple[Call, ...] = ()
    unseen: tuple[What, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.changes)


def differ(
    wanted: WantedState, actual: Actual, usual: Mapping[str, MediaShare], surplus: Given | None = None
) -> Difference:
    """Return how an agent differs from what the rules want.

    Args:
        wanted: With ids.
        actual: What the agent has.
        usual: The organization's utilization; asked for only where rules name media.
        surplus: What jitprov gave and the rules do not give any more; see `domain.given`.
    """
    spare = (actual.spare_queues or ()) if wanted.replaces_queues else ()
    changes: list[Change] = []
    calls: list[Call] = []
    for found, called in (
        _skills(wanted, actual.profile),
        _languages(wanted, actual.profile),
        _phone(wanted, actual),
        _utilization(wanted, actual, usual),
        _access(wanted, actual),
        withdrawn((surplus or Given()) + Given(queues=spare), actual.profile),
    ):
        changes += found
        calls += called
    return Difference(tuple(changes), tuple(calls), _unseen(wanted, actual))


def shares_to_set(
    wanted: WantedState, held: Mapping[str, MediaShare], usual: Mapping[str, MediaShare]
) -> tuple[MediaShare, ...]:
    """Return the utilization that must be sent; empty when what the rules name is in effect.

    What is sent replaces all that the agent has of their own: media that no rule names go along as they are.

    Args:
        wanted: What the rules name.
        held: In effect for the agent.
        usual: The organization's.
    """
    shares = complete_shares(wanted.utilization, usual)
    if all(held.get(share.media) == share for share in shares):
        return ()
    named = {share.media for share in shares}
    own = (share for media, share in held.items() if media not in named and usual.get(media) != share)
    return (*shares, *own)


def lacking(wanted: WantedState, actual: Actual) -> list[Grantable]:
    """Return what an agent must be given of division, roles, groups and queues; what was not looked at is left out."""
    found = []
    if wanted.division and wanted.division.place_id != actual.profile.division_id:
        found.append(Grantable("division", (wanted.division.place_id,), wanted.division.name))
    if actual.roles is not None:
        for grant in wanted.roles:
            if not actual.roles & {(grant.role_id, grant.division_id), (grant.role_id, ANY_DIVISION)}:
                name = f"{grant.role} in {grant.division or 'the home division'}"
                found.append(Grantable("role", (grant.role_id, grant.division_id), name))
    for what, places, held in (
        ("group", wanted.groups, actual.profile.group_ids),
        ("queue", wanted.queues, actual.queues),
    ):
        if held is not None:
            found += [
                Grantable(what, (place.place_id,), place.name)  # type: ignore[arg-type]
                for place in places
                if place.place_id not in held
            ]
    return found


def calls_together(differences: Mapping[str, Difference]) -> dict[Call, list[tuple[str, ...]]]:
    """Return the calls of several agents, each with the agents that it serves, as few calls as the API allows.

    Args:
        differences: By agent.
    """
    served: dict[Call, list[str]] = {}
    for agent, difference in differences.items():
        for call in difference.calls:
            served.setdefault(call, []).append(agent)
    return {
        call: [tuple(agents[at : at + call.agents_max]) for at in range(0, len(agents), call.agents_max)]
        for call, agents in served.items()
    }


def _skills(wanted: WantedState, profile: Profile) -> tuple[list[Change], list[Call]]:
    sent = diff_skills(wanted, profile.skills)
    if sent is None:
        return [], []
    held = {skill.skill_id: skill for skill in profile.skills}
    changes = [
        _rated("skill", skill, held.get(skill.skill_id))
        for skill in wanted.skills
        if skill.skill_id not in held or held[skill.skill_id].proficiency != skill.proficiency
    ]
    parts = max(1, -(-len(sent) // RATED_PER_CALL))
    calls = [_call("skill", part=part) for part in range(1, parts + 1)]
    if wanted.mode == "replace":
        kept = {skill.skill_id for skill in wanted.skills}
        extra = (skill for skill in profile.skills if skill.skill_id not in kept)
        changes += [Change("skill", skill.name, "take", f"{skill.proficiency:g}") for skill in extra]
        # A second PUT would replace the first: what goes beyond one call is added.
        calls[0] = Call("PUT", calls[0].route)
    return changes, calls


def _languages(wanted: WantedState, profile: Profile) -> tuple[list[Change], list[Call]]:
    sent = diff_languages(wanted.languages, profile.languages)
    held = {language.language_id: language for language in profile.languages}
    extra = extra_languages(wanted, profile.languages)
    changes = [_rated("language", language, held.get(language.language_id)) for language in sent]
    changes += [Change("language", language.name, "take", f"{language.proficiency:g}") for language in extra]
    calls = [_call("language", part=part) for part in range(1, -(-len(sent) // RATED_PER_CALL) + 1)]
    return changes, calls + [Call("DELETE", _TAKE_LANGUAGE, part=part) for part in range(1, len(extra) + 1)]


def _rated(what: What, wanted: RatedSkill | RatedLanguage, held: RatedSkill | RatedLanguage | None) -> Change:
    how: How = "rate" if held else "give"
    before = f"{held.proficiency:g}" if held else ""
    return Change(what, wanted.name, how, before, f"{wanted.proficiency:g}", wanted)


def _phone(wanted: WantedState, actual: Actual) -> tuple[list[Change], list[Call]]:
    if not wanted.phone or actual.phones is None:
        return [], []
    changes, calls = [], []
    if not actual.phones:
        changes.append(Change("phone", "WebRTC phone", "make", after="one", wanted=True))
        calls.append(_call("phone"))
    if not actual.phones or actual.at_own_phone is False:
        before = "another" if actual.profile.default_station_id else ""
        changes.append(Change("station", "default station", "set", before, "the phone's", wanted=True))
        calls.append(_call("station"))
    return changes, calls


def _utilization(
    wanted: WantedState, actual: Actual, usual: Mapping[str, MediaShare]
) -> tuple[list[Change], list[Call]]:
    if actual.utilization is None or not shares_to_set(wanted, actual.utilization, usual):
        return [], []
    changes = [
        Change("utilization", share.media, "set", _in_words(held), _in_words(share), said)
        for said, share in zip(wanted.utilization, complete_shares(wanted.utilization, usual), strict=True)
        if (held := actual.utilization.get(share.media)) != share
    ]
    return changes, [_call("utilization")]


def _access(wanted: WantedState, actual: Actual) -> tuple[list[Change], list[Call]]:
    said: dict[tuple[str, ...], Any] = {("role", each.role_id, each.division_id): each for each in wanted.roles}
    said |= {("group", each.place_id): each for each in wanted.groups}
    said |= {("queue", each.place_id): each for each in wanted.queues}
    changes, calls = [], []
    for thing in lacking(wanted, actual):
        if thing.what == "division":
            before = actual.profile.division
            changes.append(Change("division", thing.name, "move", before, thing.name, wanted.division))
        else:
            changes.append(Change(thing.what, thing.name, "give", wanted=said[thing.what, *thing.ids]))
        calls.append(_call(thing.what, thing.note))
    return changes, calls


def _unseen(wanted: WantedState, actual: Actual) -> tuple[What, ...]:
    asked: dict[What, tuple[Any, Any]] = {
        "phone": (wanted.phone, actual.phones),
        "utilization": (wanted.utilization, actual.utilization),
        "role": (wanted.roles, actual.roles),
        "queue": (wanted.queues, actual.spare_queues if wanted.replaces_queues else actual.queues),
    }
    return tuple(what for what, (wish, seen) in asked.items() if wish and seen is None)


def _call(what: What, thing: str = "", *, part: int = 1) -> Call:
    method, route = _ROUTES[what]
    return Call(method, route, thing, part, AGENTS_PER_CALL.get(what, 1) if thing else 1)


def _in_words(share: MediaShare | None) -> str:
    if share is None:
        return ""
    return f"{share.capacity} at once, interruptible by {', '.join(share.interruptible or ()) or 'nothing'}"
