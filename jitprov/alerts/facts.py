"""Ledger, meter and tallies → `Facts`. Reads only; a handful of round trips each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from jitprov.alerts import tallies
from jitprov.alerts.conditions import WINDOW_MIN, Bounds, Facts
from jitprov.alerts.drift_watch import last_look
from jitprov.alerts.schedule import Schedule
from jitprov.budget import BudgetState
from jitprov.cache import Cache
from jitprov.domain.provisioning import State
from jitprov.errors import DataKeyWrong
from jitprov.ledger.overview import Filter, Overview
from jitprov.pipeline.reconciler import HEARTBEAT

_SEALED = Filter((State.WAITING,), error=DataKeyWrong.code)


@dataclass(frozen=True, slots=True)
class FactsOf:
    """Gathers how things stand.

    Attributes:
        ledger: The truth.
        meter: Returns the budget's state.
        cache: Where tallies and the reconcilers' sign of life lie.
        schedule: When sign-ins are expected.
        bounds: From where on it rings.
    """

    ledger: Overview
    meter: Callable[[], BudgetState]
    cache: Cache
    schedule: Schedule
    bounds: Bounds

    def now(self) -> Facts:
        """Return how things stand.

        Raises:
            DependencyDown: Redis does not answer.
        """
        at = self.ledger.ping()
        arrived = self.ledger.standing(at - timedelta(seconds=self.bounds.silence_s)).counts.values()
        before, now = self.ledger.curve(None, [at - timedelta(minutes=WINDOW_MIN), at])
        failed = max(0, now.failed - before.failed)
        meter = self.meter()
        looked = last_look(self.cache)
        full_looks, republished = tallies.looks(self.cache, at)
        return Facts(
            at=at,
            expected_for=self.schedule.expected_for(at),
            arrived=sum(arrived),
            ready=max(0, now.ready - before.ready),
            failed=failed,
            codes=self._codes() if failed >= self.bounds.failed_least else (),
            circuit=meter.circuit,
            paused_s=meter.paused_s,
            paused_by=meter.paused_by,
            looks=self.cache.get(HEARTBEAT) is not None,
            full_looks=full_looks,
            republished=republished,
            answers=tallies.answers(self.cache, at),
            sealed=sum(cause.count for cause in self.ledger.causes(_SEALED)),
            drift=looked.counts if looked else {},
        )

    def _codes(self) -> list[tuple[str, int]]:
        counts: Counter[str] = Counter()
        for cause in self.ledger.causes(Filter((State.FAILED,))):
            counts[cause.code] += cause.count
        return counts.most_common()
