"""A plan that can be kept: who would be changed, and how each and the rules looked when it was made. Sends nothing.

It names users by id, holds no name, address or department, and nothing that is done follows from its content: applying
compares anew, and refuses when that differs. So a plan that was altered does nothing that a new plan would not show.
What an agent looked like lies in it as digests under `JITPROV_DATA_KEY`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jitprov.domain.actual import Actual
from jitprov.domain.agent import Profile
from jitprov.pipeline.comparison import Compared
from jitprov.sealing import Seals

BYTES_MAX = 33_554_432
AGENTS_MAX = 100_000
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_UserId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class PlanUnusable(Exception):  # noqa: N818  says what it is
    """What was read is no plan; the text says where and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PlannedAgent(_Part):
    """An agent of a plan: digests of how they looked, and what the plan showed, for people."""

    user_id: _UserId
    profile: _Digest
    actual: _Digest
    changes: int = Field(ge=0)
    calls: int = Field(ge=0)


class Plan(_Part):
    """A plan as it lies in its file."""

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["plan"]
    made_at: str
    organization: str
    rules_version: str
    agents: list[PlannedAgent] = Field(max_length=AGENTS_MAX)


@dataclass(frozen=True, slots=True)
class Moved:
    """What is not as it was when the plan was made.

    Attributes:
        user_id: Of the agent; empty for what concerns all.
        what: In words.
    """

    user_id: str
    what: str


def plan_of(
    compared: Sequence[Compared], seals: Seals, *, organization: str, rules_version: str, made_at: datetime
) -> Plan:
    """Return a plan for those who differ.

    Args:
        compared: Thoroughly.
        seals: Digest what agents look like.
        organization: See `organization_key`.
        rules_version: Of the rules compared with.
        made_at: When.
    """
    agents = [
        PlannedAgent(
            user_id=each.user_id,
            profile=_digests(each, "profile", seals)[0],
            actual=_digests(each, "actual", seals)[0],
            changes=len(each.difference.changes),
            calls=len(each.difference.calls),
        )
        for each in compared
        if each.difference
    ]
    return Plan(
        schema=1,
        kind="plan",
        made_at=made_at.isoformat(timespec="seconds"),
        organization=organization,
        rules_version=rules_version,
        agents=agents,
    )


def written(plan: Plan) -> bytes:
    """Return a plan as the text of its file."""
    return json.dumps(plan.model_dump(by_alias=True), indent=1).encode() + b"\n"


def read_plan(raw: bytes) -> Plan:
    """Return the plan that a file holds.

    Raises:
        PlanUnusable: It holds none, or another version's.
    """
    if len(raw) > BYTES_MAX:
        raise PlanUnusable(f"larger than {BYTES_MAX // 1_048_576} MiB. Make plans for fewer agents at a time")
    again = "Make it anew: jitprov plan … --out FILE"
    try:
        content = json.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise PlanUnusable(f"this is not JSON{place}. {again}") from None
    if isinstance(content, dict) and content.get("schema", 1) != 1:
        raise PlanUnusable(f"schema {str(content['schema'])[:20]} is another version's. {again}")
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise PlanUnusable(f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}. {again}") from None
    if len({each.user_id for each in plan.agents}) < len(plan.agents):
        raise PlanUnusable(f"agents: somebody is named twice. {again}")
    return plan


def what_moved(
    plan: Plan, compared: Sequence[Compared], seals: Seals, *, organization: str, rules_version: str
) -> list[Moved]:
    """Return what is not as it was when the plan was made; nothing when it may be applied.

    Args:
        plan: As read.
        compared: Its agents now, thoroughly; those that the API does not show any more are absent.
        seals: Digest what agents look like.
        organization: The present one.
        rules_version: The present one.
    """
    if plan.organization != organization:
        return [Moved("", "the plan is of another organization or OAuth client")]
    if plan.rules_version != rules_version:
        return [Moved("", f"the rules are version {rules_version}; the plan was made with {plan.rules_version}")]
    now: Mapping[str, Compared] = {each.user_id: each for each in compared}
    return [
        Moved(agent.user_id, what) for agent in plan.agents if (what := _moved(agent, now.get(agent.user_id), seals))
    ]


def _moved(agent: PlannedAgent, now: Compared | None, seals: Seals) -> str:
    if now is None:
        return "is not there any more, or was deleted"
    parts = []
    if agent.profile not in _digests(now, "profile", seals):
        parts.append("department, title, division, address or state changed")
    if agent.actual not in _digests(now, "actual", seals):
        parts.append("what the agent has, or shall have, changed")
    return " and ".join(parts)


def _digests(each: Compared, part: Literal["profile", "actual"], seals: Seals) -> tuple[str, ...]:
    seen = _seen(each.listed.profile) if part == "profile" else _has(each.actual)
    shall = [asdict(change) | {"wanted": None} for change in each.difference.changes] if part == "actual" else []
    told = json.dumps([each.user_id, part, seen, shall], sort_keys=True, default=str)
    return seals.digests(f"plan {told}")


def _seen(profile: Profile) -> list[str]:
    _, _, domain = profile.email.rpartition("@")
    return [profile.department, profile.title, profile.division, profile.division_id, domain, profile.state]


def _has(actual: Actual | None) -> dict[str, Any]:
    if actual is None:
        return {}
    profile = actual.profile
    return {
        "skills": sorted((skill.skill_id, skill.proficiency) for skill in profile.skills),
        "languages": sorted((each.language_id, each.proficiency) for each in profile.languages),
        "groups": sorted(profile.group_ids),
        "station": profile.default_station_id,
        "at_own_phone": actual.at_own_phone,
        "utilization": actual.utilization and {media: asdict(share) for media, share in actual.utilization.items()},
        "roles": actual.roles and sorted(actual.roles),
        "queues": actual.queues and sorted(actual.queues),
        "phones": actual.phones and [phone.phone_id for phone in actual.phones],
    }
