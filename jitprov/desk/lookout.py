"""What the board shows, looked up once a second for everybody who watches.

However many browsers stand open, Redis is asked once: the morning's watchers must not slow the morning's work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jitprov.budget import ENDLESS_S, Budget, BudgetState
from jitprov.desk.chart import instants
from jitprov.domain.provisioning import State
from jitprov.ledger.overview import Act, Cause, Filter, Mark, Overview, Standing
from jitprov.pipeline.outlook import Pace

PERIODS: Mapping[str, timedelta | None] = {"1h": timedelta(hours=1), "12h": timedelta(hours=12), "all": None}
DEFAULT_PERIOD = "12h"

_MINUTE_S = 60.0
_STILL_S = 90.0  # API seconds without anybody becoming ready, while some wait for their turn
_STILL_REAL_MIN_S = 20.0
_FRESH_S = 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything on the board at one instant.

    Attributes:
        standing: Counts of the period.
        budget: The meter.
        failures: Failed ones by cause.
        waits: Waiting ones by cause.
        marks: The curve; empty when nobody arrived in the period.
        ready_last_min: How many became ready in the last API minute.
        last_at: When the last one under way will be ready; None when nobody is, or when nothing moves.
        still_s: Real seconds for which nobody has become ready though some wait for their turn; 0.0 when all is well.
        acts: The newest acts.
    """

    standing: Standing
    budget: BudgetState
    failures: Sequence[Cause]
    waits: Sequence[Cause]
    marks: Sequence[Mark]
    ready_last_min: int
    last_at: datetime | None
    still_s: float
    acts: Sequence[Act]

    @property
    def held(self) -> bool:
        """True while people's pause has no end: then no time can be told."""
        return is_endless(self.budget)

    @property
    def under_way(self) -> int:
        """How many of the period have not ended."""
        return sum(number for state, number in self.standing.counts.items() if not state.ended)

    @property
    def arrived(self) -> int:
        """How many of the period there are, in whatever state."""
        return sum(self.standing.counts.values())


def is_endless(budget: BudgetState) -> bool:
    """Tell whether a pause lasts until somebody ends it."""
    return budget.paused_s > ENDLESS_S / 2


class Lookout:
    """Looks, and keeps what it saw for a second.

    Args:
        ledger: The truth.
        budget: The meter.
        pace: Returns how fast calls may leave.
    """

    def __init__(self, ledger: Overview, budget: Budget, pace: Callable[[], Pace]) -> None:
        self._ledger = ledger
        self._budget = budget
        self._pace = pace
        self._looking = threading.Lock()
        self._seen: dict[str, tuple[float, Scene]] = {}

    def scene(self, period: str = DEFAULT_PERIOD) -> Scene:
        """Return the board of a period, at most a second old.

        Raises:
            DependencyDown: Redis does not answer.
        """
        with self._looking:
            seen = self._seen.get(period)
            if seen is None or time.monotonic() - seen[0] > _FRESH_S:
                seen = (time.monotonic(), self._look(PERIODS[period]))
                self._seen[period] = seen
            return seen[1]

    def _look(self, period: timedelta | None) -> Scene:
        ledger = self._ledger
        since = ledger.ping() - period if period else None
        standing = ledger.standing(since)
        budget = self._budget.state()
        pace = self._pace().at(budget.limit_per_min)
        scale = pace.allowance.time_scale
        failed, waiting = standing.counts[State.FAILED], standing.counts[State.WAITING]
        marks: Sequence[Mark] = ()
        ready_last_min = 0
        if standing.first_accepted_at:
            a_minute_ago = standing.now - timedelta(seconds=_MINUTE_S / scale)
            points = instants(standing.first_accepted_at, standing.now)
            before, *marks = ledger.curve(standing.first_accepted_at, [a_minute_ago, *points])
            ready_last_min = marks[-1].ready - before.ready
        still_s = _still_s(standing, budget, scale)
        moves = any(standing.under_way.values()) and not still_s and not is_endless(budget)
        return Scene(
            standing=standing,
            budget=budget,
            failures=ledger.causes(Filter((State.FAILED,), since=since)) if failed else (),
            waits=ledger.causes(Filter((State.WAITING,), since=since)) if waiting else (),
            marks=marks,
            ready_last_min=ready_last_min,
            last_at=pace.outlook(standing.under_way, standing.now, paused_s=budget.paused_s).last_at if moves else None,
            still_s=still_s,
            acts=ledger.acts(limit=3),
        )


def _still_s(standing: Standing, budget: BudgetState, time_scale: float) -> float:
    """Return for how long nobody became ready though some could; 0.0 when that is as it should be."""
    could = standing.counts[State.ACCEPTED] + standing.counts[State.RUNNING]
    if not could or budget.paused_s or standing.oldest_under_way_at is None:
        return 0.0
    moved_at = max(standing.oldest_under_way_at, standing.last_ready_at or standing.oldest_under_way_at)
    still_s = (standing.now - moved_at).total_seconds()
    return still_s if still_s > max(_STILL_S / time_scale, _STILL_REAL_MIN_S) else 0.0
