"""Many connections at once that want nothing, or never say what: senders with events are served all the same."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from own_redis import OwnRedis, wait_until
from receiver_process import ReceiverProcess

pytestmark = pytest.mark.integration

KEY = "crowd-" + "k" * 40
SERVED_WITHIN_S = 2.5
CLOSED_WITHIN_S = 15.0  # 5 s are granted; the machine may be busy
MEMORY_MORE_BYTES = 50_000_000
# What each of a crowd has sent before it falls silent → how many of them.
CROWD = {
    b"": 400,
    b"POST /events HTTP/1.1\r\nHost: x\r\nX-API-Key: ": 300,
    b"\r\n": 100,
    b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n": 100,  # answered with 401 at once
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n": 100,  # may rest between two requests
}


@pytest.fixture
def receiver(own_redis: OwnRedis, tmp_path: Path) -> Iterator[ReceiverProcess]:
    with ReceiverProcess(tmp_path, own_redis.url, webhook_key=KEY) as running:
        yield running


@contextmanager
def crowd(port: int, silent_after: dict[bytes, int]) -> Iterator[dict[bytes, list[socket.socket]]]:
    """Connections that stay silent after what they sent."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with ExitStack() as stack:
        connections: dict[bytes, list[socket.socket]] = {said: [] for said in silent_after}
        for said, number in silent_after.items():
            for _ in range(number):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                connection.sendall(said)
                connections[said].append(connection)
        yield connections


def closed(connections: list[socket.socket]) -> int:
    """Return how many the other side has closed."""
    with selectors.DefaultSelector() as ready:
        for connection in connections:
            connection.setblocking(False)
            ready.register(connection, selectors.EVENT_READ)
        return sum(_has_ended(key.fileobj) for key, _ in ready.select(timeout=0))  # type: ignore[arg-type]


def _has_ended(connection: socket.socket) -> bool:
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def hand_in(receiver: ReceiverProcess, within_s: float, key: str = KEY) -> int:
    event = {"detail": {"action": "Create", "entity": {"id": str(uuid4())}}}
    answer = requests.post(f"{receiver.url}/events", json=event, headers={"X-API-Key": key}, timeout=within_s)
    return answer.status_code


def test_a_thousand_idle_connections(receiver: ReceiverProcess) -> None:
    """Beside a thousand silent connections events are taken in time; who never came to a request is closed."""
    assert hand_in(receiver, 20) == 202
    memory_before = receiver.memory_bytes
    with crowd(receiver.port, CROWD) as connections:
        assert [hand_in(receiver, SERVED_WITHIN_S) for _ in range(20)] == [202] * 20
        *silent, resting = connections.values()
        idle = [connection for each in silent for connection in each]
        began = time.monotonic()
        ended: set[int] = set()

        def all_closed() -> bool:
            left = [connection for connection in idle if connection.fileno() not in ended]
            ended.update(connection.fileno() for connection in left if closed([connection]))
            return len(ended) == len(idle)

        wait_until(all_closed, within_s=CLOSED_WITHIN_S, every_s=0.5)
        assert time.monotonic() - began < CLOSED_WITHIN_S
        assert closed(resting) == 0
        assert receiver.memory_bytes - memory_before < MEMORY_MORE_BYTES
    assert hand_in(receiver, SERVED_WITHIN_S) == 202
    assert receiver.alive
    assert "Traceback" not in receiver.log.read_text()


def test_no_files_left(receiver: ReceiverProcess) -> None:
    """When no file can be opened the process lives on; when the crowd is gone it takes events again, and new keys."""
    assert hand_in(receiver, 20) == 202
    receiver.leave_files(10)
    with crowd(receiver.port, {b"": 60}) as connections:
        wait_until(lambda: closed(connections[b""]) > 0, within_s=4)  # it struck, not their time
        assert receiver.alive

        def served() -> bool:
            try:
                return hand_in(receiver, 5) == 202
            except requests.RequestException:
                return False

        wait_until(served, within_s=CLOSED_WITHIN_S)
    assert hand_in(receiver, SERVED_WITHIN_S) == 202
    assert receiver.alive
    events = receiver.events_logged()
    assert events.count("keys_unreadable") <= 4  # once for each keyring at the most, not at each look
    assert len(events) < 200, "the log is not filled by it"
    new = "another-" + "n" * 40
    receiver.secret("webhook_key").write_text(new)
    wait_until(lambda: hand_in(receiver, SERVED_WITHIN_S, new) == 202, within_s=5)
