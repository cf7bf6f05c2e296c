"""What the memory ledger keeps, apart from who asks: stands where Redis' server stands, and can be lost like it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jitprov.domain.given import Memory
from jitprov.domain.provisioning import Provisioning, begin
from jitprov.ledger.book import Book, Witness


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A refused body, as the ledger keeps it."""

    entry: Mapping[str, str]
    sealed: str
    at: datetime


@dataclass(slots=True)
class Entry:
    """One provisioning, with what only the ledger needs to know of it."""

    record: Provisioning
    tries: int = 0
    began_at: datetime | None = None
    lease: str | None = None
    lease_until: datetime | None = None
    missed: int = 0
    due_at: datetime | None = None
    wrote: str | None = None
    aliases: list[str] = field(default_factory=list)
    following: str | None = None

    def seen(self) -> Provisioning:
        """Return the record as a reader sees it: a running claim shows as a begun step."""
        if self.lease is None or self.began_at is None:
            return self.record
        return replace(begin(self.record, self.began_at, self.tries), updated_at=self.record.updated_at)


class MemoryStore:
    """What is kept; stands where Redis' server stands, so that several ledgers can share it and it can be lost.

    Args:
        now: Its clock: aware UTC, never going back.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.empty()

    def empty(self) -> None:
        """Lose everything."""
        self.entries: dict[str, Entry] = {}
        self.events: dict[str, str] = {}
        self.users: dict[str, str] = {}
        self.emails: dict[str, str] = {}
        self.quarantine: dict[str, Quarantined] = {}
        self.memories: dict[str, Memory] = {}
        self.book_found = Book()

    # --- the shelf ------------------------------------------------------------------------------------------
    def read(self) -> tuple[Book, datetime]:
        """See `Shelf.read`."""
        return self.book_found, self.now()

    def holds(self, witness: Witness) -> bool:
        """See `Shelf.holds`."""
        entry = self.entries.get(witness.provisioning_id)
        return entry is not None and entry.record.version >= witness.version

    def open(self, book_id: str) -> Book:
        """See `Shelf.open`."""
        with self.lock:
            if self.book_found == Book():
                self.book_found = Book(book_id)
            return self.book_found

    def doubt(self, seen_at: datetime) -> None:
        """See `Shelf.doubt`."""
        with self.lock:
            held = self.book_found.doubted_at
            self.book_found = replace(self.book_found, doubted_at=max(held or seen_at, seen_at))

    def acknowledge(self, book_id: str, *, opens_in_s: float, looks_for_s: float) -> None:
        """See `Shelf.acknowledge`."""
        with self.lock:
            found, now = self.book_found, self.now()
            doubted_at = found.doubted_at or now
            self.book_found = Book(
                book_id=found.book_id or book_id,
                acknowledged_at=max(now, doubted_at + timedelta(microseconds=1)),
                opens_at=now + timedelta(seconds=opens_in_s),
                looks_until=now + timedelta(seconds=looks_for_s),
            )
