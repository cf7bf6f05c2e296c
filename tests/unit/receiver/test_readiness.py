"""Whether events can be taken."""

from __future__ import annotations

import asyncio
import threading

from jitprov.errors import DependencyDown
from jitprov.receiver.readiness import Readiness


class Asked:
    """Counts how often it is asked; can be away."""

    def __init__(self) -> None:
        self.times = 0
        self.away = False
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self) -> None:
        self.times += 1
        self.go_on.wait(10)
        if self.away:
            msg = "away"
            raise DependencyDown(msg)


def test_remembers() -> None:
    """However many ask within a second, the ledger is asked once."""
    asked = Asked()

    async def ask() -> list[str]:
        readiness = Readiness(asked, lambda: True)
        at_once = await asyncio.gather(*(readiness.missing() for _ in range(20)))
        return [*at_once, await readiness.missing()]

    assert set(asyncio.run(ask())) == {""}
    assert asked.times == 1


def test_ledger_away() -> None:
    """Without the ledger something is missing."""
    asked = Asked()
    asked.away = True

    assert asyncio.run(Readiness(asked, lambda: True).missing()) == "the ledger does not answer"


def test_writer_gone() -> None:
    """Without the writer something is missing, and the ledger is not even asked."""
    asked = Asked()

    assert asyncio.run(Readiness(asked, lambda: False).missing()) == "the writer does not run"
    assert asked.times == 0
