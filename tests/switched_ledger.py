"""A ledger in memory that a test can take away, hold up and count."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime

from fixed_clock import FixedClock
from jitprov.domain.events import Acceptance, Opening
from jitprov.errors import DependencyDown
from jitprov.ledger.book import Book
from jitprov.ledger.memory import MemoryLedger


class SwitchedLedger(MemoryLedger):
    """Counts `accept`; raises while `away`; waits while `go_on` is not set."""

    def __init__(self) -> None:
        super().__init__(FixedClock().now)
        self.batches: list[int] = []
        self.away = False
        self.broken = False
        self.go_on = threading.Event()
        self.go_on.set()
        self.called = threading.Event()

    def accept(self, openings: Sequence[Opening], *, look_after_s: float) -> list[Acceptance]:
        self.batches.append(len(openings))
        self._pass()
        return super().accept(openings, look_after_s=look_after_s)

    def quarantine(self, entry: Mapping[str, str], *, keep: int, sealed: str = "") -> None:
        self._pass()
        super().quarantine(entry, keep=keep, sealed=sealed)

    def ping(self) -> datetime:
        self._pass()
        return super().ping()

    def trust(self) -> Book:
        self._pass()
        return super().trust()

    def _pass(self) -> None:
        self.called.set()
        self.go_on.wait(20)
        if self.away:
            msg = "away"
            raise DependencyDown(msg)
        if self.broken:
            msg = "a defect"
            raise RuntimeError(msg)
