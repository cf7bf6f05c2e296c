"""The reconciler looks, every so often, how far agents have drifted; counts are kept for metrics and alerts, never who.

key of the cache   holds                                                    lifetime    who writes
reconciler:drift   when it was looked, and counts; see `Drift.counts`       30 days     whoever's turn it is
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from jitprov import logs
from jitprov.cache import Cache
from jitprov.errors import DependencyDown, StepError
from jitprov.pipeline.drift import Drift

DRIFT = "reconciler:drift"
_TURN_S = 900.0
_KEPT_S = 30 * 86_400.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Looked:
    """What the last look found.

    Attributes:
        at: When; the ledger's clock.
        counts: See `Drift.counts`.
    """

    at: datetime
    counts: Mapping[str, int]


def last_look(cache: Cache) -> Looked | None:
    """Return what the last look found; None before any."""
    raw = cache.get(DRIFT)
    try:
        kept = json.loads(raw) if raw else None
        return Looked(datetime.fromisoformat(kept["at"]), dict(kept["counts"])) if kept else None
    except (ValueError, TypeError, KeyError):
        return None  # what cannot be read is written anew


@dataclass(frozen=True, slots=True)
class DriftWatch:
    """Looks, one process at a time.

    Attributes:
        find: Compares everybody; reads only.
        cache: Where counts are kept, and whose turn it is.
        now: The ledger's clock.
        every: Pause between two looks of all processes together.
    """

    find: Callable[[], Drift]
    cache: Cache
    now: Callable[[], datetime]
    every: timedelta

    def look(self) -> bool:
        """Look once, unless somebody has just done so; tell whether it looked.

        Raises:
            StepError: The organization cannot be read now.
            DependencyDown: Redis does not answer.
        """
        before = last_look(self.cache)
        # A tenth less than the pause: two clocks that differ a little skip no look.
        if before and self.now() - before.at < 0.9 * self.every:
            return False
        found = self.find()
        counts = found.counts()
        kept = {"at": self.now().isoformat(), "counts": counts}
        self.cache.put(DRIFT, json.dumps(kept).encode(), ttl_s=_KEPT_S)
        logs.event(_log, "drift_looked", calls=found.calls, **counts)
        return True


def run_forever(watch: DriftWatch, stop: threading.Event) -> None:
    """Look again and again until `stop` is set."""
    while not stop.is_set():
        try:
            with watch.cache.single_flight(DRIFT, hold_s=_TURN_S, wait=stop.wait, wait_max_s=_TURN_S):
                watch.look()
        except (DependencyDown, StepError) as error:
            logs.event(_log, "drift_not_looked", level=logging.WARNING, error=str(error))
        except Exception as error:  # noqa: BLE001  a watch that ends for a defect would go unnoticed
            logs.event(_log, "drift_broken", level=logging.ERROR, error_type=type(error).__name__)
        stop.wait(watch.every.total_seconds())
