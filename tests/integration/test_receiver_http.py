"""The front door over real HTTP: shapes, answers, keys."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from fastapi import HTTPException

from data.bad_bodies import AUDIT, BAD_BODIES, REDUCED, USER
from jitprov.domain.ids import is_uuid, parse_task_id
from jitprov.domain.provisioning import State
from jitprov.errors import ConfigurationError
from jitprov.ledger.memory import MemoryLedger
from jitprov.receiver.app import create_app
from jitprov.receiver.server import listen
from jitprov.settings import Settings
from own_redis import wait_until
from running_receiver import KEY, RunningReceiver
from switched_ledger import SwitchedLedger

EVENTS = Path(__file__).parents[1] / "data" / "events"
CANARY = "robin.canary@example.test"


@pytest.fixture
def ledger() -> SwitchedLedger:
    return SwitchedLedger()


@pytest.fixture
def receiver(ledger: SwitchedLedger) -> Iterator[RunningReceiver]:
    with RunningReceiver(ledger, client_id="2ad5fb86-a096-4e6a-83ba-d61cf8c7e5d7") as running:
        yield running


def example(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_bytes())


def a_create(user_id: str | None = None) -> dict[str, Any]:
    return {"detail": {"action": "Create", "entity": {"id": user_id or str(uuid4())}}}


def metric(receiver: RunningReceiver, name: str) -> float:
    lines = receiver.get("/metrics").text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)


@pytest.mark.parametrize(
    "name",
    ["user-create.audit", "user-create.audit.minimal", "user-create.simple", "user-create.v2-users-id.hypothetical"],
)
def test_accepted(receiver: RunningReceiver, ledger: SwitchedLedger, name: str) -> None:
    """Each accepted shape is in the ledger when the 202 comes, and is published once."""
    answer = receiver.post(example(name))

    assert answer.status_code == 202
    body = answer.json()
    (accepted,) = body["accepted"]
    assert body == {"accepted": [accepted], "ignored": 0}
    assert set(accepted) == {"provisioning_id", "task_id", "user_id", "duplicate"}
    record = ledger.get(accepted["provisioning_id"])
    assert record is not None
    assert record.user_id == accepted["user_id"]
    assert record.task_id() == accepted["task_id"]
    assert not accepted["duplicate"]
    wait_until(lambda: receiver.published == [accepted["provisioning_id"]], within_s=5)


def test_duplicate_delivery(receiver: RunningReceiver) -> None:
    """The same audit under another envelope id is answered with the first one's ids, and not published again."""
    first = receiver.post(example("user-create.audit")).json()["accepted"][0]
    answer = receiver.post(example("user-create.audit.duplicate-delivery"))

    assert answer.status_code == 202
    assert answer.json() == {"accepted": [first | {"duplicate": True}], "ignored": 0}
    receiver.post(a_create())
    wait_until(lambda: len(receiver.published) == 2, within_s=5)
    assert receiver.published.count(first["provisioning_id"]) == 1


