"""What every cache must keep, run on memory, on a real Redis and on a stand-in for Redis."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from fakeredis import FakeRedis
from redis import Redis

from fixed_clock import FixedClock
from jitprov.cache import Cache
from jitprov.cache.memory import MemoryCache
from jitprov.cache.redis import RedisCache
from jitprov.cache.sign_of_life import SILENCE_S
from jitprov.errors import DependencyDown
from jitprov.redis_client import RedisClient
from own_redis import OwnRedis, free_port


@dataclass
class Shelf:
    cache: Cache
    pass_time: Callable[[float], None]


@pytest.fixture(params=["memory", "redis", "fakeredis"])
def shelf(request: pytest.FixtureRequest, clock: FixedClock, key_prefix: str) -> Iterator[Shelf]:
    if request.param == "memory":
        yield Shelf(MemoryCache(clock.monotonic_s), clock.advance)
        return
    client: Redis = (
        FakeRedis()
        if request.param == "fakeredis"
        else RedisClient.connect(request.getfixturevalue("redis_url"), timeout_s=5, decoded=False)
    )
    yield Shelf(RedisCache(client, key_prefix), time.sleep)
    client.close()


@pytest.fixture
def cache(shelf: Shelf) -> Cache:
    return shelf.cache


def never(_: float) -> None:
    pytest.fail("waited although nobody else was at it")


def test_what_was_put_is_there(cache: Cache) -> None:
    """A value comes back byte for byte; another key has none."""
    cache.put("a", b"\x00\xff", ttl_s=60)

    assert cache.get("a") == b"\x00\xff"
    assert cache.get("b") is None


def test_the_last_value_counts(cache: Cache) -> None:
    """A second value takes the place of the first, its time to live too."""
    cache.put("a", b"1", ttl_s=0.05)
    cache.put("a", b"2", ttl_s=60)

    assert cache.get("a") == b"2"


def test_many_come_in_the_order_asked_for(cache: Cache) -> None:
    """Values put together are read together, in the order of the keys, with None for the absent."""
    cache.put_many({"a": b"1", "b": b"2"}, ttl_s=60)

    assert cache.get_many(["b", "x", "a", "b"]) == [b"2", None, b"1", b"2"]


def test_nothing_is_a_number_too(cache: Cache) -> None:
    """Putting and asking for no values at all is allowed."""
    cache.put_many({}, ttl_s=60)

    assert cache.get_many([]) == []


def test_a_value_goes_when_its_time_is_over(shelf: Shelf) -> None:
    """After its time to live a value is absent; one with more time is still there."""
    shelf.cache.put("short", b"1", ttl_s=0.05)
    shelf.cache.put_many({"short too": b"1"}, ttl_s=0.05)
    shelf.cache.put("long", b"1", ttl_s=60)
    shelf.pass_time(0.1)

    assert shelf.cache.get_many(["short", "short too", "long"]) == [None, None, b"1"]


def test_a_dropped_value_is_gone(cache: Cache) -> None:
    """Dropping forgets one value; dropping what is not there is no error."""
    cache.put("a", b"1", ttl_s=60)
    cache.drop("a")
    cache.drop("a")

    assert cache.get("a") is None


def test_the_first_does_not_wait(cache: Cache) -> None:
    """A flight that nobody holds starts at once and says so; afterwards it is free again."""
    for _ in range(2):
        with cache.single_flight("token", hold_s=60, wait=never, wait_max_s=60) as waited:
            assert waited is False


def test_the_second_waits_for_the_first(cache: Cache) -> None:
    """A second caller gets its turn when the first is done, and is told that it had to wait."""
    pauses: list[float] = []
    with ExitStack() as first:
        first.enter_context(cache.single_flight("token", hold_s=60, wait=never, wait_max_s=60))

        def wait(pause_s: float) -> None:
            pauses.append(pause_s)
            if len(pauses) == 4:
                first.close()

        with cache.single_flight("token", hold_s=60, wait=wait, wait_max_s=60) as waited:
            assert waited is True
    assert len(pauses) == 4


def test_different_flights_do_not_wait_for_each_other(cache: Cache) -> None:
    """A flight of another name starts at once."""
    with (
        cache.single_flight("token", hold_s=60, wait=never, wait_max_s=60),
        cache.single_flight("catalogue", hold_s=60, wait=never, wait_max_s=60) as waited,
    ):
        assert waited is False


def test_patience_has_an_end(cache: Cache) -> None:
    """When the first does not finish, the second gives up after its patience, which is the sum of its pauses."""
    pauses: list[float] = []
    with cache.single_flight("token", hold_s=60, wait=never, wait_max_s=60):
        second = cache.single_flight("token", hold_s=60, wait=pauses.append, wait_max_s=7)
        with pytest.raises(DependencyDown, match=r"^token: .*more than 7 s"), second:
            pytest.fail("two at once")

    assert sum(pauses) == pytest.approx(7)
    assert pauses[0] < 0.05 < max(pauses) <= 0.5


def test_one_that_died_is_forgotten(shelf: Shelf) -> None:
    """A holder that never came back keeps nobody from it longer than its hold."""
    died = shelf.cache.single_flight("token", hold_s=0.1, wait=never, wait_max_s=0)
    died.__enter__()

    with shelf.cache.single_flight("token", hold_s=60, wait=shelf.pass_time, wait_max_s=5) as waited:
        assert waited is True


def test_one_that_lives_keeps_its_turn(redis_url: str, key_prefix: str) -> None:
    """A holder whose work lasts longer than the silence that counts as death still has its turn."""
    cache = RedisCache.connect(redis_url, key_prefix)
    with cache.single_flight("token", hold_s=60, wait=never, wait_max_s=0):
        time.sleep(SILENCE_S + 1)
        second = cache.single_flight("token", hold_s=60, wait=lambda _: None, wait_max_s=0.1)
        with pytest.raises(DependencyDown), second:
            pytest.fail("two at once")
    cache.close()


def test_one_whose_process_died_is_forgotten_within_seconds(redis_url: str, key_prefix: str) -> None:
    """A process killed in its turn keeps the next one from it for its silence, not for as long as the work may take."""
    code = (
        "import sys, os; from jitprov.cache.redis import RedisCache; cache = RedisCache.connect(*sys.argv[1:3])\n"
        "with cache.single_flight('token', hold_s=60, wait=print, wait_max_s=0): os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, redis_url, key_prefix], check=False, timeout=60)
    assert killed.returncode == -9
    cache = RedisCache.connect(redis_url, key_prefix)

    with cache.single_flight("token", hold_s=60, wait=time.sleep, wait_max_s=SILENCE_S + 5) as waited:
        assert waited is True
    cache.close()


def test_one_that_was_too_slow_does_not_end_anothers_turn(shelf: Shelf) -> None:
    """A holder that comes back after its hold leaves the turn of the next one alone."""
    with ExitStack() as slow:
        slow.enter_context(shelf.cache.single_flight("token", hold_s=0.05, wait=never, wait_max_s=0))
        shelf.pass_time(0.1)
        with shelf.cache.single_flight("token", hold_s=60, wait=never, wait_max_s=0):
            slow.close()
            third = shelf.cache.single_flight("token", hold_s=60, wait=lambda _: None, wait_max_s=0.1)
            with pytest.raises(DependencyDown), third:
                pytest.fail("two at once")


def test_a_failure_gives_the_turn_back(cache: Cache) -> None:
    """An error inside comes through unchanged, and the next caller need not wait."""
    flight = cache.single_flight("token", hold_s=60, wait=never, wait_max_s=0)
    with pytest.raises(ZeroDivisionError), flight:
        raise ZeroDivisionError

    with cache.single_flight("token", hold_s=60, wait=never, wait_max_s=0) as waited:
        assert waited is False


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_of_thirty_threads_one_does_the_work(request: pytest.FixtureRequest, kind: str, key_prefix: str) -> None:
    """Thirty callers that want the same thing at once: never two inside, and it is made once."""
    cache: MemoryCache | RedisCache = (
        MemoryCache(time.monotonic)
        if kind == "memory"
        else RedisCache.connect(request.getfixturevalue("redis_url"), key_prefix)
    )
    made: list[int] = []
    inside = threading.Lock()
    together = threading.Barrier(30)

    def want(number: int) -> bytes | None:
        together.wait(timeout=30)
        with cache.single_flight("thing", hold_s=30, wait=time.sleep, wait_max_s=30):
            assert inside.acquire(blocking=False), "two at once"
            try:
                # Who comes when all is done did not wait either: look in any case.
                if cache.get("thing") is None:
                    made.append(number)
                    cache.put("thing", b"made", ttl_s=60)
                return cache.get("thing")
            finally:
                inside.release()

    with ThreadPoolExecutor(30) as pool:
        assert set(pool.map(want, range(30))) == {b"made"}
    cache.close()
    assert len(made) == 1


def test_a_lost_answer_does_not_make_one_wait_for_oneself(redis_url: str, key_prefix: str) -> None:
    """When the first try was applied and its answer lost, the repeated one finds its own turn."""
    with Redis.from_url(redis_url, socket_timeout=5) as client:
        cache = RedisCache(client, key_prefix)

        assert cache._taken("token", "mine", 60)
        assert cache._taken("token", "mine", 60)
        assert not cache._taken("token", "other", 60)


def test_every_key_has_an_end(redis_url: str, key_prefix: str) -> None:
    """Nothing that the cache writes stays for ever, and all of it lies under its own two prefixes."""
    with Redis.from_url(redis_url, socket_timeout=5) as client:
        cache = RedisCache(client, key_prefix)
        cache.put("a", b"1", ttl_s=60)
        cache.put_many({"b": b"1"}, ttl_s=60)
        with cache.single_flight("token", hold_s=60, wait=never, wait_max_s=0):
            keys = sorted(key.decode().removeprefix(key_prefix) for key in client.scan_iter(f"{key_prefix}*"))
            assert keys == ["cache:a", "cache:b", "flight:token"]
            assert all(0 < client.pttl(f"{key_prefix}{key}") <= 60_000 for key in keys)


@pytest.mark.parametrize(
    "ask",
    [
        lambda cache: cache.get("a"),
        lambda cache: cache.get_many(["a"]),
        lambda cache: cache.put("a", b"1", ttl_s=1),
        lambda cache: cache.put_many({"a": b"1"}, ttl_s=1),
        lambda cache: cache.drop("a"),
        lambda cache: cache.single_flight("a", hold_s=1, wait=never, wait_max_s=1).__enter__(),
    ],
    ids=["get", "get_many", "put", "put_many", "drop", "single_flight"],
)
def test_without_redis_it_says_so(key_prefix: str, ask: Callable[[Cache], Any]) -> None:
    """A Redis that is away is named as such by every method."""
    cache = RedisCache.connect(f"redis://127.0.0.1:{free_port()}/0", key_prefix, timeout_s=1.0)

    with pytest.raises(DependencyDown, match="JITPROV_REDIS_URL"):
        ask(cache)
    cache.close()


def test_work_that_is_done_stands_when_redis_dies_meanwhile(own_redis: OwnRedis, key_prefix: str) -> None:
    """When the turn cannot be given back, the work inside is not made an error; the turn ends by itself."""
    cache = RedisCache.connect(own_redis.url, key_prefix, timeout_s=1.0)

    with cache.single_flight("token", hold_s=60, wait=never, wait_max_s=0):
        own_redis.kill()
    cache.close()


def test_counts_add_up_and_end(shelf: Shelf) -> None:
    """Counts by name add up, last from the last addition on, and are nobody else's."""
    shelf.cache.add("door:1", {"202": 3, "401": 1}, ttl_s=60)
    shelf.cache.add("door:1", {"202": 2}, ttl_s=0.2)

    assert shelf.cache.counts("door:1") == {"202": 5, "401": 1}
    assert shelf.cache.counts("door:2") == {}
    shelf.pass_time(0.3)
    assert shelf.cache.counts("door:1") == {}
