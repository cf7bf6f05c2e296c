"""Is every agent call-ready? Asked of the sandbox' own state, never of the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from jitprov.domain.agent import MediaShare, Profile, WantedState
from jitprov.domain.provisioning import Provisioning, State
from jitprov.errors import NoRuleMatched
from jitprov.rules.engine import RuleBook


@dataclass(frozen=True, slots=True)
class Wrong:
    """One way in which one agent is not as the rules say."""

    user_id: str
    what: str


def wrong_agents(state: Mapping[str, Any], rules: RuleBook, *, of: Collection[str] | None = None) -> list[Wrong]:
    """Compare each agent in the sandbox with all that the rules give.

    They began with nothing but what everyone has: skills, languages, groups and queues must be exactly the rules', and
    roles at least. One phone or none, of the site and base that the rules choose, its station the default one; division
    and utilization as the rules say, or the organization's.

    Args:
        state: The sandbox' state, with the organization's names.
        rules: What each shall have. None of them may look at a division that the rules themselves move agents to.
        of: User ids; everybody's when None.
    """
    judge = _Judge(state["organization"], state["default_site_id"])
    return [
        Wrong(user["id"], what)
        for user in state["users"]
        if of is None or user["id"] in of
        for what in judge.faults(user, rules)
    ]


class _Judge:
    def __init__(self, organization: Mapping[str, Any], default_site_id: str) -> None:
        self._home: str = organization["home_division"]
        self._divisions: Mapping[str, str] = organization["divisions"]
        self._sites: Mapping[str, str] = organization["sites"]
        self._bases: Mapping[str, str] = organization["phone_bases"]
        self._utilization: Mapping[str, Any] = organization["utilization"]
        self._default_site: str = self._sites[default_site_id]

    def faults(self, user: Mapping[str, Any], rules: RuleBook) -> Iterator[str]:
        try:
            wanted = rules.wanted_for(self._profile_of(user))
        except NoRuleMatched:
            yield "no rule covers this agent"
            return
        for what, has, should in (
            ("skills", _rated(user["skills"]), {each.name: each.proficiency for each in wanted.skills}),
            ("languages", _rated(user["languages"]), {each.name: each.proficiency for each in wanted.languages}),
            ("groups", sorted(user["groups"]), sorted(group.name for group in wanted.groups)),
            ("queues", sorted(user["queues"]), sorted(queue.name for queue in wanted.queues)),
            ("division", self._divisions[user["division_id"]], wanted.division.name if wanted.division else self._home),
            ("utilization", *self._shares(user, wanted)),
        ):
            if has != should:
                yield f"{what} {has} instead of {should}"
        lacks = {(each.role, each.division or self._home) for each in wanted.roles} - {
            (role["name"], self._divisions[role["division_id"]]) for role in user["roles"]
        }
        if lacks:
            yield f"lacks roles {sorted(lacks)}"
        yield from self._phone_faults(user, wanted)

    def _profile_of(self, user: Mapping[str, Any]) -> Profile:
        return Profile(
            user_id=user["id"],
            email=user.get("email") or "",
            department=user.get("department") or "",
            title=user.get("title") or "",
            division=self._home,
            locations=tuple(user.get("locations") or ()),
        )

    def _phone_faults(self, user: Mapping[str, Any], wanted: WantedState) -> Iterator[str]:
        phones = user["phones"]
        if len(phones) != int(wanted.phone):
            yield f"{len(phones)} phones instead of {int(wanted.phone)}"
            return
        for phone in phones:
            if user["default_station_id"] != phone["station_id"]:
                yield f"default station {user['default_station_id']} is not its phone's"
            site, base = self._sites[phone["site_id"]], self._bases[phone["phone_base_id"]]
            if site != (wanted.site or self._default_site):
                yield f"a phone of site {site} instead of {wanted.site or self._default_site}"
            if wanted.phone_base and base != wanted.phone_base:
                yield f"a phone of base {base} instead of {wanted.phone_base}"

    def _shares(self, user: Mapping[str, Any], wanted: WantedState) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return capacity and interrupting media of what the rules name: as in effect, and as it shall be."""
        held = (user["utilization"] or {}).get("utilization") or self._utilization

        def should(share: MediaShare) -> tuple[int, list[str]]:
            usual = self._utilization[share.media].get("interruptableMediaTypes") or []
            return share.capacity, sorted(usual if share.interruptible is None else share.interruptible)

        in_effect = {
            share.media: (
                held[share.media]["maximumCapacity"],
                sorted(held[share.media].get("interruptableMediaTypes") or []),
            )
            for share in wanted.utilization
        }
        return in_effect, {share.media: should(share) for share in wanted.utilization}


def _rated(held: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {each["name"]: each["proficiency"] for each in held}


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
