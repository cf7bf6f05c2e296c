"""The front door under stress: a ledger that is away or hangs, senders that lie or dawdle, a stop in between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
import requests

from jitprov.errors import DependencyDown
from jitprov.receiver.wire import BoundedHttp
from own_redis import wait_until
from running_receiver import KEY, RunningReceiver, read_all
from switched_ledger import SwitchedLedger

PROMISED_S = 2.5


@pytest.fixture
def ledger() -> Iterator[SwitchedLedger]:
    ledger = SwitchedLedger()
    yield ledger
    ledger.go_on.set()


@pytest.fixture
def receiver(ledger: SwitchedLedger) -> Iterator[RunningReceiver]:
    with RunningReceiver(ledger) as running:
        yield running


def a_create() -> dict[str, Any]:
    return {"detail": {"action": "Create", "entity": {"id": str(uuid4())}}}


def timed(receiver: RunningReceiver, body: Any) -> tuple[requests.Response, float]:
    began = time.monotonic()
    return receiver.post(body), time.monotonic() - began


def test_concurrent_requests_share_writes(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """Requests that come while a write runs share the next one, and each is answered with its own user."""
    events = [a_create() for _ in range(31)]
    with ThreadPoolExecutor(31) as pool:
        ledger.go_on.clear()
        first = pool.submit(receiver.post, events[0])
        ledger.called.wait(10)
        rest = [pool.submit(receiver.post, event) for event in events[1:]]
        wait_until(lambda: receiver.app.state.intake.commit.waiting == 30, within_s=2)
        ledger.go_on.set()
        answers = [future.result() for future in (first, *rest)]

    assert [answer.status_code for answer in answers] == [202] * 31
    users = [answer.json()["accepted"][0]["user_id"] for answer in answers]
    assert users == [event["detail"]["entity"]["id"] for event in events]
    assert ledger.batches == [1, 30]


@pytest.mark.parametrize("how", ["away", "broken"])
@pytest.mark.parametrize("body", [a_create(), b"{", [a_create(), {}]], ids=["good", "bad", "both"])
def test_ledger_fails(receiver: RunningReceiver, ledger: SwitchedLedger, how: str, body: Any) -> None:
    """While the ledger fails, good and bad bodies get 503 with Retry-After; afterwards the same process takes them."""
    setattr(ledger, how, True)
    answer, took_s = timed(receiver, body)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["error"]["remedy"]
    assert took_s < PROMISED_S
    setattr(ledger, how, False)
    assert receiver.post(body).status_code == (400 if body == b"{" else 202)


def test_ledger_hangs(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """While the ledger hangs, 50 senders at once all get 503 in time; what is written late is published as well."""
    ledger.go_on.clear()
    with ThreadPoolExecutor(50) as pool:
        timed_answers = list(pool.map(lambda _: timed(receiver, a_create()), range(50)))

    assert {answer.status_code for answer, _ in timed_answers} == {503}
    assert all("Retry-After" in answer.headers for answer, _ in timed_answers)
    assert max(took_s for _, took_s in timed_answers) < PROMISED_S
    ledger.go_on.set()
    answer, took_s = timed(receiver, a_create())
    assert answer.status_code == 202
    assert took_s < 1
    wait_until(lambda: len(receiver.published) == sum(ledger.count().values()), within_s=5)
    assert len(receiver.published) == ledger.batches[0] + 1, "those that gave up before their write cost none"


def test_full(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """When too much waits, the next sender is sent away at once."""
    ledger.go_on.clear()
    crowd = [a_create() for _ in range(1000)]
    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(receiver.post, crowd) for _ in range(11)]
        wait_until(lambda: receiver.app.state.intake.commit.waiting == 10_000, within_s=2)
        answer, took_s = timed(receiver, a_create())
        ledger.go_on.set()
        answers = [future.result() for future in waiting]

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert took_s < 0.5
    assert {answer.status_code for answer in answers} <= {202, 503}


def test_not_ready(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """Without its ledger the receiver is up but not ready, and says so in time."""
    ledger.away = True
    assert receiver.get("/healthz").status_code == 200
    assert receiver.get("/readyz").status_code == 503
    ledger.away = False
    wait_until(lambda: receiver.get("/readyz").status_code == 200, within_s=3)
    time.sleep(1.1)
    ledger.go_on.clear()
    began = time.monotonic()
    assert receiver.get("/readyz").status_code == 503
    assert time.monotonic() - began < PROMISED_S
    ledger.go_on.set()


def test_publisher_fails(ledger: SwitchedLedger) -> None:
    """A broker that is away changes nothing about the 202, and is counted."""

    def publish(_: str) -> None:
        msg = "away"
        raise DependencyDown(msg)

    with RunningReceiver(ledger, publish) as receiver:
        answer, took_s = timed(receiver, a_create())

        assert answer.status_code == 202
        assert took_s < 0.5
        wait_until(
            lambda: 'jitprov_receiver_publishes_total{outcome="failed"} 1.0' in receiver.get("/metrics").text,
            within_s=5,
        )


def test_declared_too_large(receiver: RunningReceiver) -> None:
    """A declared length beyond the limit is refused before a byte of the body came."""
    with receiver.connect() as connection:
        connection.sendall(receiver.head("Content-Length: 10000000000"))

        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_endless_chunks(ledger: SwitchedLedger) -> None:
    """A chunked body without end is refused at the limit, and the rest is not read."""
    with RunningReceiver(ledger, body_max_bytes=65_536) as receiver, receiver.connect() as connection:
        connection.sendall(receiver.head("Transfer-Encoding: chunked"))
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        sent = 0
        try:
            while sent < 1_000_000_000:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass

        assert read_all(connection).startswith(b"HTTP/1.1 413 ")
        # What went out is what the kernel's buffers hold.
        assert sent < 50_000_000


def test_wrong_key_before_the_body(receiver: RunningReceiver) -> None:
    """The 401 comes before the body, which need not come at all."""
    with receiver.connect() as connection:
        connection.sendall(receiver.head("Content-Length: 1000").replace(KEY.encode(), b"wrong"))
        connection.settimeout(2)

        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_dawdling_body(receiver: RunningReceiver) -> None:
    """A body that dribbles in is cut off after its time, however lively it is."""
    receiver.change(body_within_s=0.4)
    with receiver.connect() as connection:
        connection.sendall(receiver.head("Content-Length: 1000"))
        began = time.monotonic()
        connection.settimeout(0.05)
        received = b""
        while not received and time.monotonic() - began < 3:
            connection.sendall(b" ")
            try:
                received = connection.recv(65536)
            except TimeoutError:
                continue

        assert received.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 1.5


def test_gone_sender(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """A sender that goes away in the middle leaves nothing behind, and the next is served."""
    for _ in range(20):
        with receiver.connect() as connection:
            connection.sendall(receiver.head("Content-Length: 1000") + b'{"detail"')
    assert receiver.post(a_create()).status_code == 202
    assert ledger.batches == [1]


def test_gone_while_waiting(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """An event whose sender went away while it was written is published all the same."""
    body = json.dumps(a_create()).encode()
    ledger.go_on.clear()
    with receiver.connect() as connection:
        connection.sendall(receiver.head(f"Content-Length: {len(body)}") + body)
        ledger.called.wait(5)
    ledger.go_on.set()

    wait_until(lambda: len(receiver.published) == 1, within_s=5)


@pytest.mark.parametrize(
    "lines",
    [
        [f"X-Long: {'a' * 1_000_000}"],
        [f"X-{number}: a" for number in range(10_000)],
        [f"X-{number}: a" for number in range(101)],
        [f"X-{number}: {'a' * 1000}" for number in range(40)],
    ],
    ids=["one long", "ten thousand", "a hundred and one", "forty long"],
)
def test_large_headers(receiver: RunningReceiver, lines: list[str]) -> None:
    """Headers beyond their bounds are refused, in whatever pieces they come."""
    with receiver.connect() as connection:
        with suppress(OSError):
            connection.sendall(receiver.head(*lines))
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


def test_endless_header(receiver: RunningReceiver) -> None:
    """A header without end is not collected for ever."""
    with receiver.connect() as connection:
        sent = 0
        connection.sendall(b"POST /events HTTP/1.1\r\nX-Long: ")
        try:
            while sent < 100_000_000:
                sent += connection.send(b"a" * 65_536)
        except OSError:
            pass

        assert sent < 50_000_000


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nX-API-Key: a\r\n\r\n",
        b"POST /events HTTP/1.1\r\nX : y\r\n\r\n",
        b"POST /events HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_broken_http(receiver: RunningReceiver, ledger: SwitchedLedger, raw: bytes) -> None:
    """What is not HTTP, or HTTP that two servers could read differently, is refused with 4xx and harms nobody."""
    with receiver.connect() as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)

        answer = read_all(connection)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert ledger.batches == []
    assert receiver.post(a_create()).status_code == 202


class Hasty(BoundedHttp):
    headers_within_s = rest_within_s = 0.3


@pytest.fixture
def hasty(ledger: SwitchedLedger) -> Iterator[RunningReceiver]:
    with RunningReceiver(ledger, http=Hasty) as running:
        yield running


def test_silent_connections(hasty: RunningReceiver) -> None:
    """A connection that never sends a whole request's headers is closed, and so is one that sends empty lines."""
    receiver = hasty
    with receiver.connect() as silent, receiver.connect() as halfway:
        halfway.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()

        assert read_all(silent) == b""
        assert read_all(halfway) == b""
        assert time.monotonic() - began < 2
    with receiver.connect() as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        kept.sendall(b"\r\n")
        assert read_all(kept) == b""


