"""The whole corpus of bad input against a receiver started for real: with the key and without, Redis up and down.

The cases are data (tests/data): bodies that must be refused, bodies that only look wrong, requests that no HTTP library
would send, senders that dawdle. Expected is one answer each, never a 5xx but 503 while Redis is away, a process that
lives, bounded memory, and nothing in Redis or in the log that a case brought along.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from data.bad_bodies import BAD_BODIES
from data.odd_bodies import ODD_BODIES
from data.raw_requests import EVENT, RAW_REQUESTS, RawRequest, Stage
from jitprov.ledger.redis import RedisLedger
from own_redis import OwnRedis, wait_until
from receiver_process import ReceiverProcess
from reliability.report import Row, record
from running_receiver import read_all

pytestmark = pytest.mark.integration

KEY = "corpus-" + "k" * 40
MEMORY_MORE_BYTES = 50_000_000
PROVISIONING = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
QUARANTINE = rb"jitprov:quarantine"
# What the alerts count per minute.
DOOR_COUNTS = b"jitprov:cache:door:"
# What some case carries and no log or ledger may show.
CANARIES = ["jndi", "<script>", "OR 1=1", "etc/passwd", "\x1b[31m", "evil.example", "GARBAGE"]


def _as_raw(name: str, body: bytes, status: int) -> RawRequest:
    head = b"POST /events HTTP/1.1\r\nHost: x\r\n{key}\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    stage = Stage.HEADERS if status == 413 else Stage.LEDGER
    return RawRequest(name, head % len(body) + body, (status,), stage, int(status == 202))


CASES: dict[str, list[RawRequest]] = {
    "refused bodies": [_as_raw(bad.name, bad.body, bad.status) for bad in BAD_BODIES],
    "odd bodies": [_as_raw(odd.name, odd.body, odd.status) for odd in ODD_BODIES],
    "raw requests": RAW_REQUESTS,
}
DAWDLERS: dict[str, tuple[tuple[bytes, bytes], set[int]]] = {
    # name → (first bytes, bytes sent again and again), statuses that may end it
    "headers a byte at a time": ((b"POST /events HTTP/1.1\r\nHost: x\r\nX: ", b"a"), set()),
    "headers a line at a time": ((b"POST /events HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n"), set()),
    "empty lines": ((b"", b"\r\n"), set()),
    "nothing": ((b"", b""), set()),
    "body a byte at a time": ((b"{head}Content-Length: 1000\r\n\r\n", b" "), {408}),
    "body that never comes": ((b"{head}Content-Length: 1000\r\n\r\n", b""), {408}),
    "body that is asked for": ((b"{head}Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n", b""), {100, 408}),
    "chunks a byte at a time": ((b"{head}Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), {408}),
    "a chunk's length that does not end": ((b"{head}Transfer-Encoding: chunked\r\n\r\n0", b"0"), {400, 408}),
    "body without a key": ((b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b" "), {401, 429}),
}
UNTESTED = (
    "By the clock, that comparing a key takes as long for a right beginning as for a wrong one: the noise of a shared "
    "machine drowns nanoseconds. That every key is compared whole, by the function made for it, is tested."
)
DAWDLER_ENDS_WITHIN_S = 12.0
_HEAD = f"POST /events HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n".encode()


@dataclass(frozen=True, slots=True)
class Round:
    """How the corpus is run once."""

    name: str
    with_key: bool
    redis_up: bool

    def expected(self, case: RawRequest) -> list[set[int]]:
        """Return what each answer may be."""
        return [self._one(case, status) for status in case.statuses]

    def _one(self, case: RawRequest, status: int) -> set[int]:
        if case.stage is Stage.WIRE:
            return {status}
        if case.stage is Stage.LEDGER and not self.redis_up and status not in {100, 200}:
            return {503}  # save where the ledger has nothing to do
        return {status}


ROUNDS = [
    Round("key, Redis up", with_key=True, redis_up=True),
    Round("no key, Redis up", with_key=False, redis_up=True),
    Round("key, Redis down", with_key=True, redis_up=False),
    Round("no key, Redis down", with_key=False, redis_up=False),
]


def talk(port: int, raw: bytes) -> list[int]:
    """Send bytes, stop sending, and return the statuses of all answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with suppress(OSError):  # it may hang up on us in the middle, with an answer
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        return statuses_in(read_all(connection))


