"""A webhook key is changed while events come in: nothing right is refused, nothing removed is taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from own_redis import OwnRedis
from receiver_process import ReceiverProcess

pytestmark = pytest.mark.integration

OLD, NEW = "old-" + "a" * 40, "new-" + "b" * 40
PER_S = 50
COUNTS_AFTER_S = REFUSED_AFTER_S = 1.0


class Sender(threading.Thread):
    """Sends one new event after the other, `PER_S` a second, and notes when it was sent and what was answered."""

    def __init__(self, url: str, key: Callable[[], str]) -> None:
        super().__init__()
        self._url, self._key = url, key
        self._stopping = threading.Event()
        self.answers: list[tuple[float, int]] = []

    def run(self) -> None:
        with requests.Session() as session:
            due = time.monotonic()
            while not self._stopping.wait(max(due - time.monotonic(), 0)):
                due += 1 / PER_S
                event = {"detail": {"action": "Create", "entity": {"id": str(uuid4())}}}
                at = time.monotonic()
                headers = {"X-API-Key": self._key()}
                answer = session.post(f"{self._url}/events", json=event, headers=headers, timeout=20)
                self.answers.append((at, answer.status_code))

    def stop(self) -> list[tuple[float, int]]:
        self._stopping.set()
        self.join()
        return self.answers


def rewrite(file: Path, text: str) -> None:
    """Write a file in place and in pieces, as editors and careless scripts do."""
    with file.open("w") as handle:
        time.sleep(0.05)
        handle.write(text[:36])
        handle.flush()
        time.sleep(0.05)
        handle.write(text[36:])


def test_rotation_drill(own_redis: OwnRedis, tmp_path: Path) -> None:
    """Add the next key, switch the sender, remove the old: no right delivery is refused, none with the old is taken."""
    sent_key = OLD
    with ReceiverProcess(tmp_path, own_redis.url, webhook_key=OLD) as receiver:
        sender = Sender(receiver.url, lambda: sent_key)
        sender.start()
        time.sleep(0.5)
        rewrite(receiver.secret("webhook_key_next"), NEW)
        time.sleep(COUNTS_AFTER_S)
        sent_key = NEW
        time.sleep(0.3)
        rewrite(receiver.secret("webhook_key"), NEW)
        receiver.secret("webhook_key_next").unlink()
        removed_at = time.monotonic()
        late = Sender(receiver.url, lambda: OLD)
        late.start()
        time.sleep(REFUSED_AFTER_S + 0.7)
        right, wrong = sender.stop(), late.stop()
        told = requests.get(f"{receiver.url}/metrics", timeout=20).text
        assert receiver.alive

    assert len(right) > 100
    assert {status for _, status in right} == {202}
    refused = [status for at, status in wrong if at > removed_at + REFUSED_AFTER_S]
    assert refused
    assert set(refused) <= {401, 429}
    # A key that was removed too early shows at once: EventBridge would not come again.
    assert 'jitprov_receiver_answers_total{status="401"} 0.0' not in told
    assert "keys_changed" in receiver.events_logged()
    assert "delivery_refused" in receiver.events_logged()
    assert OLD not in receiver.log.read_text()
    assert NEW not in receiver.log.read_text()
