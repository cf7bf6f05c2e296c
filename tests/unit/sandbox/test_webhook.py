"""Deliveries to the webhook, against a small server that answers as the test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "data" / "user-create.audit.json"
OK = 202


@dataclass
class Receiver:
    """Answers each delivery with the next of `statuses`, then with 202; keeps what it was sent."""

    statuses: list[int] = field(default_factory=list)
    retry_after: str | None = None
    wait_s: float = 0.0
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    instants_s: list[float] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            kept.instants_s.append(time.monotonic())
            kept.bodies.append(json.loads(raw))
            kept.headers.append(dict(self.headers))
            time.sleep(kept.wait_s)
            status = kept.statuses.pop(0) if kept.statuses else OK
            self.send_response(status)
            if kept.retry_after is not None and status != OK:
                self.send_header("Retry-After", kept.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_address[1]}/events"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


def shape(value: Any) -> Any:
    """Return the names in a JSON value, without the values."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def test_a_sign_in_is_announced_as_genesys_would(api_with: Any, receiver: Receiver) -> None:
    """The event has the shape of the example, names the user, and carries key and EventBridge's own headers."""
    api = api_with(webhook_url=receiver.url, webhook_key="the key", webhook_header="X-Its-Key")

    user = api.control.sign_in([{"name": "Robin Example", "email": "robin@example.test"}])[0]
    report = api.control.wait_delivered(30)

    event, headers = receiver.bodies[0], receiver.headers[0]
    example = json.loads(EXAMPLE.read_text())
    assert shape(event) == shape(example)
    assert event["detail-type"] == example["detail-type"]
    assert event["detail"]["topicName"] == f"v2.audits.entitytype.User.entityid.{user['id']}"
    assert event["detail"]["eventBody"]["entity"] == {"id": user["id"], "name": "Robin Example"}
    assert (headers["X-Its-Key"], headers["Connection"]) == ("the key", "close")
    assert headers["User-Agent"] == "Amazon/EventBridge/ApiDestinations"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert (report["delivered"], report["outcomes"]) == (1, {"202": 1})


def test_a_refusal_that_may_pass_is_retried(api_with: Any, receiver: Receiver) -> None:
    """After two 503 the same event is posted a third time, each wait longer than nothing."""
    receiver.statuses = [503, 503]
    api = api_with(webhook_url=receiver.url, webhook_retry_base_s=0.05)

    api.control.sign_in(count=1)
    report = api.control.wait_delivered(30)

    assert (report["delivered"], report["dead"], report["outcomes"]) == (1, 0, {"503": 2, "202": 1})
    assert [body["id"] for body in receiver.bodies] == [receiver.bodies[0]["id"]] * 3
    assert receiver.instants_s[2] - receiver.instants_s[1] >= 0.05


def test_retry_after_is_heeded(api_with: Any, receiver: Receiver) -> None:
    """A 429 that asks for a second gets a second, in real time."""
    receiver.statuses, receiver.retry_after = [429], "1"
    api = api_with(webhook_url=receiver.url, webhook_retry_base_s=0.01)

    api.control.sign_in(count=1)
    api.control.wait_delivered(30)

    assert receiver.instants_s[1] - receiver.instants_s[0] >= 1.0


@pytest.mark.parametrize(
    ("statuses", "retry_after", "attempts"), [([401], None, 1), ([503], "-1", 1), ([503] * 3, None, 3)]
)
def test_what_will_not_pass_goes_to_the_dead_letters(
    api_with: Any, receiver: Receiver, statuses: list[int], retry_after: str | None, attempts: int
) -> None:
    """Another 4xx, a negative Retry-After and the last allowed attempt end an event's way."""
    receiver.statuses, receiver.retry_after = list(statuses), retry_after
    api = api_with(webhook_url=receiver.url, webhook_retry_base_s=0.01, webhook_attempts_max=3)

    user = api.control.sign_in(count=1)[0]
    report = api.control.wait_delivered(30)

    assert (report["delivered"], report["dead"], len(receiver.bodies)) == (0, 1, attempts)
    letter = report["dead_letters"][0]
    assert (letter["outcome"], letter["attempts"]) == (str(statuses[0]), attempts)
    assert letter["event"]["detail"]["eventBody"]["entity"]["id"] == user["id"]


def test_silence_is_retried(api_with: Any, receiver: Receiver) -> None:
    """An answer later than the timeout counts as none, and the event comes again."""
    receiver.wait_s = 0.3
    api = api_with(webhook_url=receiver.url, webhook_timeout_s=0.1, webhook_retry_base_s=0.01)
    api.control.sign_in(count=1)
    ends = time.monotonic() + 5
    while not receiver.bodies and time.monotonic() < ends:
        time.sleep(0.01)
    receiver.wait_s = 0.0

    report = api.control.wait_delivered(30)

    assert report["outcomes"]["timeout"] >= 1
    assert report["delivered"] == 1


def test_many_events_all_arrive_once(api_with: Any, receiver: Receiver) -> None:
    """A burst of sign-ins is delivered whole, each event once, over pooled connections too."""
    api = api_with(webhook_url=receiver.url, webhook_pooled=True, webhook_concurrency=8)

    users = api.control.sign_in(count=100)
    report = api.control.wait_delivered(30)

    told = [body["detail"]["eventBody"]["entity"]["id"] for body in receiver.bodies]
    assert sorted(told) == sorted(user["id"] for user in users)
    assert (report["pending"], report["delivered"], report["attempts"]) == (0, 100, 100)
    assert report["latency_p99_ms"] >= report["latency_p50_ms"] > 0


def test_raw_events_are_posted_as_given(api_with: Any, receiver: Receiver) -> None:
    """Whatever a test hands over reaches the receiver unchanged."""
    api = api_with(webhook_url=receiver.url)
    event = json.loads(EXAMPLE.read_text())

    api.control.post_events([event, event])
    api.control.wait_delivered(30)

    assert receiver.bodies == [event, event]


def test_without_a_webhook_nothing_is_posted(api: Any) -> None:
    """Sign-ins work and their events are counted as skipped."""
    api.control.sign_in(count=3)

    assert (api.control.deliveries()["skipped"], api.control.deliveries()["pending"]) == (3, 0)
