"""How fast calls may leave, for a process that makes none: from the settings, and what the workers have found out."""

from __future__ import annotations

from collections.abc import Callable

from jitprov.cache import Cache
from jitprov.errors import DependencyDown
from jitprov.genesys.stations import station_source_kept
from jitprov.pipeline.outlook import Pace
from jitprov.settings import Settings


def pace_of(settings: Settings, cache: Cache) -> Callable[[], Pace]:
    """Return what tells the pace at each call."""

    def pace() -> Pace:
        try:
            source = station_source_kept(cache, settings)
        except DependencyDown:
            source = None
        return Pace.of(settings, source)

    return pace
