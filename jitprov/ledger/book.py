"""Which ledger this is: told apart from an empty or an older one that stands in its place (decision 0015).

A *book* is one life of the ledger. It is opened once, with a random id, in the store itself; whoever works with it
remembers the id elsewhere: each process while it runs, an installation in a file. A process also remembers the last
thing it wrote, its *witness*: a store that answers by the right id without it has lost its last moments, as after a
failover to a replica that lagged behind. Knows no store and decides nothing about agents.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from jitprov import logs
from jitprov.errors import ConfigurationError, LedgerLost

_log = logging.getLogger(__name__)

# Ended provisionings are forgotten after 15 days at the earliest; what was written this long ago proves nothing.
_WITNESS_KEPT = timedelta(days=1)

_REMEDY = (
    "Bring the lost Redis back; or have the sender repeat the events since then (archive or dead letters), and let the "
    "ledger go on: jitprov doctor --acknowledge-empty"
)


@dataclass(frozen=True, slots=True)
class Book:
    """What the store says of itself.

    Attributes:
        book_id: Random, from when it was opened; empty when the store holds none.
        acknowledged_at: When an operator took it for the right one after a loss; None without a loss.
        opens_at: Nothing is taken in or worked on before; None when that is no matter.
        looks_until: Of agents accepted before this, some may have a phone that the ledger knows nothing of.
        doubted_at: When somebody who remembers another book, or more of this one, last saw it well.
    """

    book_id: str = ""
    acknowledged_at: datetime | None = None
    opens_at: datetime | None = None
    looks_until: datetime | None = None
    doubted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """A book that somebody has worked with, and when they last saw it (the store's clock)."""

    book_id: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Witness:
    """The last thing that this process wrote: provisioning, version and when."""

    provisioning_id: str
    version: int
    written_at: datetime


class Shelf(Protocol):
    """Where a store keeps its book. Each method is one atomic act and safe to repeat."""

    def read(self) -> tuple[Book, datetime]:
        """Return the book and the store's clock."""
        ...

    def holds(self, witness: Witness) -> bool:
        """Tell whether a provisioning is there, at that version or a later one."""
        ...

    def open(self, book_id: str) -> Book:
        """Open a book if there is none and nobody doubts it; return the book that is there then."""
        ...

    def doubt(self, seen_at: datetime) -> None:
        """Note that the right book was last seen then; who comes after takes nothing in."""
        ...

    def acknowledge(self, book_id: str, *, opens_in_s: float, looks_for_s: float) -> None:
        """Take what is there for the right book; gives it the id if it has none, and ends every doubt."""
        ...


class BookMemory:
    """Remembers the book of an installation in a file that outlives the store; without a file it remembers nothing.

    Args:
        file: Its folder must be there; None for none.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file

    def check(self) -> None:
        """Make sure that the file can be read, if it is there, and written.

        Raises:
            ConfigurationError: It cannot.
        """
        self.recall()
        if self._file is not None and not os.access(self._file.parent, os.W_OK | os.X_OK):
            raise ConfigurationError(f"{self._named()} cannot be written: {_FILE}")

    def recall(self) -> Remembered | None:
        """Return what the file says; None before the first book.

        Raises:
            ConfigurationError: The file cannot be read, or does not hold what was written.
        """
        if self._file is None:
            return None
        try:
            held = json.loads(self._file.read_text())
            return Remembered(str(held["book_id"]), datetime.fromisoformat(held["seen_at"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(f"{self._named()} cannot be read ({type(error).__name__}): {_FILE}") from error

    def keep(self, book: Remembered) -> None:
        """Write the file, whole or not at all.

        Raises:
            ConfigurationError: It cannot be written.
        """
        if self._file is None:
            return
        fresh = self._file.with_name(f"{self._file.name}.{uuid4().hex[:8]}")
        text = json.dumps({"book_id": book.book_id, "seen_at": book.seen_at.isoformat()})
        try:
            with fresh.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
        except OSError as error:
            raise ConfigurationError(f"{self._named()} cannot be written ({error.strerror}): {_FILE}") from error

    def _named(self) -> str:
        return f"JITPROV_LEDGER_MEMORY: {self._file}"


_FILE = "name a file in a folder that outlives this process and that it may write"


class BookKeeper:
    """Knows which book is the right one; one for each client of a store. Thread-safe.

    Args:
        shelf: Where the store keeps its book.
        memory: What outlives this process.
        new_id: Returns a fresh book id.
    """

    def __init__(
        self, shelf: Shelf, memory: BookMemory | None = None, new_id: Callable[[], str] = lambda: uuid4().hex
    ) -> None:
        self._shelf = shelf
        self._memory = memory or BookMemory()
        self._new_id = new_id
        self._lock = threading.Lock()
        self._remembered: Remembered | None = None
        self._witness: Witness | None = None
        self._told_lost = False

    def wrote(self, provisioning_id: str, version: int, at: datetime) -> None:
        """Remember the last thing written."""
        self._witness = Witness(provisioning_id, version, at)

    def proof(self) -> tuple[str, Witness | None]:
        """Return the id of the book in hand, and the witness; looks, if none is in hand yet.

        Raises:
            LedgerLost: See `look`.
        """
        held = self._remembered
        return (held.book_id if held else self.look().book_id), self._witness

    def look(self) -> Book:
        """Return the book after making sure that it is the right one; the very first look opens one.

        Raises:
            LedgerLost: It is not: the store was emptied, set back or exchanged, and nobody has acknowledged that.
        """
        with self._lock:
            try:
                book = self._look()
            except LedgerLost as error:
                if not self._told_lost:
                    logs.event(_log, "ledger_lost", level=logging.ERROR, error=str(error))
                self._told_lost = True
                raise
            self._told_lost = False
            return book

    def _look(self) -> Book:
        found, now = self._shelf.read()
        if self._remembered is None:
            self._remembered = self._memory.recall()
        if self._remembered is None and not found.book_id:
            found = self._shelf.open(self._new_id())
        if self._is_another(found):
            self._doubt(self._remembered or Remembered("", now), "empty" if not found.book_id else "another one")
        if self._is_older(found, now) and self._witness:
            self._doubt(Remembered(found.book_id, self._witness.written_at), "an older state of it")
        if found.doubted_at:
            raise _lost(f"doubted: somebody saw more of it at {found.doubted_at:%Y-%m-%d %H:%M:%S} UTC")
        if not self._remembered or self._remembered.book_id != found.book_id:
            self._witness = None
            self._memory.keep(Remembered(found.book_id, now))
        self._remembered = Remembered(found.book_id, now)
        if found.opens_at and found.opens_at > now:
            wait_s = (found.opens_at - now).total_seconds()
            raise LedgerLost(f"the ledger opens in {wait_s:.0f} s: what was under way at its loss must end first")
        return found

    def seen(self) -> Book:
        """Return the book as the store has it; judges and changes nothing."""
        return self._shelf.read()[0]

    def acknowledge(self, *, opens_in_s: float, looks_for_s: float) -> None:
        """See `Ledger.acknowledge_loss`."""
        self._shelf.acknowledge(self._new_id(), opens_in_s=opens_in_s, looks_for_s=looks_for_s)

    def _is_another(self, found: Book) -> bool:
        held = self._remembered
        if not found.book_id:
            return True  # somebody doubts it, or it would have been opened
        if held is None or held.book_id == found.book_id:
            return False
        return found.acknowledged_at is None or found.acknowledged_at <= held.seen_at

    def _is_older(self, found: Book, now: datetime) -> bool:
        witness = self._witness
        if witness is None:
            return False
        acknowledged = found.acknowledged_at is not None and found.acknowledged_at > witness.written_at
        if acknowledged or now - witness.written_at > _WITNESS_KEPT:
            self._witness = None
            return False
        return not self._shelf.holds(witness)

    def _doubt(self, held: Remembered, what: str) -> None:
        self._shelf.doubt(held.seen_at)
        raise _lost(f"{what}; the right one was last seen at {held.seen_at:%Y-%m-%d %H:%M:%S} UTC")


def _lost(what: str) -> LedgerLost:
    return LedgerLost(f"the ledger in Redis is not the one that was worked with ({what}). {_REMEDY}")
