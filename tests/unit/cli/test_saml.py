"""The `saml` commands as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jitprov.cli import app

CORPUS = Path(__file__).parents[2] / "data/saml"
NINE = ("--at", "2026-11-24T09:00:00Z")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the checkout reaches a test."""
    monkeypatch.chdir(tmp_path)


def run(*args: str, stdin: bytes | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["saml", *args], input=stdin)
    return result.exit_code, result.stdout


def test_what_is_as_expected_ends_well() -> None:
    """A good assertion by file or standard input lists its attributes and ends with 0."""
    by_file = run("check", str(CORPUS / "good.xml"), *NINE)
    by_stdin = run("check", "-", *NINE, stdin=(CORPUS / "good_base64.txt").read_bytes())

    assert by_file == by_stdin
    assert by_file[0] == 0
    assert "OrganizationName" in by_file[1]
    assert "all as expected" in by_file[1]


def test_differences_have_an_exit_code_of_their_own() -> None:
    """A mismatch ends with 4, as JSON too, with the findings and the attributes."""
    code, text = run("check", str(CORPUS / "okta_default.xml"), *NINE, "--json")
    told = json.loads(text)

    assert code == 4
    assert {finding["code"] for finding in told["findings"]} == {"case", "not_acted_on"}
    assert [each["name"] for each in told["assertion"]["attributes"]][:2] == ["Email", "firstName"]


def test_values_can_be_kept_back() -> None:
    """With --hide-values no person's value is printed, for a ticket."""
    for form in ((), ("--json",)):
        assert "robin" not in run("check", str(CORPUS / "okta_default.xml"), *NINE, "--hide-values", *form)[1]


def test_the_organizations_name_is_compared() -> None:
    """--organization says what OrganizationName must hold."""
    assert run("check", str(CORPUS / "good.xml"), *NINE, "--organization", "example-centre")[0] == 0
    assert run("check", str(CORPUS / "good.xml"), *NINE, "--organization", "other-centre")[0] == 4


def test_a_template_is_printed() -> None:
    """The claims come as a table, and as JSON with the warning."""
    code, text = run("template", "--idp", "entra")
    told = json.loads(run("template", "--json")[1])

    assert code == 0
    assert "user.mail" in text
    assert "https://login.mypurecloud.com/saml" in text
    assert "creates nobody" in told["warning"]
    assert told["claims"][1]["name"] == "OrganizationName"
