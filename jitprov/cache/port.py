"""What all workers share and may lose. Two implementations, one contract suite (tests/contract/test_cache.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class Cache(Protocol):
    """Values that can be made again: the sealed access token, the catalogue, profiles read ahead.

    Raises `DependencyDown` when the store does not answer. Times to live are real seconds.
    """

    def get(self, key: str) -> bytes | None:
        """Return a value, or None when it is absent or its time is over."""
        ...

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return values in the order of the keys, in one round trip."""
        ...

    def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep a value."""
        ...

    def put_many(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        """Keep values, in one round trip."""
        ...

    def drop(self, key: str) -> None:
        """Forget a value."""
        ...

    def add(self, key: str, counts: Mapping[str, int], *, ttl_s: float) -> None:
        """Add to counts by name; all of them last `ttl_s` from now on. Not safe to repeat: it counts twice."""
        ...

    def counts(self, key: str) -> Mapping[str, int]:
        """Return counts by name; nothing when they are absent or their time is over."""
        ...

    def single_flight(
        self, name: str, *, hold_s: float, wait: Callable[[float], object], wait_max_s: float
    ) -> AbstractContextManager[bool]:
        """Let one caller at a time, of all workers, do something.

        Args:
            name: What is to be done.
            hold_s: Real seconds after which a holder that hangs is forgotten. One whose process died is forgotten
                sooner where processes can die apart (`jitprov.cache.sign_of_life`).
            wait: How to wait, in real seconds.
            wait_max_s: Patience.

        Returns:
            A context that yields True when it had to wait for another (look again whether the work is done),
            False when it was first. Raises `DependencyDown` when patience ran out.
        """
        ...