def test_a_change_of_a_stranger_is_ignored(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """What happens to a user whom jitprov never provisioned is answered with 200: nobody knows them."""
    answer = receiver.post(example("user-delete.audit"))

    assert answer.status_code == 200
    assert answer.json() == {"accepted": [], "ignored": 1}
    assert ledger.count()[State.ACCEPTED] == 0
    assert receiver.published == []


@pytest.mark.parametrize("name", ["user-update.audit", "noise-presence-update.audit"])
def test_ignored(receiver: RunningReceiver, ledger: SwitchedLedger, name: str) -> None:
    """A valid event with nothing to do is answered with 200 and not written."""
    answer = receiver.post(example(name))

    assert answer.status_code == 200
    assert answer.json() == {"accepted": [], "ignored": 1}
    assert ledger.batches == []


def test_own_audit(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """An audit of our own client is answered with 200."""
    event = example("user-create.audit")
    event["detail"]["eventBody"]["clientId"]["id"] = "2AD5FB86-a096-4e6a-83ba-d61cf8c7e5d7"

    assert receiver.post(event).status_code == 200
    assert ledger.batches == []


def test_array(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """An array is written at once; the same user twice in it is one provisioning."""
    answer = receiver.post([a_create(USER), a_create(), example("user-update.audit"), a_create(USER)])

    body = answer.json()
    assert answer.status_code == 202
    assert body["ignored"] == 1
    assert [accepted["duplicate"] for accepted in body["accepted"]] == [False, False, True]
    assert body["accepted"][0]["task_id"] == body["accepted"][2]["task_id"]
    assert ledger.batches == [3]


def test_largest_array(receiver: RunningReceiver) -> None:
    """A thousand events at once are taken."""
    answer = receiver.post([a_create() for _ in range(1000)])

    assert answer.status_code == 202
    assert len(answer.json()["accepted"]) == 1000


def test_array_with_a_wrong_event(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """A wrong event among good ones is told of and kept in quarantine; the good ones are taken."""
    wrong = example("user-create.audit")
    wrong["detail"]["eventBody"]["entity"]["id"] = CANARY
    answer = receiver.post([a_create(USER), wrong, example("user-update.audit")])

    body = answer.json()
    assert answer.status_code == 202
    assert body["accepted"][0]["user_id"] == USER
    assert body["ignored"] == 1
    (told,) = body["refused"]
    assert (told["index"], told["field"]) == (1, "[1].detail.eventBody.entity.id")
    (entry,) = ledger.quarantined()
    assert entry["event_ids"] == AUDIT
    assert CANARY not in answer.text + json.dumps(entry)


def test_array_of_ignored_and_wrong(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """400 is only for bodies in which nothing is valid."""
    answer = receiver.post([example("user-update.audit"), {}])

    assert answer.status_code == 200
    assert answer.json()["refused"][0]["field"] == "[1].detail"
    assert len(ledger.quarantined()) == 1


def test_bad_bodies(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """Every bad body gets its status and field, one quarantine entry without its text, and is never written."""
    for bad in BAD_BODIES:
        answer = receiver.post(bad.body)

        assert answer.status_code == bad.status, bad.name
        error = answer.json()["error"]
        assert error["field"] == bad.field, bad.name
        assert error["cause"], bad.name
        assert error["remedy"], bad.name
        entry = ledger.quarantined(limit=1)[0]
        assert entry["field"] == bad.field, bad.name
        assert entry["size_bytes"] == str(len(bad.body)), bad.name
        assert len(entry["sha256"]) == 64, bad.name
        datetime.fromisoformat(entry["at"])
        assert USER not in json.dumps(entry), bad.name
    assert len(ledger.quarantined(limit=1000)) == len(BAD_BODIES)
    assert ledger.batches == []
    assert metric(receiver, 'jitprov_receiver_events_total{result="refused"}') >= len(BAD_BODIES)


def test_bad_bodies_without_key(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """Without a key a bad body is a 401 like any other, at last a 429, and nothing is kept of it."""
    statuses = [receiver.post(bad.body, {"X-API-Key": None}).status_code for bad in BAD_BODIES[::5]]

    assert statuses[:20] == [401] * 20
    assert set(statuses) == {401, 429}
    assert ledger.quarantined() == []


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"user:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"X-API-Key": None, "x-api-KEY": KEY}, 202),
        ({"X-API-Key": "second-" + "k" * 40}, 202),
        ({"X-API-Key": None, "Authorization": f"Bearer {KEY}"}, 202),
        ({"X-API-Key": None, "Authorization": basic(KEY)}, 202),
        ({"X-API-Key": None}, 401),
        ({"X-API-Key": ""}, 401),
        ({"X-API-Key": KEY[:-1]}, 401),
        ({"X-API-Key": KEY + "x"}, 401),
        ({"X-API-Key": KEY.upper()}, 401),
        ({"X-API-Key": None, "Cookie": f"X-API-Key={KEY}"}, 401),
        ({"X-API-Key": None, "Authorization": basic("wrong")}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 401),
    ],
)
def test_keys(ledger: SwitchedLedger, headers: dict[str, str | None], status: int) -> None:
    """Both active keys are taken in each form; whatever else is a 401 that never changes and writes nothing."""
    with RunningReceiver(ledger, webhook_key_next="second-" + "k" * 40) as receiver:
        answer = receiver.post(a_create(), headers)

        assert answer.status_code == status
        if status == 401:
            assert answer.content == receiver.post(b"", {"X-API-Key": "x"}).content
            assert answer.headers["WWW-Authenticate"]
            assert ledger.batches == []


def test_too_many_wrong_keys(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """Who brings one wrong key after the other is told to wait and cut off; the right key still comes in."""
    answers = [receiver.post(a_create(), {"X-API-Key": "x" * 40}) for _ in range(30)]

    assert {answer.status_code for answer in answers[-5:]} == {429}
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert answers[-1].headers["Connection"] == "close"
    assert ledger.batches == []
    assert receiver.post(a_create()).status_code == 202


def test_source_behind_a_proxy(ledger: SwitchedLedger) -> None:
    """Behind a proxy that names the sender, one sender's wrong keys are not another's."""
    wrong = {"X-API-Key": "x" * 40}
    with RunningReceiver(ledger, forwarded_header="X-Forwarded-For") as receiver:
        for _ in range(30):
            noisy = receiver.post(a_create(), wrong | {"X-Forwarded-For": "203.0.113.1, 192.0.2.7"})
        other = receiver.post(a_create(), wrong | {"X-Forwarded-For": "192.0.2.7, 203.0.113.1"})

    assert (noisy.status_code, other.status_code) == (429, 401)


SIGNING_SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


def signed(raw: bytes, secret: bytes = b"s" * 32, at_s: float = 0) -> dict[str, str | None]:
    """Return a sender's headers for a body, without a key."""
    timestamp = str(int(time.time() + at_s))
    text = b"msg_1." + timestamp.encode() + b"." + raw
    signature = base64.b64encode(hmac.new(secret, text, sha256).digest()).decode()
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {**dict(zip(names, ("msg_1", timestamp, f"v1,{signature}"), strict=True)), "X-API-Key": None}


@pytest.mark.parametrize("key", ["", KEY], ids=["no key set", "a key set"])
def test_signed_deliveries(ledger: SwitchedLedger, key: str) -> None:
    """A signed delivery needs no key; what is offered beside it must be right as well; a wrong signature is a 401."""
    raw = json.dumps(a_create()).encode()
    with RunningReceiver(ledger, webhook_key=key, webhook_signing_secret=SIGNING_SECRET) as receiver:
        assert receiver.post(raw, signed(raw)).status_code == 202
        for wrong in (
            signed(raw + b" "),
            signed(raw, b"x" * 32),
            signed(raw, at_s=-400),
            signed(raw, at_s=400),
            signed(raw) | {"X-API-Key": "x" * 40},
            {"X-API-Key": None},
        ):
            assert receiver.post(raw, wrong).status_code == 401
        assert receiver.post(raw, signed(raw) | {"X-API-Key": KEY}).status_code == (202 if key else 401)
        assert receiver.post(raw).status_code == (202 if key else 401)
    assert len(ledger.batches) == (3 if key else 1)


def test_signature_that_nobody_asked_for(receiver: RunningReceiver) -> None:
    """Without a signing secret a signature is a header like any other: a key is needed, and enough."""
    raw = json.dumps(a_create()).encode()

    assert receiver.post(raw, signed(raw)).status_code == 401
    assert receiver.post(raw, signed(raw) | {"X-API-Key": KEY}).status_code == 202


def test_key_in_query_or_body(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """A key in the query or in the body is none."""
    for path in (f"/events?X-API-Key={KEY}", f"/events?key={KEY}"):
        answer = requests.post(f"{receiver.url}{path}", json=a_create() | {"X-API-Key": KEY}, timeout=5)
        assert answer.status_code == 401
    assert ledger.batches == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 202),
        ({"Content-Type": 'Application/JSON ; Charset="UTF-8"'}, 202),
        ({"Content-Encoding": "identity"}, 202),
        ({"Range": "bytes=0-1048575", "Accept-Encoding": "gzip,deflate", "Connection": "close"}, 202),
        ({"Content-Type": None}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=utf-7"}, 415),
        ({"Content-Type": "application/json; charset=utf-16"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/jsonx"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "identity, gzip"}, 415),
    ],
)
def test_types(receiver: RunningReceiver, headers: dict[str, str | None], status: int) -> None:
    """Only uncompressed JSON as UTF-8 is read."""
    answer = receiver.post(json.dumps(a_create()).encode(), headers)

    assert answer.status_code == status
    if status == 415:
        assert answer.json()["error"]["field"] in {"Content-Type", "Content-Encoding"}


def test_gzip_bomb(receiver: RunningReceiver) -> None:
    """A compressed body is not unpacked."""
    assert receiver.post(gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}).status_code == 415


def test_size(ledger: SwitchedLedger) -> None:
    """A body of exactly the limit is taken; one byte more is a 413."""
    with RunningReceiver(ledger, body_max_bytes=2048) as receiver:
        event = json.dumps(a_create()).encode()

        assert receiver.post(event.ljust(2048)).status_code == 202
        answer = receiver.post(event.ljust(2049))
        assert answer.status_code == 413
        assert answer.json()["error"]["field"] == "body"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/events", 405),
        ("PUT", "/events", 405),
        ("DELETE", "/events", 405),
        ("POST", "/Events", 404),
        ("POST", "/events/", 404),
        ("POST", "//events", 404),
        ("POST", "/", 404),
        ("POST", "/healthz", 405),
        ("GET", "/docs", 404),
        ("GET", "/redoc", 404),
    ],
)
def test_routes(receiver: RunningReceiver, ledger: SwitchedLedger, method: str, path: str, status: int) -> None:
    """Other methods and paths are refused, never redirected, even with the right key."""
    answer = requests.request(
        method, f"{receiver.url}{path}", json=a_create(), headers={"X-API-Key": KEY}, timeout=5, allow_redirects=False
    )

    assert answer.status_code == status
    assert answer.json()["error"]["remedy"]
    assert ledger.batches == []


def test_rooms_on_the_same_port(ledger: SwitchedLedger) -> None:
    """What another room's route refuses keeps its own words."""
    receiver = RunningReceiver(ledger)

    @receiver.app.get("/api/one")
    def _one() -> None:
        raise HTTPException(404, "nothing is known by this id")

    with receiver:
        answer = receiver.get("/api/one")

        assert answer.status_code == 404
        assert answer.json() == {"detail": "nothing is known by this id"}


def test_health_and_metrics(receiver: RunningReceiver) -> None:
    """The process is up, ready, and counts what it did without naming anybody."""
    receiver.post([a_create(USER), a_create(USER), example("user-update.audit"), {}])
    receiver.post(a_create(), {"X-API-Key": "x"})
    wait_until(lambda: len(receiver.published) == 1, within_s=5)

    assert receiver.get("/healthz").status_code == 200
    assert receiver.get("/readyz").status_code == 200
    for result in ("accepted", "duplicate", "ignored", "refused"):
        assert metric(receiver, f'jitprov_receiver_events_total{{result="{result}"}}') == 1
    assert metric(receiver, 'jitprov_receiver_answers_total{status="202"}') == 1
    assert metric(receiver, 'jitprov_receiver_answers_total{status="401"}') == 1
    assert metric(receiver, 'jitprov_receiver_publishes_total{outcome="sent"}') == 1
    assert metric(receiver, "jitprov_receiver_duration_seconds_count") == 2
    assert USER not in receiver.get("/metrics").text


def test_contract(receiver: RunningReceiver) -> None:
    """The published contract names every answer of the webhook."""
    contract = receiver.get("/openapi.json").json()

    assert set(contract["paths"]["/events"]["post"]["responses"]) == {
        *("200", "202", "400", "401", "408", "413", "415", "429", "503"),
    }
    assert contract["paths"]["/events"]["post"]["requestBody"]["required"]


def test_ids(receiver: RunningReceiver) -> None:
    """The answer's ids belong together: the task id is that of the first run's first step."""
    accepted = receiver.post(a_create()).json()["accepted"][0]
    task = parse_task_id(accepted["task_id"])

    assert is_uuid(accepted["provisioning_id"])
    assert task is not None
    assert (task.provisioning_id, task.generation, task.step_number) == (accepted["provisioning_id"], 1, 1)


def test_refuses_to_start() -> None:
    """Without a webhook key, or on a taken port, there is no receiver."""
    ledger = MemoryLedger(lambda: datetime.now(UTC))
    with pytest.raises(ConfigurationError):
        create_app(Settings(), ledger, lambda _: None)
    with listen(Settings(receiver_port=0)) as taken, pytest.raises(ConfigurationError):
        listen(Settings(receiver_port=taken.getsockname()[1]))


def test_reduced_event_of_the_corpus(receiver: RunningReceiver) -> None:
    """The event that the bad bodies are made of is a good one."""
    assert receiver.post(REDUCED).status_code == 202
