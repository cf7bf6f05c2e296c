"""`replay` over a real ledger: preview, acceptance, and what is known already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from jitprov.cli import app
from jitprov.domain.provisioning import State
from jitprov.settings import settings
from jitprov.wiring import make_ledger
from own_redis import OwnRedis
from running import PROJECT

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def dump(own_redis: OwnRedis, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Three agents in five dead letters, beside one with nothing to do and one that is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JITPROV_REDIS_URL", own_redis.url)
    monkeypatch.setenv("JITPROV_KEY_PREFIX", key_prefix)
    monkeypatch.setenv("JITPROV_DATA_KEY", "d" * 43)
    settings.cache_clear()
    users = [str(uuid4()) for _ in range(3)]
    lines = [json.dumps({"Body": json.dumps(reduced(user))}) for user in (*users, users[0], users[1])]
    lines += [json.dumps(reduced(str(uuid4()), action="Update")), '{"Body": "?"}']
    path = tmp_path / "dead-letters.jsonl"
    path.write_text("\n".join(lines))
    yield path
    settings.cache_clear()


def reduced(user_id: str, *, action: str = "Create") -> dict[str, Any]:
    return {"detail": {"action": action, "entity": {"id": user_id}}}


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["replay", *args])


def as_process(dump: Path) -> Any:
    """Run the command as a process of its own: Celery knows the broker of the settings that it began with."""
    command = [sys.executable, "-m", "jitprov", "replay", str(dump), "--yes", "--json"]
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=60, env={**os.environ, "PYTHONPATH": str(PROJECT)}
    )
    assert done.returncode == 3, done.stderr
    return json.loads(done.stdout)


def accepted() -> int:
    ledger = make_ledger(settings())
    try:
        return ledger.count()[State.ACCEPTED]
    finally:
        ledger.close()


def test_without_yes_nothing_is_changed(dump: Path) -> None:
    """The preview counts agents, known ones, those with nothing to do and refused ones; the ledger stays empty."""
    result = run(str(dump), "--json")
    told = json.loads(result.stdout)

    assert result.exit_code == 3  # one letter is refused
    assert (told["events"], told["openings"], told["known"], told["ignored"]) == (7, 3, 2, {"change of a stranger": 1})
    assert told["refused"] == ["line 7: body: is not JSON (line 1, column 1). Send one JSON document as UTF-8"]
    assert (told["done"], told["minutes"] > 0) == (False, True)
    assert accepted() == 0


def test_with_yes_each_agent_is_accepted_once(dump: Path) -> None:
    """Every agent gets one provisioning and one message, and a second replay finds all of them known."""
    first, second = as_process(dump), as_process(dump)

    with Redis.from_url(settings().redis_url.get_secret_value()) as broker:
        assert broker.llen("jitprov.fetch_profile") == 3
    assert (first["accepted"], accepted()) == (3, 3)
    assert (second["accepted"], second["openings"], second["known"]) == (0, 0, 5)


def test_a_change_of_somebody_known_is_replayed(tmp_path: Path) -> None:
    """What changed of an agent whom jitprov knows is taken up from a dead letter, as if it had come in time."""
    user = str(uuid4())
    born, moved = tmp_path / "born.jsonl", tmp_path / "moved.jsonl"
    born.write_text("\n".join([json.dumps(reduced(user)), '{"Body": "?"}']))
    moved.write_text("\n".join([json.dumps(reduced(user, action="Update")), '{"Body": "?"}']))
    as_process(born)

    told = json.loads(run(str(moved), "--json").stdout)

    assert (told["openings"], told["known"], told["ignored"]) == (1, 0, {})


def test_it_says_what_to_do_next(dump: Path) -> None:
    """For people: the counts, the refused with their place, and the next command."""
    result = run(str(dump))

    assert "3 agents to provision, 2 known already" in result.stdout
    assert "refused line 7" in result.stdout
    assert "--yes" in result.stderr
