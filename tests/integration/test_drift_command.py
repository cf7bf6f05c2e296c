"""`drift` against an organization, with --json and without: what is missing, what goes, and what it costs to know."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from in_process import InProcess, in_process
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread

pytestmark = pytest.mark.integration

RULES = """\
version: 1
rules:
  - name: Retail
    when: {department: Seasonal_Retail}
    skills: {Customer_Service: 2.5}
    languages: {French: 3}
    utilization: {chat: {capacity: 2}}
    roles: [Agent]
    groups: [Retail Floor]
    queues: [Retail Calls]
  - name: Back office
    when: {department: Back_Office}
    phone: false
expected_roles:
  - when: {department: Back_Office}
    roles: [Supervisor]
roles_written: sign_in
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread(SandboxOptions(limit_per_min=100_000, station_lag_s=(0, 0), assignment_lag_s=(0, 0))) as running:
        yield running


@pytest.fixture
def parts(sandbox: SandboxThread, redis_url: str, key_prefix: str, tmp_path: Path) -> Iterator[InProcess]:
    sandbox.control.reset()
    more = {"JITPROV_STATION_SOURCE": "lookup", "JITPROV_STATION_FIRST_LOOK_S": "0"}
    with in_process(sandbox, redis_url, key_prefix, tmp_path, **more) as running:
        running.rules(RULES)
        yield running


def test_what_is_missing_and_what_goes_is_told(parts: InProcess, tmp_path: Path) -> None:
    """Agents against the rules, roles against what is expected: counted, named at the terminal, kept as CSV, code 4."""
    parts.sandbox.control.sign_in_silently(2, departments=["Seasonal_Retail"])
    [office], _ = parts.sandbox.control.sign_in_silently(1, departments=["Back_Office"])

    found = parts.told("drift", code=4)

    assert parts.sent() == []
    counts = found["counts"]
    # Skill, language, role, group, queue, phone, station of both; utilization is not looked at unless asked to.
    assert (counts["agents"], counts["differ"], counts["missing"]) == (3, 2, 14)
    assert found["unseen"] == ["utilization"]
    assert (counts["roles_that_go"], counts["roles_missing"]) == (1, 1)
    assert parts.told("drift", "--thorough", code=4)["counts"]["missing"] == 16

    said = parts.said("drift", "--department", "back_office", "--csv", str(tmp_path / "drift.csv"), code=4)
    assert f"employee on {office['name']} is not in the assertion: it goes at the agent's next sign-in" in said
    rows = list(csv.DictReader((tmp_path / "drift.csv").read_text().splitlines()))
    assert [(row["user_id"], row["thing"], row["how"]) for row in rows] == [
        (office["id"], "employee", "goes"),
        (office["id"], "Supervisor", "missing"),
    ]


def test_an_export_is_taken_for_what_is_asserted(parts: InProcess, tmp_path: Path) -> None:
    """With --expected the file counts and not the rules; who is not in it is said; a broken one is placed."""
    [robin, kim], _ = parts.sandbox.control.sign_in_silently(2, departments=["Back_Office"])
    export = tmp_path / "export.csv"
    export.write_bytes(b"\xef\xbb\xbfEmail;Role\r\n" + f"{robin['email'].upper()};employee\r\n".encode())

    found = parts.told("drift", "--expected", str(export), code=4)

    assert [(each["user_id"], each["verdict"]) for each in found["roles"]] == [(kim["id"], "unknown")]
    export.write_text(f"email,role\n{robin['email']},employee\n{kim['id'].upper()},employee\n")
    assert parts.told("drift", "--expected", str(export))["roles"] == []
    export.write_text("who,role\nx,y\n")
    assert "export.csv, line 1: no column of users" in parts.said("drift", "--expected", str(export), code=1)


def test_a_thousand_agents_take_few_calls(parts: InProcess) -> None:
    """Users come a hundred a call; phones, stations and queues in listings: a call is never spent on each agent."""
    parts.sandbox.control.sign_in_silently(1000, departments=["Seasonal_Retail"])

    found = parts.told("drift", code=4)

    print(f"calls per 1,000 agents: {found['calls_per_1000_agents']}")  # noqa: T201  the figure, with -s
    assert found["counts"]["agents"] == 1000
    assert found["calls"] <= 25


def test_drift_is_fixed_through_the_corridor(parts: InProcess) -> None:
    """--fix shows, --fix --yes opens a provisioning for each who differs and notes the act; then nothing differs."""
    users, _ = parts.sandbox.control.sign_in_silently(3, departments=["Seasonal_Retail"])
    department = ("--department", "Seasonal_Retail")

    assert "Nothing was changed" in parts.said("drift", *department, "--fix", code=4)
    assert parts.sent() == []
    found = parts.told("drift", *department, "--fix", "--yes", "--why", "season", code=4)
    assert (found["done"], found["act"]["outcome"]) == (True, "3 opened")
    parts.walk(*[user["id"] for user in users])

    assert parts.told("drift", *department, "--thorough")["counts"]["differ"] == 0
    # Skills, languages, phone, station and utilization of each; role, group and queue of all three by one call each.
    assert len(parts.sent()) == 3 * 5 + 3
    [act] = parts.told("actions")["actions"]
    assert (act["what"], act["why"]) == ("fix", "season")
    assert all(len(user["phones"]) == 1 for user in parts.sandbox.control.state()["users"])