def test_idle_connection(hasty: RunningReceiver) -> None:
    """A connection may rest between two whole requests for longer than headers may take."""
    with hasty.connect() as connection:
        for _ in range(2):
            body = json.dumps(a_create()).encode()
            connection.sendall(hasty.head(f"Content-Length: {len(body)}") + body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 202 ")
            time.sleep(0.6)


def test_rest_of_an_answered_request(hasty: RunningReceiver) -> None:
    """Who goes on sending after a 401 is cut off after a while."""
    with hasty.connect() as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - began < 5:
                connection.sendall(b"1\r\na\r\n")
                time.sleep(0.02)
        assert time.monotonic() - began < 2


def test_keep_alive_and_pipelining(receiver: RunningReceiver, ledger: SwitchedLedger) -> None:
    """Several deliveries over one connection are answered in order, also when sent without waiting."""
    bodies = [json.dumps(a_create()).encode() for _ in range(5)]
    with receiver.connect() as connection:
        connection.sendall(b"".join(receiver.head(f"Content-Length: {len(body)}") + body for body in bodies[:4]))
        connection.sendall(receiver.head(f"Content-Length: {len(bodies[4])}", "Connection: close") + bodies[4])

        assert read_all(connection).count(b"HTTP/1.1 202 ") == 5
    assert sum(ledger.batches) == 5


def test_expect_continue(receiver: RunningReceiver) -> None:
    """Who asks before sending is told to go on only with the right key."""
    with receiver.connect() as connection:
        connection.sendall(receiver.head("Content-Length: 2", "Expect: 100-continue"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
    with receiver.connect() as connection:
        connection.sendall(receiver.head("Content-Length: 2", "Expect: 100-continue").replace(KEY.encode(), b"x"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_stop_drains(ledger: SwitchedLedger) -> None:
    """A stop in the middle of a write answers it with 202, writes and publishes it, then ends."""
    with ThreadPoolExecutor(1) as pool:
        with RunningReceiver(ledger) as receiver:
            ledger.go_on.clear()
            waiting = pool.submit(receiver.post, a_create())
            ledger.called.wait(5)
            receiver.stop()
            time.sleep(0.3)
            ledger.go_on.set()
        assert waiting.result().status_code == 202
    assert len(receiver.published) == 1
    with pytest.raises(requests.ConnectionError):
        receiver.post(a_create())


_SCRIPT = """
import gc
from datetime import UTC, datetime
from jitprov import logs
from jitprov.ledger.memory import MemoryLedger
from jitprov.receiver.app import serve
from jitprov.settings import settings
logs.setup("INFO")
serve(settings(), MemoryLedger(lambda: datetime.now(UTC)), lambda sent: print(sent, gc.get_freeze_count()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal(number: signal.Signals) -> None:
    """A signal ends the process without an error; what it logged is JSON, without a key; its heap was spared."""
    environment = dict(os.environ) | {"JITPROV_WEBHOOK_KEY": KEY, "JITPROV_RECEIVER_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
        assert line["event"] == "receiver_listening"
        answer = requests.post(
            f"http://127.0.0.1:{line['port']}/events", json=a_create(), headers={"X-API-Key": KEY}, timeout=10
        )
        assert answer.status_code == 202
        process.send_signal(number)
        out, rest = process.communicate(timeout=20)

    assert process.returncode == 0
    sent, spared = out.split()
    assert sent == answer.json()["accepted"][0]["provisioning_id"]
    assert int(spared) > 50_000, "what stands is out of the collector's rounds, which everybody waits for"
    events = [json.loads(each)["event"] for each in rest.splitlines()]
    assert events[-1] == "receiver_stopped"
    assert KEY not in rest
