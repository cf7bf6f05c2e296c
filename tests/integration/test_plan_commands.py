"""`plan` against an organization, with --json and without: what it names and keeps; it sends nothing but reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from in_process import InProcess, in_process
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
