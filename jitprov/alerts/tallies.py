"""Counts of the last minutes that receivers and reconcilers leave for whoever judges them.

key of the cache            holds                                               lifetime
door:{minute}               answers of /events by status, of all receivers      15 min
reconciler:looks:{minute}   looks, full ones, chains sent again                 15 min

A minute is the ledger's: since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from jitprov.alerts.conditions import WINDOW_MIN
from jitprov.cache import Cache
from jitprov.pipeline.reconciler import Look

_DOOR, _LOOKS = "door", "reconciler:looks"
_KEPT_S = 900.0


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def door_teller(cache: Cache, ping: Callable[[], datetime]) -> Callable[[Mapping[int, int]], None]:
    """Return what a receiver tells its answers to, by status, since it told last; raises `DependencyDown`."""

    def tell(answers: Mapping[int, int]) -> None:
        counts = {str(status): count for status, count in answers.items()}
        cache.add(f"{_DOOR}:{_minute(ping())}", counts, ttl_s=_KEPT_S)

    return tell


def look_teller(cache: Cache, ping: Callable[[], datetime], *, batch: int) -> Callable[[Look], None]:
    """Return what a reconciler tells its looks to; raises `DependencyDown`."""

    def tell(look: Look) -> None:
        counts = {"republished": look.republished, "full": int(look.due >= batch)}
        if any(counts.values()):
            cache.add(f"{_LOOKS}:{_minute(ping())}", counts, ttl_s=_KEPT_S)

    return tell


def answers(cache: Cache, now: datetime) -> dict[int, int]:
    """Return the receivers' answers of the window, by status."""
    return {int(status): count for status, count in _sum(cache, _DOOR, now).items()}


def looks(cache: Cache, now: datetime) -> tuple[int, int]:
    """Return the reconcilers' full looks, and the chains they sent again, in the window."""
    counts = _sum(cache, _LOOKS, now)
    return counts["full"], counts["republished"]


def _sum(cache: Cache, name: str, now: datetime) -> Counter[str]:
    total: Counter[str] = Counter()
    for minute in range(_minute(now) - WINDOW_MIN + 1, _minute(now) + 1):
        total.update(cache.counts(f"{name}:{minute}"))
    return total
