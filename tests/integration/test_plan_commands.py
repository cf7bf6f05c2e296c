"""`plan` against an organization, with --json and without: what it names and keeps; it sends nothing but reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from in_process import InProcess, in_process
from jitprov.domain.agent import RatedSkill
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread

pytestmark = pytest.mark.integration

RULES = """\
version: 1
match: merge
rules:
  - name: Retail
    when: {department: Seasonal_Retail}
    skills: {Customer_Service: 2.5}
    languages: {French: 3}
    utilization: {chat: {capacity: 2, interruptible: [call]}}
    division: Seasonal
    roles: [Agent]
    groups: [Retail Floor]
    queues: [Retail Calls]
  - name: Everyone
    skills: {Order_Tracking: 1}
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread(SandboxOptions(limit_per_min=100_000)) as running:
        yield running


@pytest.fixture
def parts(sandbox: SandboxThread, redis_url: str, key_prefix: str, tmp_path: Path) -> Iterator[InProcess]:
    sandbox.control.reset()
    with in_process(sandbox, redis_url, key_prefix, tmp_path) as running:
        running.rules(RULES)
        yield running


def test_a_plan_names_every_change_and_call_and_sends_nothing_but_reads(parts: InProcess, tmp_path: Path) -> None:
    """All that the rules give is named with rule, line and call; the organization sees reads alone."""
    users, _ = parts.sandbox.control.sign_in_silently(3, departments=["Seasonal_Retail"])
    file = tmp_path / "plan.json"

    shown = parts.told("plan", "--department", "seasonal_retail", "--out", str(file))

    assert parts.sent() == []
    assert {each["user_id"] for each in shown["agents"]} == {user["id"] for user in users}
    for each in shown["agents"]:
        assert [(one["what"], one["name"], one["rule"], one["line"]) for one in each["changes"]] == [
            ("skill", "Customer_Service", "Retail", 6),
            ("skill", "Order_Tracking", "Everyone", 14),
            ("language", "French", "Retail", 7),
            ("phone", "WebRTC phone", "defaults", 0),
            ("station", "default station", "defaults", 0),
            ("utilization", "chat", "Retail", 0),
            ("division", "Seasonal", "Retail", 9),
            ("role", "Agent in Seasonal", "Retail", 10),
            ("group", "Retail Floor", "Retail", 11),
            ("queue", "Retail Calls", "Retail", 12),
        ]
    # Five calls an agent of their own, and four for all of them.
    assert [len(call["user_ids"]) for call in shown["calls"]].count(3) == 4
    assert (shown["totals"]["differ"], shown["totals"]["calls"]) == (3, 5 * 3 + 4)
    assert shown["totals"]["minutes"] > 0

    kept = file.read_text()
    assert {each["user_id"] for each in json.loads(kept)["agents"]} == {user["id"] for user in users}
    for user in users:
        assert not any(user[part] in kept for part in ("name", "email", "department"))


def test_who_is_meant_is_found_or_said_not_to_be(parts: InProcess) -> None:
    """An agent is named by id or address; an unknown one, an empty department and no scope end with what to do."""
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])

    assert parts.told("plan", user["email"])["agents"][0]["user_id"] == user["id"]
    assert parts.told("plan", user["id"].upper())["agents"][0]["user_id"] == user["id"]
    for command, said in {
        ("plan", "robin@nowhere.test"): "nobody is known by robin@nowhere.test",
        ("plan", "--department", "Seasonal_Retial"): "nearest: Seasonal_Retail",
        ("plan",): "name users, or a --department",
    }.items():
        assert said in parts.said(*command, code=2 if command == ("plan",) else 1)


def test_a_plan_is_refused_when_the_world_has_moved(parts: InProcess, tmp_path: Path) -> None:
    """Another skill, another title, other rules, a deleted user: who and what is said, and nothing is sent."""
    users, _ = parts.sandbox.control.sign_in_silently(3, departments=["Seasonal_Retail"])
    file = tmp_path / "plan.json"
    parts.told("plan", "--department", "Seasonal_Retail", "--out", str(file))
    kept = parts.services()
    [skill_id] = kept.catalogue.skill_ids(["Complaints"]).values()
    kept.genesys.patch_routing_skills(users[0]["id"], [RatedSkill("Complaints", 1.0, skill_id)])
    deleted = f"/api/v2/users/{users[1]['id']}"
    kept.transport.request("DELETE", deleted, safe=True)
    since = parts.so_far()

    moved = parts.told("apply", str(file), "--yes", code=4)["moved"]

    assert {each["user_id"]: each["what"] for each in moved} == {
        users[0]["id"]: "what the agent has, or shall have, changed",
        users[1]["id"]: "is not there any more, or was deleted",
    }
    parts.rules(RULES.replace("2.5", "3"))
    assert "the rules are version" in parts.said("apply", str(file), "--yes", code=4)
    assert parts.sent(since) == []
    assert parts.told("actions")["actions"] == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-30], "this is not JSON"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "schema 2 is another version's"),
        (lambda text: text.replace('"user_id": "', '"user_id": "../'), "agents.0.user_id"),
        (lambda text: text.replace('"kind": "plan"', '"kind": "plan", "call": "DELETE"'), "call: extra inputs"),
    ],
)
def test_a_damaged_plan_is_refused(parts: InProcess, tmp_path: Path, damage: Callable[[str], str], said: str) -> None:
    """What is no plan any more is refused with place and remedy, before anything is read."""
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    file = tmp_path / "plan.json"
    parts.told("plan", user["id"], "--out", str(file))
    file.write_text(damage(file.read_text()))

    told = parts.said("apply", str(file), "--yes", code=1)

    assert said in told
    assert "jitprov plan" in told


def test_a_plan_that_names_somebody_else_does_nothing_unseen(parts: InProcess, tmp_path: Path) -> None:
    """A user slipped into a plan does not look as the plan says: the whole plan is refused."""
    [user, other], _ = parts.sandbox.control.sign_in_silently(2, departments=["Seasonal_Retail"])
    file = tmp_path / "plan.json"
    parts.told("plan", user["id"], "--out", str(file))
    file.write_text(file.read_text().replace(user["id"], other["id"]))

    assert parts.told("apply", str(file), "--yes", code=4)["moved"][0]["user_id"] == other["id"]
