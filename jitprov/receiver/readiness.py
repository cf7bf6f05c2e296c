"""Whether the receiver can take events now. Asked by anybody, so the ledger is asked once for all who ask at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from jitprov.errors import DependencyDown, LedgerLost
from jitprov.receiver.answers import LEDGER_LOST

_WITHIN_S = 2.0
_FRESH_S = 1.0


@dataclass(slots=True)
class Readiness:
    """Remembers the last look for a second.

    Attributes:
        ask: Raises `DependencyDown` when the ledger is away; blocks, so it runs aside.
        writes: Tells whether the writer runs.
    """

    ask: Callable[[], object]
    writes: Callable[[], bool]
    _looking: asyncio.Task[str] | None = field(default=None, init=False)
    _seen: str = field(default="", init=False)
    _seen_at_s: float | None = field(default=None, init=False)

    async def missing(self) -> str:
        """Return what is missing; empty when all is there."""
        if not self.writes():
            return "the writer does not run"
        now_s = asyncio.get_running_loop().time()
        if self._seen_at_s is not None and now_s - self._seen_at_s < _FRESH_S:
            return self._seen
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            return "the ledger is slow to answer"

    async def _look(self) -> str:
        try:
            await asyncio.to_thread(self.ask)
            self._seen = ""
        except LedgerLost:
            self._seen = LEDGER_LOST
        except DependencyDown:
            self._seen = "the ledger does not answer"
        self._seen_at_s = asyncio.get_running_loop().time()
        return self._seen
