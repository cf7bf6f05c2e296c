"""What was refused is seen, read and replayed by the operator, and by nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
from typer.testing import CliRunner

from desk_room import guard_of
from jitprov.cli import app
from jitprov.desk.quarantine import make_quarantine_room
from jitprov.domain.events import Kind
from jitprov.ledger.redis import RedisLedger
from jitprov.receiver.body import StartRule
from jitprov.receiver.intake import new_id
from jitprov.receiver.quarantine import TEXT_MAX_BYTES, Warden
from jitprov.sealing import Seals
from jitprov.settings import settings
from running_receiver import RunningReceiver

pytestmark = pytest.mark.integration

OPERATOR_KEY = "operator-" + "o" * 40
DATA_KEY = "data-" + "d" * 40
SEALS = Seals(DATA_KEY)
CANARY = "robin.canary@example.test"
RULE = StartRule(frozenset({"user"}), {"create": Kind.NEW})


def a_create(**more: Any) -> dict[str, Any]:
    return {"detail": {"action": "Create", "entity": {"id": str(uuid4())}}} | more


@pytest.fixture
def ledger(redis_url: str, key_prefix: str) -> Iterator[RedisLedger]:
    ledger = RedisLedger.connect(redis_url, key_prefix)
    yield ledger
    ledger.close()


@pytest.fixture
def receiver(ledger: RedisLedger) -> Iterator[RunningReceiver]:
    running = RunningReceiver(ledger, seals=SEALS)
    warden = make_warden(ledger, running.published)
    running.app.include_router(make_quarantine_room(warden, guard_of(OPERATOR_KEY)))
    with running:
        yield running


def make_warden(ledger: RedisLedger, published: list[str], seals: Seals = SEALS) -> Warden:
    return Warden(ledger, seals, RULE, published.append, new_id, 20.0)


def asked(receiver: RunningReceiver, method: str, path: str, key: str = OPERATOR_KEY) -> requests.Response:
    url = f"{receiver.url}/api/quarantine{path}"
    return requests.request(method, url, headers={"X-Operator-Key": key}, timeout=20)


def test_seen_and_read(receiver: RunningReceiver) -> None:
    """The operator finds what was refused, with cause and remedy, and reads its very bytes; others find nothing."""
    raw = json.dumps(a_create(detail=CANARY)).encode()
    receiver.post(raw)

    (entry,) = asked(receiver, "GET", "").json()["entries"]
    assert (entry["field"], entry["text"]) == ("detail", "sealed")
    assert CANARY not in json.dumps(entry)
    assert asked(receiver, "GET", f"/{entry['id']}").json() == entry
    text = asked(receiver, "GET", f"/{entry['id']}/body")
    assert text.content == raw
    assert text.headers["Content-Type"] == "application/octet-stream"
    for method, path in [("GET", ""), ("GET", f"/{entry['id']}"), ("GET", f"/{entry['id']}/body")]:
        assert asked(receiver, method, path, "wrong").status_code == 401
    for method, path in [("POST", f"/{entry['id']}/replay"), ("POST", f"/{entry['id']}/drop")]:
        assert asked(receiver, method, path, "").status_code == 401
    assert asked(receiver, "GET", f"/{uuid4()}").status_code == 404


def test_text_lies_sealed(receiver: RunningReceiver, ledger: RedisLedger) -> None:
    """Who reads Redis reads nothing of a refused body; who has another key cannot open it, and is told so."""
    receiver.post(json.dumps({"detail": CANARY}).encode())
    (entry,) = ledger.quarantined()
    sealed = ledger.sealed_body(entry["id"])

    assert sealed
    assert CANARY not in sealed
    with_another_key = make_warden(ledger, [], Seals("another-" + "a" * 40)).replay(entry["id"])
    assert "JITPROV_DATA_KEY" in with_another_key.problem
    assert not with_another_key.left


def test_replay_of_what_is_wrong_still(receiver: RunningReceiver, ledger: RedisLedger) -> None:
    """As long as one event of a body is refused the entry stays; the good ones beside it open nothing new."""
    wrong = a_create(detail={"action": "Create", "entity": {"id": "no-uuid"}})
    receiver.post([a_create(), wrong])
    (entry,) = ledger.quarantined()

    still = asked(receiver, "POST", f"/{entry['id']}/replay").json()
    assert not still["left"]
    assert "detail.entity.id" in still["refused"][0]
    assert [acceptance["duplicate"] for acceptance in still["accepted"]] == [True]
    assert len(ledger.quarantined()) == 1


def test_replay_of_what_is_good_now(receiver: RunningReceiver, ledger: RedisLedger) -> None:
    """A body that is good by now opens its provisioning, publishes it, and leaves the quarantine; again is harmless."""
    body = json.dumps(a_create()).encode()
    warden = make_warden(ledger, receiver.published)
    # As a receiver before an upgrade may have refused it.
    sealed = SEALS.seal(body, about="quarantine earlier")
    ledger.quarantine({"id": "earlier"}, keep=10, sealed=sealed)

    replayed = warden.replay("earlier")
    again = warden.replay("earlier")

    assert replayed.left
    (acceptance,) = replayed.accepted
    assert ledger.get(acceptance.provisioning_id) is not None
    assert receiver.published == [acceptance.provisioning_id]
    assert ledger.quarantined() == []
    assert "not kept, or no longer" in again.problem


def test_drop(receiver: RunningReceiver, ledger: RedisLedger) -> None:
    """A dropped entry is gone with its text."""
    receiver.post(b"{")
    (entry,) = ledger.quarantined()

    assert asked(receiver, "POST", f"/{entry['id']}/drop").json() == {"dropped": True}
    assert asked(receiver, "POST", f"/{entry['id']}/drop").status_code == 404
    assert ledger.sealed_body(entry["id"]) == ""


def test_text_that_is_not_kept(receiver: RunningReceiver, ledger: RedisLedger) -> None:
    """A large body is described and not kept; whoever asks for it is told why, and what to do."""
    receiver.post(b"{" + b" " * TEXT_MAX_BYTES)
    (entry,) = ledger.quarantined()

    assert entry["text"].startswith("not kept")
    answer = asked(receiver, "GET", f"/{entry['id']}/body")
    assert answer.status_code == 409
    assert "send it again" in answer.json()["detail"]


def test_without_a_data_key(ledger: RedisLedger) -> None:
    """A receiver that cannot seal keeps no text, and says so."""
    with RunningReceiver(ledger) as receiver:
        receiver.post(b"{")
    (entry,) = ledger.quarantined()

    assert "JITPROV_DATA_KEY" in entry["text"]
    assert ledger.sealed_body(entry["id"]) == ""


@pytest.fixture
def command(redis_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The command line in this process, on this test's ledger."""
    for name, value in {"REDIS_URL": redis_url, "KEY_PREFIX": key_prefix, "DATA_KEY": DATA_KEY}.items():
        monkeypatch.setenv(f"JITPROV_{name}", value)
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, ["quarantine", *words])
    settings.cache_clear()


