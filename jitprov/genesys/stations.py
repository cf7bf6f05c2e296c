"""What is learned about an organization's stations: where their ids come from, and how late they appear.

Nothing of it is documented: whether the id of a phone's line is the id of its station, and how soon a new station can
be found and set. So the first agent tries, all learn from it, and the waits follow what was seen since
(docs/decisions/0020). For all workers together, in the cache; what is lost there is learned anew.

    station-source   `line_id` or `lookup`, for a day
    station-trial    who tries just now (a user id), or `tried`: the line's id was not taken; for minutes
    station-waits    API seconds that a station is given before it is looked for, for each source; JSON
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, cast

from jitprov.cache import Cache
from jitprov.domain.clock import Clock
from jitprov.genesys.organization import organization_key
from jitprov.genesys.shelf import Shelf
from jitprov.settings import Settings

StationSource = Literal["line_id", "lookup"]
Trial = Literal["yours", "under_way", "anothers", "over"]

WAIT_MAX_S = 30.0
_WAIT_LEAST_S = 1.0
# A wait grows by much when a station is late, and shrinks by little when one is in time: in balance, 1.5 % of the
# stations are looked for in vain, which costs a call each. Waiting longer than need be costs nobody a call.
_LATER = 1.4
_SOONER = 0.995
_HITS_TOLD = 10
# How much longer than the wait an agent may have waited for its look to count as the first.
_FIRST_LOOK = 1.1
_DAY_S = 86_400.0
_TRYING_S = 30.0
_TRIED_S = 600.0
_TRIED = b"tried"


class StationLore:
    """Remembers for all workers.

    Args:
        cache: Where it lies.
        clock: How to wait for another worker.
        settings: Organization, time scale, and the wait before anything was learned.
    """

    def __init__(self, cache: Cache, clock: Clock, settings: Settings) -> None:
        self._shelf = Shelf(cache, clock, settings)
        self._start_s: dict[StationSource, float] = {"line_id": 0.0, "lookup": settings.station_first_look_s}
        self._hits: Counter[StationSource] = Counter()

    def source(self) -> StationSource | None:
        """Return where station ids come from; None while nobody has found out."""
        kept = self._shelf.get("station-source")
        return cast("StationSource", kept.decode()) if kept in {b"line_id", b"lookup"} else None

    def learn(self, source: StationSource) -> None:
        """Remember it for a day."""
        self._shelf.put("station-source", source.encode(), keep_s=_DAY_S)

    def compare(self, *, same: bool) -> None:
        """Learn from a station that was looked up whether its id is its line's.

        A line id that failed once is not tried again that day, even if it would do.
        """
        known = self.source()
        if known is None or (known == "line_id" and not same):
            self.learn("line_id" if same else "lookup")

    @contextmanager
    def trial(self, user_id: str) -> Iterator[Trial]:
        """Let one agent at a time try the line's id.

        Yields:
            `yours`: try. `under_way`: see what became of your try. `anothers`: wait for them. `over`: somebody knows,
            or tried in vain.
        """
        with self._shelf.turn("station-trial"):
            who = self._shelf.get("station-trial", near=False)
            if self.source() is not None or who == _TRIED:
                yield "over"
            elif who is None:
                yield "yours"
            else:
                yield "under_way" if who == user_id.encode() else "anothers"

    def trying(self, user_id: str) -> None:
        """Let all wait until it is seen what became of this agent's try, some seconds at most."""
        self._shelf.put("station-trial", user_id.encode(), keep_s=_TRYING_S)

    def tried_in_vain(self) -> None:
        """Have stations looked up, until one that was looked up tells more."""
        self._shelf.put("station-trial", _TRIED, keep_s=_TRIED_S)

    def wait_s(self, source: StationSource) -> float:
        """Return how long a station is given before it is looked for, in API seconds: 0.0 to `WAIT_MAX_S`."""
        return self._waits()[source]

    def looked(self, source: StationSource, *, after_s: float, found: bool) -> None:
        """Learn from a look how late stations are.

        Only an agent's first look tells of the organization; later ones tell of a station that may never come.

        Args:
            source: How it was looked for.
            after_s: API seconds that it had been given.
            found: Whether it was there.
        """
        wait_s = self.wait_s(source)
        if after_s > wait_s * _FIRST_LOOK:
            return
        if not found:
            self._change(source, lambda now_s: max(now_s, max(after_s, _WAIT_LEAST_S) * _LATER))
        elif wait_s:
            self._hits[source] += 1
            if self._hits[source] >= _HITS_TOLD:
                hits = self._hits.pop(source)
                self._change(source, lambda now_s: now_s * _SOONER**hits)

    def _change(self, source: StationSource, to_s: Callable[[float], float]) -> None:
        # Two workers may overwrite each other's change: either is right, and the next look mends it.
        waits = self._waits(near=False)
        least_s = min(self._start_s[source], _WAIT_LEAST_S)
        changed_s = to_s(waits[source])
        waits[source] = round(min(changed_s, WAIT_MAX_S), 3) if changed_s >= _WAIT_LEAST_S else least_s
        self._keep(waits)

    def _waits(self, *, near: bool = True) -> dict[StationSource, float]:
        raw = self._shelf.get("station-waits", near=near)
        try:
            kept = json.loads(raw or b"null")
            return {source: min(max(float(kept[source]), 0.0), WAIT_MAX_S) for source in self._start_s}
        except (ValueError, TypeError, LookupError):
            start = dict(self._start_s)
            self._keep(start)
            return start

    def _keep(self, waits: dict[StationSource, float]) -> None:
        self._shelf.put("station-waits", json.dumps(waits).encode(), keep_s=_DAY_S)


def station_source_kept(cache: Cache, settings: Settings) -> StationSource | None:
    """Return what the workers have found out about station ids, for whoever only wants to tell a time."""
    kept = cache.get(f"catalogue:{organization_key(settings)}:station-source")
    return cast("StationSource", kept.decode()) if kept in {b"line_id", b"lookup"} else None
