"""Where Redis keeps the book that tells this ledger from another; see `ledger.book` and lua/book.lua for the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from redis import Redis

from jitprov.ledger.book import Book, Witness
from jitprov.ledger.codec import from_us, to_us


class RedisShelf:
    """See `Shelf`.

    Args:
        client: With decoded answers.
        prefix: Of every key.
        run: The scripts `open`, `doubt` and `acknowledge`.
    """

    def __init__(self, client: Redis, prefix: str, run: Mapping[str, Callable[..., Any]]) -> None:
        self._redis = client
        self._prefix = prefix
        self._key = f"{prefix}book"
        self._run = run

    def read(self) -> tuple[Book, datetime]:
        """See `Shelf.read`."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hgetall(self._key)
        pipe.time()
        fields, (seconds, microseconds) = pipe.execute()
        return _decode(fields), from_us(seconds * 1_000_000 + microseconds)

    def holds(self, witness: Witness) -> bool:
        """See `Shelf.holds`."""
        key = f"{self._prefix}p:{witness.provisioning_id}"
        state, version = cast("list[str | None]", self._redis.hmget(key, ["state", "v"]))
        return state is not None and int(version or 0) >= witness.version

    def open(self, book_id: str) -> Book:
        """See `Shelf.open`."""
        flat: list[str] = self._run["open"](keys=[self._key], args=[book_id])
        return _decode(dict(zip(flat[::2], flat[1::2], strict=True)))

    def doubt(self, seen_at: datetime) -> None:
        """See `Shelf.doubt`."""
        self._run["doubt"](keys=[self._key], args=[to_us(seen_at)])

    def acknowledge(self, book_id: str, *, opens_in_s: float, looks_for_s: float) -> None:
        """See `Shelf.acknowledge`."""
        self._run["acknowledge"](
            keys=[self._key], args=[book_id, int(opens_in_s * 1_000_000), int(looks_for_s * 1_000_000)]
        )


def _decode(fields: Mapping[str, str]) -> Book:
    """Return the book that a hash holds; one without an id for none."""
    names = ("acknowledged", "opens", "looks", "doubted")
    instants = {name: from_us(int(fields[name])) for name in names if name in fields}
    return Book(
        book_id=fields.get("id", ""),
        acknowledged_at=instants.get("acknowledged"),
        opens_at=instants.get("opens"),
        looks_until=instants.get("looks"),
        doubted_at=instants.get("doubted"),
    )
