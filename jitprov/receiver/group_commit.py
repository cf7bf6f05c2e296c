"""Openings of many requests → one write to the ledger. The 202 waits for it; nothing else may be answered before."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from jitprov import logs
from jitprov.domain.events import Acceptance, Opening
from jitprov.ledger import Ledger
from jitprov.receiver.lane import Lane

_log = logging.getLogger(__name__)


class GroupCommit:
    """The one writer of openings.

    Args:
        ledger: What is written to.
        look_after_s: When the reconciler may first look for a message, in real seconds.
        on_new: Is told the ids of new provisionings after each write, on the writer's thread. Told here and not by
            the request, so that a write which outlives its request is published too. Must not block or raise.
        waiting_max: Openings that may wait.
        deliver: See `Lane`.
    """

    def __init__(
        self,
        ledger: Ledger,
        look_after_s: float,
        on_new: Callable[[Sequence[str]], None] = lambda _: None,
        *,
        waiting_max: int = 10_000,
        deliver: Callable[[Callable[[], None]], object] = lambda give: give(),
    ) -> None:
        self._ledger = ledger
        self._look_after_s = look_after_s
        self._on_new = on_new
        self._lane: Lane[Opening, Acceptance] = Lane(
            "group commit", self._write, waiting_max=waiting_max, deliver=deliver
        )

    @property
    def alive(self) -> bool:
        """True while writes are made."""
        return self._lane.alive

    @property
    def waiting(self) -> int:
        """Openings that wait for their write."""
        return self._lane.waiting

    def submit(self, openings: Sequence[Opening]) -> Future[list[Acceptance]]:
        """Hand in openings; see `Lane.submit`.

        The future's error is `DependencyDown` when the ledger did not answer; the openings may be written all the same,
        and handing them in again is safe.
        """
        return self._lane.submit(openings)

    def close(self, *, within_s: float = 5.0) -> bool:
        """Write what waits; see `Lane.close`."""
        return self._lane.close(within_s=within_s)

    def _write(self, openings: list[Opening]) -> list[Acceptance]:
        began = time.perf_counter()
        accepted = self._ledger.accept(openings, look_after_s=self._look_after_s)
        fresh = [acceptance.provisioning_id for acceptance in accepted if not acceptance.duplicate]
        self._on_new(fresh)
        logs.event(
            _log,
            "openings_written",
            openings=len(openings),
            new=len(fresh),
            duration_ms=round((time.perf_counter() - began) * 1000, 1),
        )
        return accepted