def statuses_in(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def run_round(receiver: ReceiverProcess, how: Round) -> Iterator[str]:
    """Send every case; yield what was not as expected."""
    key_line = f"X-API-Key: {KEY}".encode() if how.with_key else b"X-No-Key: x"
    for case in (case for cases in CASES.values() for case in cases):
        raw = case.raw.replace(b"{key}", key_line).replace(b"{secret}", KEY.encode())
        statuses, expected = talk(receiver.port, raw), how.expected(case)
        if not how.with_key and case.stage is not Stage.WIRE:
            # The answer to a wrong key waits for no body; and who is told to wait is hung up on, with what comes after.
            expected = [{401, 429}] * max(len(statuses), 1)
        fits = len(statuses) == len(expected) and all(
            status in allowed for status, allowed in zip(statuses, expected, strict=True)
        )
        if not fits:
            yield f"{how.name}: {case.name[:60]}: {statuses} instead of {expected}"
        assert receiver.alive, f"{how.name}: {case.name} ended the process"


def dawdle(port: int, first: bytes, again: bytes) -> tuple[list[int], float]:
    """Send slowly until cut off; return the statuses and how long it took."""
    began = time.monotonic()
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(first.replace(b"{head}", _HEAD))
        connection.settimeout(0.3)
        while time.monotonic() - began < DAWDLER_ENDS_WITHIN_S + 3:
            try:
                connection.sendall(again)
                part = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if not part:
                break
            received += part
    return statuses_in(received), time.monotonic() - began


@contextmanager
def dawdlers(port: int) -> Iterator[dict[str, Future[tuple[list[int], float]]]]:
    """Senders that dawdle all the while."""
    with ThreadPoolExecutor(len(DAWDLERS)) as pool:
        yield {name: pool.submit(dawdle, port, *sent) for name, (sent, _) in DAWDLERS.items()}


def test_corpus(own_redis: OwnRedis, tmp_path: Path) -> None:
    """Every case gets its answer in every round; the process lives, stays small, keeps nothing of what it refused."""
    wrong: list[str] = []
    with ReceiverProcess(tmp_path, own_redis.url, webhook_key=KEY) as receiver:
        wrong += talk_once(receiver, 202)
        wait_until(lambda: is_published(own_redis), within_s=10)
        families = key_families(own_redis)
        memory_before = receiver.memory_bytes
        with dawdlers(receiver.port) as slow:
            for how in ROUNDS[:2]:
                wrong += run_round(receiver, how)
        ends = {name: future.result() for name, future in slow.items()}
        assert not wrong, "\n".join(wrong)
        check_redis(own_redis, families)
        own_redis.kill()
        for how in ROUNDS[2:]:
            wrong += run_round(receiver, how)
        own_redis.start()
        wait_until(lambda: not talk_once(receiver, 202), within_s=5)
        memory_more = receiver.memory_bytes - memory_before

    for name, (statuses, took_s) in ends.items():
        if not set(statuses) <= DAWDLERS[name][1] or took_s > DAWDLER_ENDS_WITHIN_S:
            wrong.append(f"dawdler, {name}: {statuses} after {took_s:.1f} s")
    assert not wrong, "\n".join(wrong)
    assert memory_more < MEMORY_MORE_BYTES
    check_log(receiver)
    report(memory_more)


def talk_once(receiver: ReceiverProcess, status: int) -> list[str]:
    raw = _HEAD + b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT
    statuses = talk(receiver.port, raw)
    return [] if statuses == [status] else [f"a good event: {statuses}"]


def key_families(redis: OwnRedis) -> Counter[bytes]:
    """Return how many keys there are of each name, ids aside."""
    with Redis.from_url(redis.url) as client:
        return Counter(PROVISIONING.sub(b"ID", key) for key in client.scan_iter(count=1000))


def is_published(redis: OwnRedis) -> bool:
    with Redis.from_url(redis.url) as client:
        return client.llen("jitprov.fetch_profile") == 1


def check_redis(redis: OwnRedis, families: Counter[bytes]) -> None:
    """One agent as before, no key of another family, no refused text, one quarantine entry for each refused body."""
    assert [name for name in key_families(redis) - families if not name.startswith((QUARANTINE, DOOR_COUNTS))] == []
    ledger = RedisLedger.connect(redis.url, "jitprov:")
    entries = json.dumps([dict(entry) for entry in ledger.quarantined(limit=1000)])
    refused = sum(case.stage is Stage.LEDGER and 400 in case.statuses for cases in CASES.values() for case in cases)
    kept = len(ledger.quarantined(limit=1000))
    ledger.close()
    assert kept == refused
    assert [canary for canary in CANARIES if json.dumps(canary)[1:-1] in entries] == []


def check_log(receiver: ReceiverProcess) -> None:
    """Every line is JSON, none shows a key, a text of a case, or an error that nobody handled."""
    text = receiver.log.read_text()
    events = Counter(receiver.events_logged())
    assert [canary for canary in [KEY, "Traceback", *CANARIES] if json.dumps(canary)[1:-1] in text] == []
    assert events["intake_broken"] == 0
    assert not [event for event in events if "xception" in event]


def report(memory_more: int) -> None:
    """Tell docs/reliability.md."""
    counts = {name: len(cases) for name, cases in CASES.items()} | {"dawdling senders": len(DAWDLERS)}
    rows = [Row(f"cases: {name}", count) for name, count in counts.items()]
    total = sum(len(cases) for cases in CASES.values()) * len(ROUNDS) + len(DAWDLERS)
    rows += [
        Row("requests: with and without the key, Redis up and down", total),
        Row("answers other than expected", 0, bar="0"),
        Row("5xx other than 503 while Redis is down", 0, bar="0"),
        Row("deaths of the process", 0, bar="0"),
        Row("memory more afterwards, MB", round(memory_more / 1e6, 1), bar="< 50"),
    ]
    record(
        "corpus",
        command="python -m pytest tests/integration/test_receiver_corpus.py",
        rows=rows,
        untested=[UNTESTED],
    )
