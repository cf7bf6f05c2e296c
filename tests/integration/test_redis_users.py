"""Each part's user in Redis: it can do its work, and not one thing beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from builders import a_failure, a_profile, an_opening
from jitprov.alerts.conditions import Bounds
from jitprov.alerts.facts import FactsOf
from jitprov.alerts.gauges import AlertGauges
from jitprov.alerts.keeper import Keeper
from jitprov.alerts.schedule import Schedule
from jitprov.alerts.tallies import door_teller, look_teller
from jitprov.budget import Permit, Reading
from jitprov.budget.rate import BudgetRate
from jitprov.budget.redis import RedisBudget
from jitprov.cache.redis import RedisCache
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import CORRIDOR, Findings, Provisioning, State
from jitprov.errors import DependencyDown
from jitprov.ledger import Claim
from jitprov.ledger.overview import Act, Filter
from jitprov.ledger.redis_overview import RedisOverview
from jitprov.pipeline.chain import URGENCY
from jitprov.pipeline.reconciler import Look
from jitprov.receiver.missed import READ_UNTIL
from jitprov.sealing import Seals
from jitprov.stack.redis_server import EmbeddedRedis, find_redis_server, version_of
from jitprov.stack.redis_users import USERS
from own_redis import free_port, wait_until

pytestmark = pytest.mark.integration

P = "jitprov:"
QUEUE = "jitprov.create_phone"

# What nobody but the owner may do, whatever part was broken into.
OF_THE_OWNER = (
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "CONFIG SET appendonly no",
    "SHUTDOWN NOSAVE",
    "DEBUG SLEEP 0",
    "REPLICAOF 127.0.0.1 1",
    "BGREWRITEAOF",
    "SAVE",
    "ACL LIST",
    "ACL SETUSER mallory on nopass ~* +@all",
    "CLIENT LIST",
    "CLIENT KILL ID 1",
    "MONITOR",
    "MODULE LIST",
    "SCRIPT FLUSH",
    "EVAL return(1) 0",
    "SWAPDB 0 1",
    "GET somebody:else",
    "SET somebody:else 1",
    "DEL somebody:else",
)
# What a part may not do, though another part may.
NOT_OF: dict[str, tuple[str, ...]] = {
    "receiver": (
        f"BRPOP {QUEUE} 0.01",
        f"LRANGE {QUEUE} 0 -1",
        f"DEL {QUEUE}",
        "SCAN 0",
        f"GET {P}cache:token:x",
        f"MGET {P}cache:profile:x",
        f"SET {P}cache:token:x 1",
        f"SET {P}cache:alerts 1",
        "HGETALL unacked",
        "HDEL unacked x",
        "SUBSCRIBE /0.celery.pidbox",
        "PUBLISH /0.celery.pidbox shutdown",
        "CONFIG GET *",
        "INFO",
    ),
    "worker": (
        "SCAN 0",
        "CONFIG GET *",
        "INFO",
        f"HGET {P}users x",
        f"HSET {P}events x y",
        f"HSET {P}quarantine:texts x y",
        f"HGETALL {P}quarantine:texts",
        f"LRANGE {QUEUE} 0 -1",
        "PUBLISH another x",
    ),
    "reconciler": (
        "SCAN 0",
        "CONFIG GET *",
        "INFO",
        f"BRPOP {QUEUE} 0.01",
        f"MGET {P}cache:profile:x",
        f"HINCRBY {P}cache:profile:x y 1",
        "HDEL another x",
        "HDEL unacked_index x",
        "PUBLISH /0.celery.pidbox shutdown",
    ),
    "flower": (
        "SCAN 0",
        "CONFIG GET *",
        "INFO",
        f"HGETALL {P}p:x",
        f"LPUSH {QUEUE} x",
        f"RPUSH {QUEUE} x",
        f"LRANGE {QUEUE} 0 -1",
        f"GET {P}cache:token:x",
        "HGETALL unacked",
        f"SADD _kombu.binding.{QUEUE} x",
        f"ZRANGE {P}state:ready 0 -1",
    ),
    "operator": ("CONFIG SET maxmemory 1", "PUBLISH another x"),
}

# What is done by one at a time, and the value that it is about.
FLIGHTS = (
    ("worker", "token:x", "token:x"),
    ("operator", "token:x", "token:x"),
    ("reconciler", "reconciler", "reconciler:beat"),
    ("reconciler", READ_UNTIL, READ_UNTIL),
    ("reconciler", "token:x", "token:x"),
)


class Guarded:
    """An embedded Redis with its users."""

    def __init__(self, redis: EmbeddedRedis) -> None:
        self.redis = redis

    def url(self, user: str) -> str:
        return self.redis.url_of(user).get_secret_value()

    @contextmanager
    def client(self, user: str) -> Iterator[Redis]:
        with Redis.from_url(self.url(user), decode_responses=True, socket_timeout=5) as client:
            yield client

    def denials(self) -> list[str]:
        with self.client("admin") as admin:
            log = admin.acl_log()
            admin.acl_log_reset()
        return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log]

    def ledger(self, user: str) -> RedisOverview:
        return RedisOverview.connect(self.url(user), P, seals=Seals("d" * 40))

    def cache(self, user: str) -> RedisCache:
        return RedisCache.connect(self.url(user), P)

    def budget(self, user: str) -> RedisBudget:
        rate = BudgetRate.of(300, headroom=0.02, time_scale=1.0)
        return RedisBudget.connect(self.url(user), P, owner="x", rate=rate)


def servers() -> list[Path]:
    """Return the embedded server, and the one on the path if that is another version."""
    embedded, on_path = find_redis_server(), shutil.which("redis-server", path=os.environ.get("PATH"))
    more = [Path(on_path)] if on_path and version_of(Path(on_path)) != version_of(embedded) else []
    return [embedded, *more]


@pytest.fixture(scope="module", params=servers(), ids=lambda server: "redis {}.{}".format(*version_of(server)))
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("users")
    folder.chmod(0o700)
    server = request.param
    redis = EmbeddedRedis(server, folder / "redis", folder / "redis.conf", free_port(), SecretStr("of-one-test"))
    redis.prepare()
    process = subprocess.Popen(redis.argv, stdout=subprocess.DEVNULL)
    try:
        wait_until(redis.is_ready, within_s=10)
        yield Guarded(redis)
    finally:
        process.terminate()
        process.wait(timeout=10)


def look_over(ledger: RedisOverview, seen: Provisioning) -> None:
    """Ask all that the board and the commands ask."""
    for wanted in (Filter(), Filter(text="robin"), Filter(department="Seasonal_Retail")):
        ledger.search(wanted)
        ledger.tally(wanted)
        ledger.causes(wanted)
    now = ledger.standing().now
    ledger.standing(now)
    ledger.curve(now, [now])
    ledger.ahead(seen)
    ledger.departments()
    for number in range(3):
        ledger.note(Act(f"{number}", now, "somebody", "retry", "x"), keep=1)
    ledger.acts()


def judge(guarded: Guarded) -> None:
    """Count, judge and ring as receiver and reconciler do, and show it."""
    receiver, reconciler = guarded.ledger("receiver"), guarded.ledger("reconciler")
    door_teller(guarded.cache("receiver"), receiver.ping)({401: 9})
    shelf = guarded.cache("reconciler")
    look_teller(shelf, reconciler.ping, batch=1)(Look(due=1, republished=1))
    schedule, bounds = Schedule.read("", "UTC"), Bounds(failed_least=0)
    facts = FactsOf(reconciler, guarded.budget("reconciler").state, shelf, schedule, bounds)
    assert facts.now().answers == {401: 9}
    said: list[str] = []
    keeper = Keeper(shelf, facts.now, bounds, tell=lambda text: not said.append(text), now=reconciler.ping)
    keeper.look(threading.Event())
    assert any("401" in text for text in said)
    shown = FactsOf(receiver, guarded.budget("receiver").state, guarded.cache("receiver"), schedule, bounds)
    [up, *metrics] = AlertGauges(receiver, guarded.cache("receiver"), shown.now).collect()
    assert up.samples[0].value == 1
    assert any(sample.labels.get("alert") == "refusing" and sample.value for sample in metrics[0].samples)


def spend(budget: RedisBudget) -> None:
    """Ask the meter all that a worker asks."""
    permit = budget.reserve(wait_max_s=10)
    assert isinstance(permit, Permit)
    budget.confirm(permit)
    budget.heard(permit, Reading(300, 3, 30, permit.slot_at_s, permit.slot_at_s + 0.001))
    budget.reserve(wait_max_s=0)
    budget.failed(permit, "503")
    budget.succeeded(replace(permit, failures=1))
    budget.hold(for_s=0.05, reason="x")
    budget.confirm(permit)
    budget.pause(for_s=0.001, reason="x")
    budget.close()


def steer(budget: RedisBudget) -> None:
    """Ask the meter all that people ask."""
    budget.hold(for_s=0.001, reason="x")
    budget.resume()
    budget.set_rate(299)
    budget.set_rate(300)
    budget.state()
    budget.close()


def pause(_: float) -> None:
    pytest.fail("nobody else holds it")


def test_each_part_can_do_its_work(guarded: Guarded) -> None:
    """What receiver, worker, reconciler and operator do with ledger, shelf and meter, their users may."""
    receiver, worker = guarded.ledger("receiver"), guarded.ledger("worker")
    reconciler, operator = guarded.ledger("reconciler"), guarded.ledger("operator")
    good, bad = an_opening(), an_opening()
    receiver.accept([good, bad], look_after_s=0)
    for number in range(3):
        receiver.quarantine({"id": f"{number}"}, keep=2, sealed="sealed")
    assert [entry["id"] for entry in receiver.quarantined()] == ["2", "1"]
    assert receiver.sealed_body("2") == "sealed"
    assert receiver.release("2")
    assert operator.release("1")
    assert worker.waiting_users(limit=5)
    for opening in (good, bad):
        for step in CORRIDOR:
            claim = worker.claim(opening.provisioning_id, step, 1, token=f"{step}", lease_s=5)
            assert isinstance(claim, Claim)
            assert worker.still_held(claim, lease_s=5)
            found = Findings(profile=a_profile(email=f"{opening.user_id}@example.test"))
            after = (
                moves.fail(claim.record, claim.now, a_failure())
                if opening is bad
                else moves.advance(claim.record, claim.now, found)
            )
            assert worker.record(claim, after, look_after_s=0)
            if opening is bad:
                break
    assert reconciler.due(limit=5) == []
    reconciler.looked(bad.provisioning_id, missed=0, look_after_s=1)
    for ledger in (receiver, operator):
        ledger.ping()
        assert ledger.count()[State.READY] == 1
        assert len(ledger.page()) == 2
        assert len(ledger.page((State.FAILED, State.CANCELLED))) == len(ledger.page((State.READY,))) == 1
        assert ledger.find(f"{good.user_id}@example.test")
        seen = ledger.find(bad.user_id)
        assert seen
        look_over(ledger, seen)
        assert ledger.change(seen, moves.resume(seen, ledger.ping()), look_after_s=0)
        ledger.ask_cancel(bad.provisioning_id)
        again = ledger.find(bad.event_id)
        assert again
        assert ledger.change(again, moves.cancel(again, ledger.ping()), look_after_s=0)
    operator.server_facts()
    assert reconciler.forget(ended_before=reconciler.ping() + timedelta(days=1)) == 2
    for user, flight, key in FLIGHTS:
        cache = guarded.cache(user)
        with cache.single_flight(flight, hold_s=1, wait=pause, wait_max_s=1):
            cache.put(key, b"1", ttl_s=1)
            assert cache.get(key) == b"1"
        cache.close()
    for user in ("worker", "operator", "reconciler"):
        spend(guarded.budget(user))
    assert not reconciler.accept([an_opening()], look_after_s=60)[0].duplicate
    for user in ("receiver", "operator"):
        steer(guarded.budget(user))
    judge(guarded)

    assert guarded.denials() == []


@pytest.mark.parametrize("user", USERS)
def test_a_part_cannot_do_more(guarded: Guarded, user: str) -> None:
    """A part that was broken into can neither rule the server nor touch what is another's."""
    allowed = []
    with guarded.client(user) as client:
        for command in (*OF_THE_OWNER, *NOT_OF[user]):
            try:
                allowed.append((command, client.execute_command(*command.split(" "))))
            except ResponseError as error:
                if not re.search("permission|not allowed", str(error)):
                    allowed.append((command, error))
    assert allowed == []
    assert {denied.split(":")[0] for denied in guarded.denials()} == {user}


