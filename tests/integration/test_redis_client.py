"""The one client of Redis: what it holds, what it says again, and that no answer is ever taken for another's."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.exceptions import ConnectionError as ConnectionBroken
from redis.exceptions import ResponseError

from jitprov.redis_client import RedisClient
from own_redis import OwnRedis
from redis_link import RedisLink

pytestmark = pytest.mark.integration


@pytest.fixture
def client(redis_url: str) -> Iterator[RedisClient]:
    with RedisClient.connect(redis_url, timeout_s=5.0) as held:
        yield held


def connection_id(client: RedisClient) -> int:
    return int(client.client_id())


def test_calls_one_after_the_other_share_a_connection(client: RedisClient) -> None:
    """One caller holds one connection, a refused command included."""
    first = connection_id(client)
    with pytest.raises(ResponseError):
        client.execute_command("NO_SUCH_COMMAND")

    assert connection_id(client) == first


def test_calls_at_once_have_connections_of_their_own(client: RedisClient) -> None:
    """Threads that ask together get their own answers, over no more connections than threads."""
    together = threading.Barrier(8)

    def ask(number: int) -> tuple[set[Any], set[int]]:
        together.wait()
        return {client.echo(f"{number}") for _ in range(50)}, {connection_id(client)}

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))

    assert [heard for heard, _ in answers] == [{f"{number}"} for number in range(8)]
    assert len(set().union(*(over for _, over in answers))) <= 8


def test_an_interrupted_call_leaves_no_answer_behind(client: RedisClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit may strike when a command was sent and its answer not read: the next call hears its own."""
    client.ping()

    def struck(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(client, "parse_response", struck)
        with pytest.raises(KeyboardInterrupt):
            client.echo("of the one that was interrupted")

    assert client.echo("mine") == "mine"


def test_a_call_is_made_once_more_when_its_connection_breaks(own_redis: OwnRedis) -> None:
    """An answer that is lost once is asked for again; one that is lost twice is told."""
    with RedisLink(own_redis.port) as link, RedisClient.connect(link.url, timeout_s=5.0) as client:
        client.ping()
        link.loses = lambda request: b"INCR" in request and link.lost == 0
        assert client.incr("asked") == 2

        link.loses = lambda request: b"INCR" in request
        with pytest.raises(ConnectionBroken):
            client.incr("asked")
        link.loses = lambda request: False
        assert int(client.get("asked") or 0) == 4


def test_it_outlives_a_restart_of_redis(own_redis: OwnRedis) -> None:
    """The call after a restart is answered, over a new connection."""
    with RedisClient.connect(own_redis.url, timeout_s=5.0) as client:
        client.set("kept", "well")
        own_redis.kill()
        own_redis.start()

        assert client.get("kept") == "well"


def test_a_fork_leaves_the_connections_to_its_parent(client: RedisClient) -> None:
    """A child connects anew: two processes on one connection would read each other's answers."""
    mine = connection_id(client)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, b"%d" % connection_id(client))
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    theirs = int(os.read(reading, 32))
    os.close(reading)

    assert theirs != mine
    assert connection_id(client) == mine


def test_closing_ends_the_connections(redis_url: str) -> None:
    """Nothing stays open: Redis sees them go."""
    with RedisClient.connect(redis_url, timeout_s=5.0) as watching:
        client = RedisClient.connect(redis_url, timeout_s=5.0)
        held = connection_id(client)
        client.close()

        assert held not in {int(each["id"]) for each in watching.client_list()}


def test_a_server_that_does_not_know_a_script_is_told_it(client: RedisClient) -> None:
    """The first call, and the first after a restart, cost two more round trips; the answer is the same."""
    script = client.register_script("return {KEYS[1], ARGV[1], #ARGV}")

    first = script(keys=["a"], args=["b", 1])
    client.script_flush()

    assert first == script(keys=["a"], args=["b", 1]) == ["a", "b", 2]
