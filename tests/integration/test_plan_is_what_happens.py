"""What a plan names is what then happens, call by call: the real steps on the sandbox, for rules that hypothesis makes.

Rules of before have been followed, people have changed what they left, and then other rules come.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import an_opening
from in_process import InProcess, in_process
from jitprov.domain.agent import RatedLanguage, RatedSkill, RoleGrant
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread

pytestmark = pytest.mark.integration

RATINGS = st.sampled_from([1, 2.5, 5])
SKILLS = st.dictionaries(st.sampled_from(["Customer_Service", "Order_Tracking", "Complaints"]), RATINGS, min_size=1)
LANGUAGES = st.dictionaries(st.sampled_from(["French", "German"]), RATINGS)
ROLES = st.lists(st.sampled_from(["Agent", "Supervisor"]), unique=True)
GROUPS = st.lists(st.sampled_from(["Retail Floor", "Announcements"]), unique=True)
QUEUES = st.lists(st.sampled_from(["Retail Calls", "Overflow"]), unique=True)
UTILIZATION = st.dictionaries(st.sampled_from(["chat", "email"]), st.integers(1, 4))
RULES = st.fixed_dictionaries(
    {"skills": SKILLS, "mode": st.sampled_from(["merge", "replace"]), "phone": st.booleans()},
    optional={
        "languages": LANGUAGES,
        "roles": ROLES,
        "groups": GROUPS,
        "queues": QUEUES,
        "utilization": UTILIZATION,
        "division": st.sampled_from(["Seasonal", "Headquarters"]),
    },
)
# What people do by hand in between; each is one thing, so that what is left differs in many ways.
BY_HAND = st.fixed_dictionaries(
    {}, optional={"skills": SKILLS, "languages": LANGUAGES, "groups": GROUPS, "queues": QUEUES, "taken": st.just(True)}
)


@pytest.fixture(scope="module", params=[True, False], ids=["line id", "look-up"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxThread]:
    options = SandboxOptions(
        limit_per_min=100_000,
        line_id_is_station_id=request.param,
        station_lag_s=(0, 0),
        assignment_lag_s=(0, 0),
    )
    with SandboxThread(options) as running:
        yield running


@pytest.fixture
def parts(sandbox: SandboxThread, redis_url: str, key_prefix: str, tmp_path: Path) -> Iterator[InProcess]:
    sandbox.control.reset()
    source = "line_id" if sandbox.control.options()["line_id_is_station_id"] else "lookup"
    more = {"JITPROV_STATION_SOURCE": source, "JITPROV_STATION_FIRST_LOOK_S": "0"}
    with in_process(sandbox, redis_url, key_prefix, tmp_path, **more) as running:
        yield running


def written(rule: dict[str, Any]) -> str:
    return yaml.safe_dump({"version": 1, "rules": [{"name": "All", **rule}]})


def changed_by_hand(parts: InProcess, user_id: str, done: dict[str, Any]) -> None:
    kept = parts.services()
    ids = kept.catalogue.skill_ids(list(done.get("skills", {})))
    if ids:
        skills = [RatedSkill(name, rating, ids[name]) for name, rating in done["skills"].items()]
        kept.genesys.patch_routing_skills(user_id, skills)
    spoken = kept.belongings.ids("languages", done.get("languages", {}))
    if spoken:
        kept.access.patch_languages(
            user_id, [RatedLanguage(name, rating, spoken[name]) for name, rating in done["languages"].items()]
        )
    for group_id in kept.belongings.ids("groups", done.get("groups", [])).values():
        kept.access.add_to_group(group_id, [user_id])
    for queue_id in kept.belongings.ids("queues", done.get("queues", [])).values():
        kept.access.add_to_queue(queue_id, [user_id])
    if done.get("taken"):  # what jitprov gave goes behind its back
        for queue_id in kept.belongings.ids("queues", ["Retail Calls", "Overflow"]).values():
            kept.removals.remove_from_queue(user_id, queue_id)
        held = [RoleGrant("", "", role_id, division_id) for role_id, division_id in kept.holdings.grants_of(user_id)]
        kept.removals.revoke_roles(user_id, held)
        kept.removals.reset_utilization(user_id)
        for phone in kept.genesys.find_phones(user_id):
            kept.genesys.delete_phone(phone.phone_id)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(before=RULES, by_hand=BY_HAND, after=RULES)
def test_the_calls_made_are_those_named(
    parts: InProcess, before: dict[str, Any], by_hand: dict[str, Any], after: dict[str, Any]
) -> None:
    """The plan names exactly the calls that the steps then make; after them nothing differs, and nothing is sent."""
    [user], _ = parts.sandbox.control.sign_in_silently(1)
    file = parts.folder / f"plan-{uuid4()}.json"
    parts.rules(written(before))
    kept = parts.services()
    kept.ledger.accept([an_opening(user_id=user["id"])], look_after_s=60)
    parts.walk(user["id"])
    changed_by_hand(parts, user["id"], by_hand)
    parts.rules(written(after))

    plan = parts.told("plan", user["id"], "--out", str(file))
    named = Counter(f"{call['method']} {call['route']}" for call in plan["calls"])
    since = parts.so_far()
    applied = parts.told("apply", str(file), "--yes")

    if named:
        assert applied["act"]["outcome"] == "1 opened"
        parts.walk(user["id"])
    assert Counter(parts.sent(since)) == named, json.dumps(plan["agents"][0]["changes"], indent=1)
    left = parts.told("plan", user["id"])["agents"][0]
    assert (left["changes"], left["calls"]) == ([], [])
    assert Counter(parts.sent(since)) == named
