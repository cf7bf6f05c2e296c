"""What rules may choose: by location, a phone's site and base, and what is left out where it is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import an_opening
from in_process import InProcess, in_process
from jitprov.domain.provisioning import Provisioning
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread

pytestmark = pytest.mark.integration

BY_LOCATION = """\
version: 1
unmatched: defaults
defaults:
  skills: {Complaints: 1}
rules:
  - name: Lyon
    when: {location: ["lyon *", Nice]}
    skills: {Customer_Service: 2.5}
    phone: {site: Seasonal Site, base: WebRTC Phone Persistent}
"""
WITH_UNKNOWN = """\
version: 1
unknown: skip
rules:
  - name: Everyone
    skills: {Customer_Service: 2.5, Costumer_Service: 1}
    languages: {Frensh: 3, German: 1}
    division: Nowhere
    roles: [{name: Agent, divisions: [Home]}, Ajent, {name: Supervisor, divisions: [Nowhere]}]
    groups: [Retail Floor, Retail Flor]
    queues: [Retail Calls, Nothing]
    phone: {site: Seasonal Sit, base: WebRTC Phon}
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread(SandboxOptions(time_scale=60, limit_per_min=100_000)) as running:
        yield running


@pytest.fixture
def parts(sandbox: SandboxThread, redis_url: str, key_prefix: str, tmp_path: Path) -> Iterator[InProcess]:
    sandbox.control.reset()
    with in_process(sandbox, redis_url, key_prefix, tmp_path, JITPROV_STATION_FIRST_LOOK_S="0") as running:
        yield running


def sign_in(parts: InProcess, *locations: str | None) -> list[str]:
    """Have somebody sign in at each location; return their ids."""
    agents = [
        {"name": f"Agent {number}", "email": f"{number}@example.test", **({"location": each} if each else {})}
        for number, each in enumerate(locations)
    ]
    users = parts.sandbox.control.sign_in(agents, announce=False)
    return [str(user["id"]) for user in users]


def provisioned(parts: InProcess, user_ids: list[str]) -> list[Provisioning]:
    ledger = parts.services().ledger
    ledger.accept([an_opening(user_id=each) for each in user_ids], look_after_s=600)
    return parts.walk(*user_ids)


def state_of(parts: InProcess, user_id: str) -> dict[str, Any]:
    return dict(parts.sandbox.control.state(user_id)["users"][0])


def test_a_rule_looks_at_locations_and_chooses_site_and_base(parts: InProcess) -> None:
    """Whoever is at such a place gets the rule's skills, and a phone of its site and base; others the default ones."""
    parts.rules(BY_LOCATION)
    users = sign_in(parts, "Lyon Part-Dieu", "Paris", None, "Nice")

    records = provisioned(parts, users)

    told = [record.findings.profile.locations for record in records if record.findings.profile]
    assert told == [("Lyon Part-Dieu",), ("Paris",), (), ("Nice",)]
    held = [state_of(parts, each) for each in users]
    assert [[skill["name"] for skill in each["skills"]] for each in held] == [
        ["Customer_Service"],
        ["Complaints"],
        ["Complaints"],
        ["Customer_Service"],
    ]
    services = parts.services()
    chosen, usual = (
        services.catalogue.phone_setup("Seasonal Site", "WebRTC Phone Persistent"),
        services.catalogue.phone_setup(),
    )
    phones = [(each["phones"][0]["site_id"], each["phones"][0]["phone_base_id"]) for each in held]
    wanted = {True: (chosen.site_id, chosen.phone_base_id), False: (usual.site_id, usual.phone_base_id)}
    assert chosen.site_id != usual.site_id
    assert chosen.phone_base_id != usual.phone_base_id
    assert phones == [wanted[each] for each in (True, False, False, True)]


def test_an_unknown_name_is_left_out_and_said(parts: InProcess) -> None:
    """With `unknown: skip` an agent gets all that exists; what was left out is told with the nearest name."""
    parts.rules(WITH_UNKNOWN)
    user_id = sign_in(parts, None)[0]

    record = provisioned(parts, [user_id])[0]

    held = state_of(parts, user_id)
    assert [skill["name"] for skill in held["skills"]] == ["Customer_Service"]
    assert [language["name"] for language in held["languages"]] == ["German"]
    assert (held["groups"], held["queues"], len(held["phones"])) == (["Retail Floor"], ["Retail Calls"], 1)
    assert {role["name"] for role in held["roles"]} == {"Agent", "employee"}
    assert record.findings.wanted
    assert record.findings.profile
    assert record.findings.profile.locations is None  # no rule looks there: nobody asked
    left_out = record.findings.wanted.left_out
    assert [each.partition("'")[2].partition("'")[0] for each in left_out] == [
        "Costumer_Service", "Frensh", "Nowhere", "Ajent", "Retail Flor", "Nothing",
        "Supervisor", "Seasonal Sit", "WebRTC Phon",
    ]  # fmt: skip
    assert "nearest: 'Customer_Service'" in left_out[0]
    assert "the organization's default instead" in left_out[-1]
    said = parts.said("show", user_id)
    assert all(each in said for each in ("left out no routing skill 'Costumer_Service'", "no site 'Seasonal Sit'"))
    parts.said("report", "--csv", "report.csv")
    assert "Costumer_Service" in (parts.folder / "report.csv").read_text()


def test_every_kind_of_name_is_checked_with_its_line(parts: InProcess) -> None:
    """`rules check` names each unknown site and phone base with its line and the nearest."""
    parts.rules(WITH_UNKNOWN)

    told = parts.told("rules", "check", code=4)

    found = {each["name"]: (each["kind"], each["line"]) for each in told["unknown"]}
    assert (found["Seasonal Sit"], found["WebRTC Phon"]) == (("sites", 11), ("phone_bases", 11))
    assert any("nearest: 'Seasonal Site'" in each["message"] for each in told["unknown"])