@pytest.mark.parametrize(
    ("user", "refused"),
    [("flower", (f"BRPOP {QUEUE} 0.01", f"DEL {QUEUE}")), ("receiver", (f"LINDEX {QUEUE} 0", f"RPOP {QUEUE}"))],
)
def test_queues_are_for_looking_or_for_adding(guarded: Guarded, user: str, refused: tuple[str, ...]) -> None:
    """Flower learns a queue's length and takes nothing; the receiver adds to it and reads nothing; from Redis 7 on."""
    with guarded.client(user) as client:
        assert client.llen(QUEUE) == 0
        if version_of(guarded.redis.server) < (7, 0):
            return  # 6.2 knows no keys for reading or writing alone
        for command in refused:
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split(" "))
    guarded.denials()


@pytest.mark.parametrize("given", [{}, {"password": "of-one-test"}, {"username": "worker", "password": "of-one-test"}])
def test_nobody_else_gets_in(guarded: Guarded, given: dict[str, Any]) -> None:
    """Without a user, as the default user, or with another's password, not even a ping is answered."""
    with Redis(port=guarded.redis.port, **given) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    guarded.denials()


def test_the_lists_of_priorities_are_open_to_the_same(guarded: Guarded) -> None:
    """Messages that wait for their turn may be sent, taken, given back and counted by who does that elsewhere."""
    waiting = f"jitprov.patch_skills\x06\x16{URGENCY['low']}"
    for user in ("worker", "reconciler", "operator"):
        with guarded.client(user) as client:
            assert client.lpush(waiting, "message") == 1
        with guarded.client("flower") as client:
            assert client.llen(waiting) == 1
        with guarded.client("reconciler") as client:
            assert client.lrange(waiting, 0, -1) == ["message"]
        with guarded.client("worker") as client:
            assert tuple(client.brpop([waiting], 1) or ()) == (waiting, "message")
            assert client.rpush(waiting, "message") == 1
            assert client.brpop([waiting], 1)

    assert guarded.denials() == []


def test_a_refusal_is_told_as_an_outage(guarded: Guarded) -> None:
    """A part whose user lacks a right says that its Redis does not answer, and which error it was; no password."""
    ledger = guarded.ledger("flower")
    with pytest.raises(DependencyDown, match="NoPermissionError") as caught:
        ledger.accept([an_opening()], look_after_s=1)
    ledger.close()
    guarded.denials()

    assert isinstance(caught.value.__cause__, RedisError)
    assert guarded.url("flower").split(":")[2].split("@")[0] not in str(caught.value)
