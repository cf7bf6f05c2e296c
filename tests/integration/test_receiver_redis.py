"""The front door on a real Redis that dies, hangs and comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from jitprov.ledger.redis import RedisLedger
from own_redis import OwnRedis, wait_until
from redis_link import RedisLink
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


# What a Redis says that cannot take writes now: as a replica, at its start, amid a failover, with other users than
# before, without memory, disk or patience; and what no Redis says.
SAID = [
    b"-READONLY You can't write against a read only replica.",
    b"-LOADING Redis is loading the dataset in memory",
    b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    b"-CLUSTERDOWN The cluster is down",
    b"-MOVED 1 127.0.0.1:1",
    b"-TRYAGAIN Multiple keys request during rehashing of slot",
    b"-NOAUTH Authentication required.",
    b"-WRONGPASS invalid username-password pair or user is disabled.",
    b"-NOPERM this user has no permissions to run the 'evalsha' command",
    b"-OOM command not allowed when used memory > 'maxmemory'.",
    b"-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    b"-NOREPLICAS Not enough good replicas to write.",
    b"-BUSY Redis is busy running a script.",
    b"-ERR unknown command 'EVALSHA'",
    b"-ERR max number of clients reached",
    b"-",
    b"+OK",
    b":1",
    b"*0",
    b"$-1",
    b"!what",
    b"HTTP/1.1 400 Bad Request",
    b"\xff\xfe",
]


@pytest.fixture
def link(redis_url: str) -> Iterator[RedisLink]:
    with RedisLink(int(redis_url.rpartition(":")[2].partition("/")[0])) as linked:
        yield linked


@pytest.fixture
def linked(link: RedisLink, key_prefix: str) -> Iterator[RunningReceiver]:
    ledger = RedisLedger.connect(link.url, key_prefix, timeout_s=1.0)
    with RunningReceiver(ledger) as running:
        yield running
    ledger.close()


def test_whatever_redis_says(linked: RunningReceiver, link: RedisLink) -> None:
    """Whatever Redis says instead of writing, good and bad bodies are 503 in time; then the same process takes them."""
    for said in SAID:
        assert linked.post(a_create()).status_code == 202, said
        link.says = said + b"\r\n"
        for body in (a_create(), b"{"):
            began = time.monotonic()
            answer = linked.post(body)
            assert (answer.status_code, said) == (503, said)
            assert int(answer.headers["Retry-After"]) > 0, said
            assert time.monotonic() - began < PROMISED_S, said
        link.says = b""
    assert linked.post(b"{").status_code == 400


def test_redis_is_slow(linked: RunningReceiver, link: RedisLink) -> None:
    """A Redis that takes 0.3 s is waited for, one that takes more than a second is not: 503 in time, and back again."""
    assert linked.post(a_create()).status_code == 202
    for delay_s, expected in ((0.3, {202}), (1.2, {503}), (0.0, {202})):
        link.delay_s = delay_s
        time.sleep(0.1)
        statuses, longest_s = statuses_at_once(linked, 20)
        assert (delay_s, statuses) == (delay_s, expected)
        assert longest_s < PROMISED_S
        link.delay_s = 0.0
        wait_until(lambda: linked.post(a_create()).status_code == 202, within_s=5)


def test_redis_becomes_a_replica(receiver: RunningReceiver, own_redis: OwnRedis) -> None:
    """As a replica, cut off from its master or not, Redis is a 503; made master again it is written to at once."""
    assert receiver.post(a_create()).status_code == 202
    with Redis.from_url(own_redis.url) as client:
        client.replicaof("127.0.0.1", "1")
        assert receiver.post(a_create()).status_code == 503
        client.config_set("replica-serve-stale-data", "no")
        assert receiver.post(a_create()).status_code == 503
        assert receiver.post(b"{").status_code == 503
        client.config_set("replica-serve-stale-data", "yes")
        client.replicaof("NO", "ONE")
    assert receiver.post(a_create()).status_code == 202


def test_failover(own_redis: OwnRedis, tmp_path: Path, key_prefix: str) -> None:
    """After a failover the same process finds the new master, though the old one keeps its connection."""
    second = OwnRedis(tmp_path / "second")
    second.folder.mkdir()
    second.start()
    with RedisLink(own_redis.port) as link, Redis.from_url(own_redis.url) as old, Redis.from_url(second.url) as new:
        new.replicaof("127.0.0.1", str(own_redis.port))
        wait_until(lambda: new.info("replication")["master_link_status"] == "up", within_s=20)
        ledger = RedisLedger.connect(link.url, key_prefix, timeout_s=1.0)
        with RunningReceiver(ledger) as receiver:
            accepted = receiver.post(a_create()).json()["accepted"][0]
            wait_until(lambda: bool(new.exists(f"{key_prefix}p:{accepted['provisioning_id']}")), within_s=5)
            new.replicaof("NO", "ONE")
            old.replicaof("127.0.0.1", str(second.port))
            link.to = second.port

            statuses = [receiver.post(a_create()).status_code for _ in range(3)]
            assert statuses[-1] == 202, statuses
            assert set(statuses) <= {202, 503}
            assert ledger.get(accepted["provisioning_id"]) is not None
        ledger.close()
    second.kill()


def test_users_change(receiver: RunningReceiver, own_redis: OwnRedis) -> None:
    """A user that is locked out, or may do less, is a 503; given its rights back it writes, without a restart."""
    assert receiver.post(a_create()).status_code == 202
    admin = own_redis.url.replace("redis://", "redis://admin:admin@")
    with Redis.from_url(own_redis.url) as client:
        client.acl_setuser("admin", enabled=True, passwords=["+admin"], categories=["+@all"], keys=["*"])
    with Redis.from_url(admin) as client:
        client.execute_command("ACL", "SETUSER", "default", "-evalsha")
        assert receiver.post(a_create()).status_code == 503
        client.execute_command("ACL", "SETUSER", "default", "+@all", "resetpass", ">another")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert receiver.post(a_create()).status_code == 503
        assert receiver.post(b"{").status_code == 503
        client.execute_command("ACL", "SETUSER", "default", "nopass")
    assert receiver.post(a_create()).status_code == 202
