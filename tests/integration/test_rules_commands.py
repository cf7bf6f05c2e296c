"""The rules commands against an organization, and a worker whose rules file changes under it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis
from running import RealParts

pytestmark = pytest.mark.integration

RULES = """\
version: 1
match: merge
rules:
  - name: Retail
    when: {department: Seasonal_Retail}
    skills: {Customer_Service: 2.5}
    languages: {French: 3, Frensh: 1}
  - name: Everyone
    skills: {Customer_Service: 1, Order_Traking: 1}
"""


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path) -> Iterator[RealParts]:
    with SandboxThread(SandboxOptions(time_scale=20)) as sandbox, RealParts(own_redis, sandbox, tmp_path) as running:
        yield running


def told(parts: RealParts, *command: str, code: int = 0) -> Any:
    done = parts.run(*command, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_rules_are_checked_and_explained_against_the_organization(parts: RealParts, tmp_path: Path) -> None:
    """`check` names every unknown name with line and nearest, `explain` who gave what, from the profile of now."""
    file = tmp_path / "mine.yaml"
    file.write_text(RULES)
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])

    checked = told(parts, "rules", "check", "--file", str(file), code=4)
    assert [(each["kind"], each["name"], each["line"]) for each in checked["unknown"]] == [
        ("skills", "Order_Traking", 9),
        ("languages", "Frensh", 7),
    ]
    assert "nearest: 'Order_Tracking'" in checked["unknown"][0]["message"]

    explained = told(parts, "rules", "explain", user["id"], "--file", str(file))
    assert {(gift["name"], gift["by"]) for gift in explained["gifts"]} == {
        ("Customer_Service 2.5", "Retail"),
        ("French 3", "Retail"),
        ("Frensh 1", "Retail"),
        ("Order_Traking 1", "Everyone"),
        ("merge", "defaults"),
        ("yes", "defaults"),
    }
    assert explained["rules"] == ["Retail", "Everyone"]

    file.write_text("version: 1\nrules:\n  - {name: Care, when: {department: Care}, skills: {Customer_Service: 1}}\n")
    uncovered = told(parts, "rules", "explain", user["id"], "--file", str(file), code=4)
    assert uncovered["passed_over"] == [{"rule": "Care", "asks": {"department": ["Care"]}}]
    assert uncovered["remedy"].startswith("Add a rule")
