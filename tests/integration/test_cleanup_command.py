"""`jitprov cleanup` with real parts, with --json and without: what it lists, takes, leaves, keeps, and gives back."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import an_opening
from in_process import InProcess, in_process
from jitprov.domain.events import Kind
from jitprov.errors import DependencyDown
from jitprov.pipeline.late_events import accept_late
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread

pytestmark = pytest.mark.integration

RULES = """\
version: 1
rules:
  - name: Retail
    when: {department: Seasonal_Retail}
    skills: {Customer_Service: 2, Order_Tracking: 1}
    languages: {French: 3}
    utilization: {chat: {capacity: 2}}
    division: Seasonal
    roles: [Agent]
    groups: [Retail Floor]
    queues: [Retail Calls]
  - name: Support
    when: {department: Seasonal_Tech_Support}
    skills: {Basic_Troubleshooting: 1}
"""
TOMORROW = "2999-01-01"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread(SandboxOptions(time_scale=60, limit_per_min=100_000)) as running:
        yield running


@pytest.fixture
def parts(
    sandbox: SandboxThread, redis_url: str, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InProcess]:
    sandbox.control.reset()

    # No broker here: what was opened is walked by the test itself.
    def nobody_sends(ledger: Any, _: Any, openings: Any, *, look_after_s: float) -> Any:
        def away(provisioning_id: str) -> None:
            raise DependencyDown("no broker")

        return accept_late(ledger, away, openings, look_after_s=look_after_s)

    monkeypatch.setattr("jitprov.pipeline.late_events.accept_late", nobody_sends)
    with in_process(sandbox, redis_url, key_prefix, tmp_path) as running:
        running.rules(RULES)
        yield running


def provisioned(parts: InProcess, department: str) -> str:
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=[department])
    parts.services().ledger.accept([an_opening(user_id=str(user["id"]))], look_after_s=60)
    parts.walk(str(user["id"]))
    return str(user["id"])


def state_of(parts: InProcess, user_id: str) -> dict[str, Any]:
    [user] = parts.sandbox.control.state(user_id)["users"]
    return {
        "skills": {skill["name"]: skill["proficiency"] for skill in user["skills"]},
        "languages": {language["name"]: language["proficiency"] for language in user["languages"]},
        "utilization": user["utilization"],
        "division_id": user["division_id"],
        "roles": sorted(role["name"] for role in user["roles"]),
        "groups": user["groups"],
        "queues": user["queues"],
        "phones": len(user["phones"]),
    }


def test_a_season_ends_and_begins_again(parts: InProcess, tmp_path: Path) -> None:
    """Listed, then taken: all that jitprov gave and nothing else, of that department alone; the file gives it back."""
    retail, support = provisioned(parts, "Seasonal_Retail"), provisioned(parts, "Seasonal_Tech_Support")
    ledger = parts.services().ledger
    full, other = state_of(parts, retail), state_of(parts, support)
    file = tmp_path / "undo.json"

    listed = parts.told("cleanup", "--department", "seasonal_retail", "--before", TOMORROW)
    assert (listed["agents"], listed["done"], listed["undo_file"]) == (1, False, None)
    assert listed["things"] == {
        "skills": 2, "languages": 1, "roles": 1, "groups": 1, "queues": 1, "division": 1, "utilization": 1, "phone": 1,
    }  # fmt: skip
    assert listed["calls"] == 10
    assert listed["minutes"] >= 0

    seen = parts.so_far()
    done = parts.told("cleanup", "--department", "Seasonal_Retail", "--before", TOMORROW, "--out", str(file), "--yes")
    [record] = parts.walk(retail)
    bare = state_of(parts, retail)
    assert done["accepted"] == 1
    assert record.kind is Kind.CLEANUP
    assert len(parts.sent(seen)) == 9
    assert bare == {
        "skills": {}, "languages": {}, "utilization": None, "division_id": bare["division_id"], "roles": ["employee"],
        "groups": [], "queues": [], "phones": 0,
    }  # fmt: skip
    assert bare["division_id"] != full["division_id"]
    assert state_of(parts, support) == other
    assert list(ledger.memories([retail, support])) == [support]

    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "WebRTC" not in text
    assert parts.told("cleanup", "--undo", str(file))["done"] is False
    assert parts.told("cleanup", "--undo", str(file), "--yes")["accepted"] == 1
    parts.walk(retail)
    assert state_of(parts, retail) == full
    assert parts.told("cleanup", "--undo", str(file), "--yes")["accepted"] == 0
    assert parts.told("cleanup", "--department", "Seasonal_Retail", "--before", TOMORROW)["things"] == listed["things"]
    assert "cleanup" in {act["what"] for act in parts.told("actions")["actions"]}


def test_a_role_held_before_stays(parts: InProcess) -> None:
    """A user made with a role that the rules also give keeps it: jitprov did not give it, so nothing takes it."""
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    user_id, services = str(user["id"]), parts.services()
    role, division = services.access.list_named("roles"), services.access.list_named("divisions")
    services.access.grant_role(role["Agent"], division["Seasonal"], [user_id])
    services.ledger.accept([an_opening(user_id=user_id)], look_after_s=60)
    parts.walk(user_id)

    listed = parts.told("cleanup", "-d", "Seasonal_Retail", "--before", TOMORROW, "--yes")
    parts.walk(user_id)

    assert "roles" not in listed["things"]
    assert listed["things"]["groups"] == 1
    assert state_of(parts, user_id)["roles"] == ["Agent", "employee"]
    assert state_of(parts, user_id)["groups"] == []


def test_nobody_is_touched_who_was_given_something_since(parts: InProcess) -> None:
    """Agents of the next season, and of no department that is known, are left alone; the command says so."""
    user_id = provisioned(parts, "Seasonal_Tech_Support")
    before = state_of(parts, user_id)

    assert parts.told("cleanup", "-d", "Seasonal_Tech_Support", "--before", "2020-01-01", "--yes")["agents"] == 0
    assert "nothing to anybody" in parts.said("cleanup", "-d", "Elsewhere", "--before", TOMORROW, "--yes")
    assert state_of(parts, user_id) == before


def test_an_altered_undo_file_gives_nothing(parts: InProcess, tmp_path: Path) -> None:
    """A file that somebody wrote more into, or that is none, is refused before anything is opened."""
    provisioned(parts, "Seasonal_Tech_Support")
    file = tmp_path / "undo.json"
    parts.told("cleanup", "-d", "Seasonal_Tech_Support", "--before", TOMORROW, "--out", str(file), "--yes")
    document = json.loads(file.read_text())
    document["content"]["agents"][0]["taken"]["roles"] = [
        {"role": "admin", "division": "", "role_id": "r", "division_id": "d"}
    ]
    file.write_text(json.dumps(document))

    assert "was altered" in parts.said("cleanup", "--undo", str(file), "--yes", code=1)
    file.write_text("[]")
    assert "no undo file" in parts.said("cleanup", "--undo", str(file), "--yes", code=1)


def test_nothing_is_taken_when_the_undo_file_cannot_be_written(parts: InProcess, tmp_path: Path) -> None:
    """An undo file is never written over, and without one nothing is opened."""
    user_id = provisioned(parts, "Seasonal_Tech_Support")
    file = tmp_path / "undo.json"
    file.write_text("of another run")

    said = parts.said(
        "cleanup", "-d", "Seasonal_Tech_Support", "--before", TOMORROW, "--out", str(file), "--yes", code=1
    )
    found = parts.services().ledger.find(user_id)
    assert "nothing was taken" in said
    assert file.read_text() == "of another run"
    assert found is not None
    assert found.kind is Kind.NEW


@pytest.mark.parametrize(
    "options",
    [[], ["--department", "D"], ["--before", TOMORROW], ["--undo", "f", "--department", "D"]],
)
def test_it_wants_to_know_whom(parts: InProcess, options: list[str]) -> None:
    """Half a wish, or two, is a mistake of usage."""
    parts.said("cleanup", *options, code=2)
