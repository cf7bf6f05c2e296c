"""The `rules` commands as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from jitprov.cli import app
from jitprov.rules.loader import SHIPPED


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the checkout reaches a test."""
    monkeypatch.chdir(tmp_path)


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["rules", *args])
    return result.exit_code, result.stdout


def test_the_schema_is_one_that_the_shipped_rules_fit() -> None:
    """What `rules schema` prints is a JSON Schema, and the shipped file is valid by it."""
    code, text = run("schema")
    schema = json.loads(text)

    assert code == 0
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(yaml.safe_load(SHIPPED.read_text()), schema)


def test_the_tests_of_a_file_are_run(tmp_path: Path) -> None:
    """All hold: 0. One does not: 4, and what differs is told."""
    wrong = tmp_path / "rules.yaml"
    wrong.write_text(SHIPPED.read_text().replace("Order_Tracking: 1.0 }", "Order_Tracking: 2.0 }"))

    assert run("test")[0] == 0
    code, text = run("test", "--file", str(wrong))
    assert code == 4
    assert "skills: expected {'Customer_Service': 1.0, 'Order_Tracking': 2.0}" in text
    told = json.loads(run("test", "--file", str(wrong), "--json")[1])
    assert told["failed"] == 1
    assert [bool(test["differences"]) for test in told["tests"]] == [True, False, False]
