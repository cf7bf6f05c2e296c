"""Every command's JSON over a real ledger: one object, its kind, the schema's version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from architecture.test_commands import EVERY, WITHOUT_JSON
from builders import a_failure, an_opening
from chat_room import chat_room
from jitprov.cli import app
from jitprov.cli.output import SCHEMA
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import Step
from jitprov.ledger import Claim
from jitprov.settings import settings
from jitprov.wiring import make_ledger

pytestmark = pytest.mark.integration

USER = str(uuid4())
# What else each command is given; ENTRY is in quarantine, ROOM answers, FILE holds an event.
GIVEN: dict[str, list[str]] = {
    "list": [],
    "show": [USER],
    "send": [USER, "--url", "ROOM"],
    "retry": ["--failed"],
    "cancel": ["--failed"],
    "actions": [],
    "top": [],
    "report": [],
    "replay": ["FILE"],
    "forecast": ["--agents", "10"],
    "budget": [],
    "budget pause": ["--for", "1s"],
    "budget resume": [],
    "budget rate": ["200"],
    "quarantine list": [],
    "quarantine show": ["ENTRY"],
    "quarantine replay": ["ENTRY"],
    "quarantine drop": ["ENTRY"],
    "rules test": [],
    "saml template": ["--idp", "okta"],
}
# They need an organization, a worker or an assertion, and are held where they have one.
ELSEWHERE = {
    "demo": "tests/e2e/test_demo.py",
    "doctor": "tests/integration/test_commands.py",
    "plan": "tests/integration/test_plan_commands.py",
    "reconcile": "tests/integration/test_reconcile_command.py",
    "cleanup": "tests/integration/test_cleanup_command.py",
    "apply": "tests/integration/test_plan_commands.py",
    "drift": "tests/integration/test_drift_command.py",
    "rules check": "tests/integration/test_rules_commands.py",
    "rules explain": "tests/integration/test_rules_commands.py",
    "saml check": "tests/unit/cli/test_saml.py",
}


@pytest.fixture
def words(redis_url: str, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A failed agent, an entry in quarantine, a file with an event, a door that answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JITPROV_REDIS_URL", redis_url)
    monkeypatch.setenv("JITPROV_KEY_PREFIX", key_prefix)
    monkeypatch.setenv("JITPROV_DATA_KEY", "d" * 43)
    monkeypatch.setenv("JITPROV_WEBHOOK_KEY", "w" * 40)
    settings.cache_clear()
    ledger = make_ledger(settings())
    opening = an_opening(user_id=USER)
    ledger.accept([opening], look_after_s=60)
    claim = ledger.claim(opening.provisioning_id, Step.FETCH_PROFILE, 1, token="t", lease_s=60)
    assert isinstance(claim, Claim)
    assert ledger.record(claim, moves.fail(claim.record, claim.now, a_failure()), look_after_s=60)
    ledger.quarantine({"id": "q1", "at": "2026-11-23T09:00:00Z", "field": "body", "cause": "x"}, keep=9)
    (tmp_path / "event.json").write_text(json.dumps({"detail": {"action": "Create", "entity": {"id": str(uuid4())}}}))
    with chat_room() as room:
        yield {"ENTRY": "q1", "FILE": "event.json", "ROOM": room.url}
    ledger.close()
    settings.cache_clear()


def test_every_command_answers_with_kind_and_schema(words: dict[str, str]) -> None:
    """Each command's JSON is one object that names its kind and the version of its schema."""
    assert set(GIVEN) | set(ELSEWHERE) == set(EVERY) - WITHOUT_JSON
    for name, given in GIVEN.items():
        result = CliRunner().invoke(app, [*name.split(" "), *(words.get(each, each) for each in given), "--json"])
        told = json.loads(result.stdout)

        assert (name, told["schema"]) == (name, SCHEMA)
        assert isinstance(told["kind"], str)
        assert set(told) > {"schema", "kind"}, name


@pytest.mark.parametrize("path", sorted(set(ELSEWHERE.values())))
def test_the_rest_is_held_elsewhere(path: str) -> None:
    """What is not called here is called there, with --json."""
    assert "--json" in (Path(__file__).parents[2] / path).read_text()
