"""Which messages are handed to Celery: every one of ours, and none that could end a worker."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

import pytest

from jitprov.domain.provisioning import CORRIDOR
from jitprov.pipeline.names import QUEUES, task_name
from jitprov.pipeline.screening import unfit
from messages import a_message

PID = "0b9a1c7e-3f52-4d68-9a01-5c7e3f520000"
QUEUE = QUEUES[-1]


def ours() -> dict[str, Any]:
    """Return a message as the chain lays it into the list."""
    following = [{"task": task_name(step), "args": [PID], "kwargs": {}, "options": {}} for step in CORRIDOR[1:]]
    body = json.dumps([[PID], {}, {"callbacks": None, "errbacks": None, "chain": following[::-1], "chord": None}])
    more: dict[str, Any] = {
        "retries": 1,
        "eta": "2026-11-23T09:00:00.1+00:00",
        "expires": None,
        "timelimit": [None, None],
        "stamps": {},
    }
    return dict(json.loads(a_message(body.encode(), **more)))


def with_body(body: Any) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ours() | {"body": base64.b64encode(raw).decode()}


def with_headers(**changes: Any) -> dict[str, Any]:
    message = ours()
    return message | {"headers": message["headers"] | changes}


def test_ours_passes() -> None:
    """What the chain sends is handed on, with the steps behind it."""
    assert unfit(ours(), QUEUE) == ""


def test_other_queues_are_not_looked_at() -> None:
    """Celery's remote control and events are not ours to judge."""
    assert unfit({"anything": 1}, "celery.pidbox") == ""


@pytest.mark.parametrize(
    "message",
    [
        None,
        5,
        [],
        {},
        {"headers": None},
        {"headers": {}},
        with_headers(task="payroll.run"),
        with_headers(task="celery.chord_unlock"),
        with_headers(id="../../etc"),
        with_headers(id=PID),
        with_headers(id=None),
        with_headers(retries=-1),
        with_headers(retries="many"),
        with_headers(timelimit=["a", "b"]),
        with_headers(timelimit=5),
        with_headers(eta="tomorrow"),
        with_headers(expires=5),
        with_headers(stamps={"a": {"b": [[]]}}),
        ours() | {"content-type": "application/x-python-serialize", "body": base64.b64encode(pickle.dumps(1)).decode()},
        ours() | {"content-type": "application/x-yaml"},
        ours() | {"body": "not base64!"},
        ours() | {"body": base64.b64encode(b"\xff\xfe").decode()},
        ours() | {"body": 5},
        with_body(b"{"),
        with_body(b"[[" + b"[" * 499 + b"]" * 499 + b"], {}, {}]"),
        with_body(b"[" * 40_000),
        with_body([["x" * 1_000_000], {}, {}]),
        with_body([["x" * 100], {}, {}]),
        with_body([[PID, PID], {}, {}]),
        with_body([[{"__type__": "x", "__value__": 1}], {}, {}]),
        with_body([[PID], {"more": 1}, {}]),
        with_body([[PID], {}, {"chain": [{"task": "payroll.run"}]}]),
        with_body([[PID], {}, {"chain": [5]}]),
        with_body([[PID], {}, []]),
        with_body("x"),
        with_body({}),
    ],
)  # fmt: skip
def test_others_do_not_pass(message: Any) -> None:
    """What another program laid into a queue, or what could end a worker, is turned away with a reason."""
    assert unfit(message, QUEUE)


def test_every_step_passes() -> None:
    """A message of any step is ours, in whichever of our queues it lies."""
    assert [unfit(with_headers(task=task_name(step)), QUEUE) for step in CORRIDOR] == [""] * len(CORRIDOR)
