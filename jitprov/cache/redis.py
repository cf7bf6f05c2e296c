"""The shelf in Redis, shared by all workers. Holds only what can be made again; may be emptied at any moment.

    key (after the prefix)   type     unit                lifetime          who writes
    cache:{key}              string   bytes               ttl               put, put_many
    cache:{key}              hash     name → count        ttl               add
    flight:{name}            string   holder's token      3 s, renewed      take.lua, keep.lua, give_back.lua

Seals nothing: what must not lie open in Redis, such as the access token, comes sealed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, cast
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError

from jitprov import logs
from jitprov.cache.patience import wait_for_turn
from jitprov.cache.sign_of_life import SILENCE_S, sign_of_life
from jitprov.errors import DependencyDown
from jitprov.redis_client import RedisClient

_HERE = Path(__file__).parent
_log = logging.getLogger(__name__)


def _ms(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


@contextmanager
def _reached() -> Iterator[None]:
    """Turn the driver's errors into DependencyDown; the driver's own stays on `__cause__`."""
    try:
        yield
    except RedisError as error:
        msg = f"the cache's Redis does not answer ({type(error).__name__}). Check JITPROV_REDIS_URL and the server"
        raise DependencyDown(msg) from error


class RedisCache:
    """See `Cache`. Threads may share one; make it after a fork.

    Args:
        client: With raw answers (bytes) and a bounded timeout.
        key_prefix: Of every key.
    """

    def __init__(self, client: Redis, key_prefix: str) -> None:
        self._redis = client
        self._values = f"{key_prefix}cache:"
        self._flights = f"{key_prefix}flight:"
        self._take = client.register_script((_HERE / "take.lua").read_text())
        self._keep = client.register_script((_HERE / "keep.lua").read_text())
        self._give_back = client.register_script((_HERE / "give_back.lua").read_text())

    @classmethod
    def connect(cls, url: str, key_prefix: str, *, timeout_s: float = 5.0) -> Self:
        """Return a cache over its own connection pool; connects at the first use.

        Args:
            url: `redis://` or `rediss://`.
            key_prefix: Of every key.
            timeout_s: Longest silence of the server. Each call is repeated once; all are safe to repeat.
        """
        client = RedisClient.connect(url, timeout_s=timeout_s, decoded=False)
        return cls(client, key_prefix)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def get(self, key: str) -> bytes | None:
        """See `Cache.get`."""
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Cache.get_many`."""
        if not keys:
            return []
        with _reached():
            # The client returns bytes: `connect` says so, its types cannot.
            return cast("list[bytes | None]", self._redis.mget([self._values + key for key in keys]))

    def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """See `Cache.put`."""
        with _reached():
            self._redis.set(self._values + key, value, px=_ms(ttl_s))

    def put_many(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        """See `Cache.put_many`."""
        if not values:
            return
        with _reached(), self._redis.pipeline(transaction=False) as pipe:
            for key, value in values.items():
                pipe.set(self._values + key, value, px=_ms(ttl_s))
            pipe.execute()

    def drop(self, key: str) -> None:
        """See `Cache.drop`."""
        with _reached():
            self._redis.delete(self._values + key)

    def add(self, key: str, counts: Mapping[str, int], *, ttl_s: float) -> None:
        """See `Cache.add`."""
        with _reached(), self._redis.pipeline(transaction=True) as pipe:
            for name, count in counts.items():
                pipe.hincrby(self._values + key, name, count)
            pipe.pexpire(self._values + key, _ms(ttl_s))
            pipe.execute()

    def counts(self, key: str) -> Mapping[str, int]:
        """See `Cache.counts`."""
        with _reached():
            held = cast("dict[bytes, bytes]", self._redis.hgetall(self._values + key))
        return {name.decode(): int(count) for name, count in held.items()}

    @contextmanager
    def single_flight(
        self, name: str, *, hold_s: float, wait: Callable[[float], object], wait_max_s: float
    ) -> Iterator[bool]:
        """See `Cache.single_flight`."""
        token, silence_s = uuid4().hex, min(hold_s, SILENCE_S)
        waited = wait_for_turn(name, lambda: self._taken(name, token, silence_s), wait=wait, wait_max_s=wait_max_s)
        try:
            with sign_of_life(lambda: self._renew(name, token, silence_s), silence_s=silence_s, longest_s=hold_s):
                yield waited
        finally:
            self._release(name, token)

    def _taken(self, name: str, token: str, hold_s: float) -> bool:
        with _reached():
            return bool(self._take(keys=[self._flights + name], args=[token, _ms(hold_s)]))

    def _renew(self, name: str, token: str, hold_s: float) -> None:
        with _reached():
            self._keep(keys=[self._flights + name], args=[token, _ms(hold_s)])

    def _release(self, name: str, token: str) -> None:
        # The work is done, or its own error is on the way; the flight ends by itself in silence.
        try:
            self._give_back(keys=[self._flights + name], args=[token])
        except RedisError as error:
            logs.event(
                _log, "flight_not_given_back", level=logging.WARNING, flight=name, error_type=type(error).__name__
            )