def test_commands(command: Callable[..., Any], ledger: RedisLedger) -> None:
    """An operator lists, reads, replays and drops from the command line; what stays is an exit code of its own."""
    nothing_to_do = json.dumps({"detail": {"action": "Update", "entity": {"id": str(uuid4())}}}).encode()
    for entry_id, raw in {"wrong": b"{", "mended": nothing_to_do}.items():
        sealed = SEALS.seal(raw, about=f"quarantine {entry_id}")
        entry = {"id": entry_id, "at": "2026-11-24T09:00:00.000+00:00", "field": "body", "cause": "is not JSON"}
        ledger.quarantine(entry, keep=10, sealed=sealed)

    assert [entry["id"] for entry in json.loads(command("list", "--json").stdout)["entries"]] == ["mended", "wrong"]
    assert "is not JSON" in command("list").stdout
    assert command("show", "mended", "--body").stdout_bytes == nothing_to_do
    assert "2026-11-24" in command("show", "wrong").stdout
    replayed = command("replay", "--all", "--json")
    assert [entry["left"] for entry in json.loads(replayed.stdout)["entries"]] == [False, True]
    assert replayed.exit_code == 3
    assert "still refused: body" in command("replay", "wrong").stdout
    assert command("drop").exit_code == 2
    assert command("show", "mended").exit_code == 1
    assert json.loads(command("drop", "--all", "--json").stdout)["entries"] == ["wrong"]
    assert json.loads(command("list", "--json").stdout)["entries"] == []
