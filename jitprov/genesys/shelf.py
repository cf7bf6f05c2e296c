"""Values that all workers of one organization share in the cache; each worker trusts its own copy for some seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from jitprov.cache import Cache
from jitprov.domain.clock import Clock
from jitprov.genesys.organization import organization_key
from jitprov.settings import Settings

# Real seconds that a worker trusts its own copy.
_NEAR_S = 5.0
_HOLD_S = 45.0


class Shelf:
    """Named values of an organization.

    Args:
        cache: Where they lie for all workers.
        clock: How to wait for another worker.
        settings: Organization and time scale.
    """

    def __init__(self, cache: Cache, clock: Clock, settings: Settings) -> None:
        self._cache = cache
        self._clock = clock
        self._scale = settings.time_scale
        self._owner = organization_key(settings)
        self._near: dict[str, tuple[float, bytes]] = {}

    def get(self, name: str, *, near: bool = True) -> bytes | None:
        """Return a value, or None; from the worker's own copy when `near` and that is fresh."""
        # What changes once an hour need not be asked of Redis for each agent.
        now_s = self._clock.monotonic_s()
        until_s, held = self._near.get(name, (0.0, b""))
        if near and held and until_s > now_s:
            return held
        raw = self._cache.get(self._key(name))
        if raw is not None:
            self._near[name] = (now_s + _NEAR_S, raw)
        return raw

    def put(self, name: str, value: bytes, *, keep_s: float) -> None:
        """Keep a value for API seconds."""
        self._near.pop(name, None)
        self._cache.put(self._key(name), value, ttl_s=keep_s / self._scale)

    def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return values in the order of the names, none from a copy."""
        return self._cache.get_many([self._key(name) for name in names])

    def put_many(self, values: Mapping[str, bytes], *, keep_s: float) -> None:
        """Keep values for API seconds; for what is never read from a copy."""
        self._cache.put_many({self._key(name): value for name, value in values.items()}, ttl_s=keep_s / self._scale)

    def drop(self, name: str) -> None:
        """Forget a value; other workers may trust their copies for some seconds more."""
        self._near.pop(name, None)
        self._cache.drop(self._key(name))

    def turn(self, name: str) -> AbstractContextManager[bool]:
        """Let one worker at a time do something; see `Cache.single_flight`."""
        return self._cache.single_flight(self._key(name), hold_s=_HOLD_S, wait=self._wait, wait_max_s=_HOLD_S)

    def _key(self, name: str) -> str:
        return f"catalogue:{self._owner}:{name}"

    def _wait(self, real_s: float) -> None:
        self._clock.wait(real_s * self._scale)
