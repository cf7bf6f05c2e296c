"""The shelf of a single process: for tests and for trying things out. Does not reach other processes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from jitprov.cache.patience import wait_for_turn


class MemoryCache:
    """See `Cache`. Threads may share one.

    Args:
        monotonic_s: A steady count of real seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[bytes, float]] = {}
        self._counts: dict[str, tuple[Counter[str], float]] = {}
        self._flights: dict[str, tuple[object, float]] = {}

    def get(self, key: str) -> bytes | None:
        """See `Cache.get`."""
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Cache.get_many`."""
        now_s = self._monotonic_s()
        with self._lock:
            found = [self._kept.get(key) for key in keys]
        return [held[0] if held and held[1] > now_s else None for held in found]

    def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """See `Cache.put`."""
        self.put_many({key: value}, ttl_s=ttl_s)

    def put_many(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        """See `Cache.put_many`."""
        now_s = self._monotonic_s()
        with self._lock:
            self._kept = {key: held for key, held in self._kept.items() if held[1] > now_s}
            self._kept.update({key: (value, now_s + ttl_s) for key, value in values.items()})

    def drop(self, key: str) -> None:
        """See `Cache.drop`."""
        with self._lock:
            self._kept.pop(key, None)

    def add(self, key: str, counts: Mapping[str, int], *, ttl_s: float) -> None:
        """See `Cache.add`."""
        now_s = self._monotonic_s()
        with self._lock:
            held, ends_s = self._counts.get(key, (Counter[str](), 0.0))
            if ends_s <= now_s:
                held = Counter[str]()
            held.update(counts)
            self._counts[key] = (held, now_s + ttl_s)

    def counts(self, key: str) -> Mapping[str, int]:
        """See `Cache.counts`."""
        with self._lock:
            held, ends_s = self._counts.get(key, (Counter[str](), 0.0))
            return dict(held) if ends_s > self._monotonic_s() else {}

    @contextmanager
    def single_flight(
        self, name: str, *, hold_s: float, wait: Callable[[float], object], wait_max_s: float
    ) -> Iterator[bool]:
        """See `Cache.single_flight`."""
        token = object()
        waited = wait_for_turn(name, lambda: self._take(name, token, hold_s), wait=wait, wait_max_s=wait_max_s)
        try:
            yield waited
        finally:
            with self._lock:
                if self._flights.get(name, (None, 0.0))[0] is token:
                    del self._flights[name]

    def close(self) -> None:
        """Nothing to close."""

    def _take(self, name: str, token: object, hold_s: float) -> bool:
        now_s = self._monotonic_s()
        with self._lock:
            held = self._flights.get(name)
            if held and held[1] > now_s:
                return False
            self._flights[name] = (token, now_s + hold_s)
            return True
