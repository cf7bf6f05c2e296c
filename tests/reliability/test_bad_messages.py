"""Messages that are nobody's, or nothing: a worker throws them away and goes on with those that are good."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from jitprov.domain.provisioning import CORRIDOR
from jitprov.pipeline.names import task_name
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from messages import ID as _ID
from messages import a_message, arguments, nested
from own_redis import OwnRedis
from reliability.scene import Scene
from running import RealParts

pytestmark = [pytest.mark.integration, pytest.mark.faults]

_QUEUE = task_name(CORRIDOR[0])


@pytest.fixture
def scene(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Scene]:
    options = SandboxOptions(time_scale=20, unique_phone_names=False)
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as parts:
        made = Scene(parts)
        yield made
        made.ledger.close()


BAD = {
    "a foreign task": a_message(arguments(1), task="payroll.run"),
    "a task of Celery's own": a_message(arguments(), task="celery.chord_unlock"),
    "pickle": a_message(pickle.dumps([(_ID,), {}, {}]), kind="application/x-python-serialize"),
    "YAML": a_message(b"- [a]", kind="application/x-yaml"),
    "a body that is no JSON": a_message(b"{"),
    "nested 499 deep": a_message(nested(499)),
    "nested 100,000 deep": a_message(nested(100_000)),
    "kombu's own types": a_message(arguments({"__type__": "x", "__value__": 1})),
    "kombu's own UUID": a_message(arguments({"__type__": "uuid", "__value__": {"hex": "nothing"}})),
    "10 MB": a_message(arguments("x" * 10_000_000)),
    "a negative retry": a_message(arguments(_ID), retries=-1),
    "an ETA that is none": a_message(arguments(_ID), eta="tomorrow"),
    "an ETA in the year 9999": a_message(arguments(_ID), eta="9999-12-31T23:59:59+00:00"),
    "time limits of words": a_message(arguments(_ID), timelimit=["a", "b"]),
    "expired long ago": a_message(arguments(_ID), expires="2001-01-01T00:00:00+00:00"),
    "an expiry that is none": a_message(arguments(_ID), expires="soon"),
    "an id that is none": a_message(arguments(_ID), task_id="../../etc\n"),
    "no list of arguments": a_message(b'"x"'),
    "a chain that is none": a_message(json.dumps([[_ID], {}, {"chain": [{"task": 5}]}]).encode()),
}


def _taken(client: Redis) -> bool:
    """Tell whether a message is taken from the queue in time."""
    for _ in range(400):
        if client.llen(_QUEUE) == 0:
            return True
        time.sleep(0.05)
    return False


def test_bad_messages_end_nobody(scene: Scene) -> None:
    """After each bad message the same worker makes the next agent ready, and nobody was asked for anything else."""
    worker = scene.parts.worker()
    with Redis.from_url(scene.parts.redis.url) as client:
        for what, message in BAD.items():
            client.lpush(_QUEUE, message)
            taken = _taken(client)
            assert taken, f"not taken: {what}"
            assert worker.poll() is None, what
        user_ids = scene.accept(2)
        scene.send(*user_ids)
        scene.assert_all_ready(user_ids)

    assert worker.poll() is None
    assert scene.phones_asked_for() == 2
    assert "Unrecoverable" not in scene.parts.logs()
    assert "x" * 200 not in scene.parts.logs()


def test_messages_in_any_order_and_number(scene: Scene) -> None:
    """Messages of later steps first, and each five times: every step is done once, in the order of the corridor."""
    user_ids = scene.accept(2)
    with Redis.from_url(scene.parts.redis.url) as client:
        for user_id in user_ids:
            record = scene.record(user_id)
            for step in reversed(CORRIDOR):
                for _ in range(5):
                    message = a_message(
                        arguments(record.provisioning_id), task=task_name(step), task_id=record.task_id(step)
                    )
                    client.lpush(task_name(step), message)
    scene.parts.worker()
    scene.parts.worker()
    scene.parts.start("reconciler", until="reconciler_started")

    scene.assert_all_ready(user_ids)
    assert scene.phones_asked_for() == 2
    assert [scene.record(each).steps[step].attempts for each in user_ids for step in CORRIDOR] == [1] * 10
