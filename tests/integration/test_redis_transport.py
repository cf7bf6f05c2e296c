"""What must not end a worker: rubbish in its queues, and Redis going away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection, Consumer, Message, Producer, Queue
from redis import Redis

from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from running import RealParts

pytestmark = pytest.mark.integration

TRANSPORT = "jitprov.pipeline.redis_transport:Transport"


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path) -> Iterator[RealParts]:
    with SandboxThread(SandboxOptions(time_scale=20)) as sandbox, RealParts(own_redis, sandbox, tmp_path) as running:
        yield running


def test_rubbish_in_a_queue_does_not_end_a_worker(parts: RealParts) -> None:
    """Whatever cannot be read is thrown away with a line in the log, and the next message is taken."""
    worker = parts.worker()
    rubbish = [b"not json", b"5", b"[]", b"null", b'"x"', b"\xff\xfe\x00", b"", b"{}", json.dumps({"body": 1}).encode()]
    with Redis.from_url(parts.redis.url) as client:
        for message in rubbish:
            client.lpush("jitprov.fetch_profile", message)
            wait_until(lambda: client.llen("jitprov.fetch_profile") == 0, within_s=20)
    wait_until(lambda: parts.logs().count("message_unreadable") >= 7, within_s=10)

    assert worker.poll() is None
    assert "Unrecoverable" not in parts.logs()


def test_what_is_given_back_is_taken_next(own_redis: OwnRedis) -> None:
    """A message that is put back stands where it stood: before all that came later, and there once."""
    with Connection(own_redis.url, transport=TRANSPORT) as connection:
        channel, queue, taken = connection.default_channel, Queue("q"), list[Message]()
        for number in range(3):
            Producer(channel, routing_key="q").publish({"number": number}, declare=[queue])
        consumer = Consumer(channel, queues=[queue], on_message=taken.append, prefetch_count=1)
        consumer.consume()

        connection.drain_events(timeout=5)
        taken[0].reject(requeue=True)
        connection.drain_events(timeout=5)

        assert [message.payload["number"] for message in taken] == [0, 0]
        with Redis.from_url(own_redis.url) as client:
            assert (client.llen("q"), client.hlen("unacked")) == (2, 1)


def test_a_channel_may_be_closed_after_its_transport(own_redis: OwnRedis) -> None:
    """Celery closes a lost connection twice; the second time there is no transport to give messages back over."""
    connection, taken = Connection(own_redis.url, transport=TRANSPORT), []
    queue = Queue("q")
    Producer(connection.channel(), routing_key="q").publish({}, declare=[queue])
    channel = connection.default_channel
    Consumer(channel, queues=[queue], callbacks=[lambda _, message: taken.append(message)]).consume()
    connection.drain_events(timeout=5)
    assert len(taken) == 1
    own_redis.kill()
    connection.transport.client = None

    for _ in range(2):
        connection.maybe_close_channel(channel)
