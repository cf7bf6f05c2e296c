"""The front door on a real Redis that dies, hangs and comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from jitprov.ledger.redis import RedisLedger
from own_redis import OwnRedis
from running_receiver import RunningReceiver

pytestmark = pytest.mark.integration
PROMISED_S = 2.5


@pytest.fixture
def ledger(own_redis: OwnRedis, key_prefix: str) -> Iterator[RedisLedger]:
    ledger = RedisLedger.connect(own_redis.url, key_prefix, timeout_s=1.0)
    yield ledger
    ledger.close()


@pytest.fixture
def receiver(ledger: RedisLedger) -> Iterator[RunningReceiver]:
    with RunningReceiver(ledger) as running:
        yield running


def a_create() -> dict[str, Any]:
    return {"detail": {"action": "Create", "entity": {"id": str(uuid4())}}}


def statuses_at_once(receiver: RunningReceiver, count: int) -> tuple[set[int], float]:
    """Post from so many connections at once; return the statuses and the longest wait in seconds."""

    def one(_: int) -> tuple[int, float]:
        began = time.monotonic()
        answer = receiver.post(a_create())
        assert answer.status_code != 503 or "Retry-After" in answer.headers
        return answer.status_code, time.monotonic() - began

    with ThreadPoolExecutor(count) as pool:
        answered = list(pool.map(one, range(count)))
    return {status for status, _ in answered}, max(took_s for _, took_s in answered)


def test_redis_dies(receiver: RunningReceiver, ledger: RedisLedger, own_redis: OwnRedis) -> None:
    """Without Redis every sender gets 503 in time; when it is back the same process takes events within a second."""
    accepted = receiver.post(a_create()).json()["accepted"][0]
    own_redis.kill()

    statuses, longest_s = statuses_at_once(receiver, 50)
    assert statuses == {503}
    assert longest_s < PROMISED_S
    own_redis.start()
    began = time.monotonic()
    assert receiver.post(a_create()).status_code == 202
    assert time.monotonic() - began < 1
    assert ledger.get(accepted["provisioning_id"]) is not None


def test_redis_hangs(receiver: RunningReceiver, ledger: RedisLedger, own_redis: OwnRedis) -> None:
    """While Redis hangs every sender gets 503 in time; nothing that was written late is lost or doubled."""
    assert receiver.post(a_create()).status_code == 202
    with Redis.from_url(own_redis.url) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        statuses, longest_s = statuses_at_once(receiver, 50)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert statuses == {503}
    assert longest_s < PROMISED_S
    assert receiver.post(a_create()).status_code == 202
    assert sum(ledger.count().values()) >= 2


def test_redis_full(receiver: RunningReceiver, own_redis: OwnRedis) -> None:
    """A Redis that takes no more writes is a 503, for good bodies and bad ones."""
    with Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        assert receiver.post(a_create()).status_code == 503
        assert receiver.post(b"{").status_code == 503
        client.config_set("maxmemory", "0")
    assert receiver.post(a_create()).status_code == 202


def test_quarantine(receiver: RunningReceiver, ledger: RedisLedger) -> None:
    """A bad body is in Redis' quarantine when the 400 comes, without its text."""
    assert receiver.post(b'{"detail": "robin.canary@example.test"}').status_code == 400

    (entry,) = ledger.quarantined()
    assert entry["field"] == "detail"
    assert "canary" not in str(entry)


def test_race_of_one_user(receiver: RunningReceiver) -> None:
    """Twenty deliveries of one event at once are one provisioning, published once."""
    event = a_create()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: receiver.post(event).json()["accepted"][0], range(20)))

    assert len({answer["provisioning_id"] for answer in answers}) == 1
    assert sum(not answer["duplicate"] for answer in answers) == 1


def test_redis_comes_back_empty(receiver: RunningReceiver, ledger: RedisLedger, own_redis: OwnRedis) -> None:
    """A new, empty server on the old address takes nothing in: 503 and not ready, until it is acknowledged."""
    accepted = receiver.post(a_create()).json()["accepted"][0]
    own_redis.kill()
    own_redis.forget()
    own_redis.start()

    for _ in range(2):
        answer = receiver.post(a_create())
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "lost" in answer.json()["error"]["cause"]
    ready = receiver.get("/readyz")
    assert (ready.status_code, "lost" in ready.text) == (503, True)
    assert sum(ledger.count().values()) == 0

    ledger.acknowledge_loss(opens_in_s=0, looks_for_s=60)
    again = receiver.post(a_create())
    assert again.status_code == 202
    assert again.json()["accepted"][0]["provisioning_id"] != accepted["provisioning_id"]
