"""Looks, rings and notes, again and again: the reconciler's second thread, so that neither holds the other up.

key of the cache   holds                          lifetime    who writes
alerts             what is held, see `bell`       30 days     the keeper whose turn it is
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from jitprov import logs
from jitprov.alerts import bell
from jitprov.alerts.conditions import Bounds, Facts, Kind, found
from jitprov.cache import Cache
from jitprov.errors import DependencyDown, LedgerLost

ALERTS = "alerts"
_KEPT_S = 30 * 86_400.0
_TURN_S = 60.0
# So many messages a look: a turn stays short even when every one runs into its time limit.
_MESSAGES_MAX = 4

_log = logging.getLogger(__name__)


class Keeper:
    """Keeps the alerts of this installation; of many, one at a time.

    Args:
        cache: Where alerts are held, for all reconcilers and over restarts.
        facts: Returns how things stand; raises `DependencyDown`.
        bounds: From where on it rings.
        tell: Tells people; False when it did not get through. None: nobody is told, `/metrics` shows what rings.
        now: This machine's clock, for when the ledger's cannot be asked.
    """

    def __init__(
        self,
        cache: Cache,
        facts: Callable[[], Facts],
        bounds: Bounds,
        *,
        tell: Callable[[str], bool] | None,
        now: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._facts = facts
        self._bounds = bounds
        self._tell = tell or (lambda _: True)
        self._now = now
        # Of this process alone, since what all could share is what is away: each reconciler tells of it once.
        self._own: dict[Kind, bell.Alert] = {}

    def look(self, stop: threading.Event) -> None:
        """Look once; tell what is news. Bears a Redis that is away, and rings for it."""
        try:
            with self._cache.single_flight(ALERTS, hold_s=_TURN_S, wait=stop.wait, wait_max_s=_TURN_S):
                facts = self._facts()
                held = bell.read(self._cache.get(ALERTS))
                held = bell.advance(held, found(facts, self._bounds), facts.at, self._bounds.after_s)
                self._keep(held)
                self._ring(held, facts.at, self._keep)
        except DependencyDown as error:
            self._look_at_ledger(_away(error))
        else:
            self._look_at_ledger("")

    def _look_at_ledger(self, text: str) -> None:
        now = self._now()
        found_now = {Kind.LEDGER: text} if text else {}
        self._own = bell.advance(self._own, found_now, now, self._bounds.after_s)
        self._ring(self._own, now, lambda held: setattr(self, "_own", held))

    def _keep(self, held: dict[Kind, bell.Alert]) -> None:
        self._cache.put(ALERTS, bell.written(held), ttl_s=_KEPT_S)

    def _ring(
        self, held: dict[Kind, bell.Alert], now: datetime, keep: Callable[[dict[Kind, bell.Alert]], None]
    ) -> None:
        due = [kind for kind, alert in held.items() if alert.wants_telling(now)]
        for kind in due[:_MESSAGES_MAX]:
            text = held[kind].message(kind, now)
            got_through = self._tell(text)
            logs.event(_log, "alert", level=logging.WARNING, alert=kind, over=held[kind].over, told=got_through)
            held = bell.after_telling(held, kind, now, got_through=got_through)
            keep(held)


def _away(error: DependencyDown) -> str:
    if isinstance(error, LedgerLost):
        return "the ledger was emptied, set back or exchanged: no event is taken. Next: jitprov doctor"
    return "Redis does not answer: no event is taken, nothing is sent. Next: jitprov doctor"


def run_forever(keeper: Keeper, stop: threading.Event, *, every_s: float) -> None:
    """Look again and again until `stop` is set."""
    while not stop.is_set():
        try:
            keeper.look(stop)
        except Exception as error:  # noqa: BLE001  an alarm that stops ringing for a defect is worse than the defect
            logs.event(_log, "alerts_broken", level=logging.ERROR, error_type=type(error).__name__)
        stop.wait(every_s)
