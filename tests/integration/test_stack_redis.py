"""The embedded Redis, started as the stack starts it: closed, durable, and telling when a worker waits."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import AuthenticationError

from jitprov.stack.part import Part, PartState
from jitprov.stack.redis_server import EmbeddedRedis, find_redis_server
from jitprov.stack.supervisor import Supervisor
from own_redis import free_port, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

# Every byte that means something in a configuration file, and one that is no ASCII.
PASSWORD = "quoted \" back\\slash # 'é"


@pytest.fixture
def redis(tmp_path: Path) -> EmbeddedRedis:
    folder = tmp_path / 'a "data" #folder'
    folder.mkdir(mode=0o700)
    made = EmbeddedRedis(find_redis_server(), folder / "redis", folder / "redis.conf", free_port(), SecretStr(PASSWORD))
    made.prepare()
    return made


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(logs=tmp_path, pause_first_s=0.1) as supervisor:
        yield supervisor


def start(supervisor: Supervisor, redis: EmbeddedRedis) -> None:
    log = redis.conf.with_name("redis.log")
    supervisor.start([Part(name="redis", argv=redis.argv, log_path=log, ready=redis.is_ready)])


def client(redis: EmbeddedRedis) -> Redis:
    return Redis(port=redis.port, username="admin", password=PASSWORD, decode_responses=True)


def test_redis_keeps_and_is_closed(supervisor: Supervisor, redis: EmbeddedRedis) -> None:
    """The running server has the password and the durability that were written, and its command line shows neither."""
    start(supervisor, redis)
    with client(redis) as asking:
        facts = asking.config_get("append*") | asking.config_get("maxmemory-policy") | asking.config_get("dir")
    with Redis(port=redis.port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()

    assert (facts["appendonly"], facts["appendfsync"]) == ("yes", "always")
    assert facts["maxmemory-policy"] == "noeviction"
    assert Path(facts["dir"]) == redis.folder
    (status,) = supervisor.status()
    assert "slash" not in Path(f"/proc/{status.pid}/cmdline").read_text()


def test_data_outlives_a_stop(supervisor: Supervisor, redis: EmbeddedRedis, tmp_path: Path) -> None:
    """What was written is there after an orderly stop and a new start, with another port and password as well."""
    start(supervisor, redis)
    with client(redis) as writing:
        writing.set("kept", "yes")
    supervisor.stop()

    with Supervisor(logs=tmp_path) as again:
        redis.prepare()
        start(again, redis)
        with client(redis) as reading:
            assert reading.get("kept") == "yes"


def test_data_outlives_a_kill(supervisor: Supervisor, redis: EmbeddedRedis) -> None:
    """A killed Redis is started again by the supervisor and has everything that it acknowledged."""
    start(supervisor, redis)
    with client(redis) as writing:
        for number in range(100):
            writing.rpush("kept", number)
    (status,) = supervisor.status()
    os.kill(status.pid or 0, signal.SIGKILL)

    wait_until(lambda: supervisor.status()[0].restarts == 1, within_s=10)
    wait_until(lambda: supervisor.status()[0].state is PartState.UP, within_s=10)
    with client(redis) as reading:
        assert reading.lrange("kept", 0, -1) == [str(number) for number in range(100)]


def test_a_waiting_worker_is_seen(supervisor: Supervisor, redis: EmbeddedRedis) -> None:
    """A worker is ready as soon as it asks for messages, and no longer when it is gone."""
    start(supervisor, redis)
    assert not redis.feeds_a_worker()

    with client(redis) as consuming:
        consumer = threading.Thread(target=consuming.brpop, args=("queue",))
        consumer.start()
        try:
            wait_until(redis.feeds_a_worker, within_s=10)
        finally:
            with client(redis) as publishing:
                publishing.lpush("queue", "message")
            consumer.join()
    wait_until(lambda: not redis.feeds_a_worker(), within_s=10)


def test_a_wrong_password_is_not_ready(supervisor: Supervisor, redis: EmbeddedRedis) -> None:
    """Another Redis on the port, one that does not take our password, does not pass for ours."""
    start(supervisor, redis)
    other = EmbeddedRedis(redis.server, redis.folder, redis.conf, redis.port, SecretStr("another"))

    assert redis.is_ready()
    assert not other.is_ready()
    assert not other.feeds_a_worker()
