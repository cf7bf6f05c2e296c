"""When will they be ready? The forecast's rehearsal, played for where everybody stands now, from counts alone.

It reads no records, and plays three hundred agents at most: those served next. Whoever stands behind them comes at the
even pace of the calls. So the answer costs the same few milliseconds for ten agents and for ten thousand. It tells what
the allowance permits; whether anything moves at all is told by the pace of the last minute beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from jitprov.domain.agent import Phone, Profile, WantedState
from jitprov.domain.forecast import Allowance, forecast, time_left
from jitprov.domain.provisioning import CORRIDOR, Findings, Provisioning, Step
from jitprov.domain.rehearsal import Stations
from jitprov.settings import Settings

_PLAYED_MAX = 300
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def _standing_at(step: Step) -> Provisioning:
    """Return somebody who stands before a step, with what the steps before it find."""
    found = Findings(
        profile=Profile("") if step.number > Step.FETCH_PROFILE.number else None,
        wanted=WantedState() if step.number > Step.RESOLVE_SKILLS.number else None,
        phone=Phone("", "") if step.number > Step.CREATE_PHONE.number else None,
    )
    return Provisioning("", "", "", accepted_at=_LONG_AGO, updated_at=_LONG_AGO, step=step, findings=found)


_SOMEBODY = {step: _standing_at(step) for step in CORRIDOR}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to come.

    Attributes:
        calls: API calls until everybody asked about is ready.
        last_at: When the last of them is.
    """

    calls: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast calls may leave, and how stations are found."""

    allowance: Allowance
    stations: Stations

    @classmethod
    def of(cls, settings: Settings, source: Literal["line_id", "lookup"] | None) -> Pace:
        """Return the pace of an integration.

        Args:
            settings: Of workers and receiver alike.
            source: What the workers have found out about station ids; None when they have not yet, which errs on the
                long side.
        """
        allowance = Allowance(
            limit_per_min=settings.api_limit_per_min,
            headroom=settings.api_headroom,
            burst=settings.api_burst,
            slots=settings.worker_concurrency,
            time_scale=settings.time_scale,
        )
        chosen = settings.station_source if settings.station_source != "auto" else source
        wait_s = settings.station_first_look_s
        return cls(allowance, Stations(chosen or "lookup", known=chosen is not None, wait_s=wait_s))

    def at(self, limit_per_min: int) -> Pace:
        """Return the same at the limit that the meter works with."""
        return replace(self, allowance=replace(self.allowance, limit_per_min=limit_per_min))

    def outlook(self, standing: Mapping[Step, int], now: datetime, *, paused_s: float = 0.0) -> Outlook:
        """Return when the last of those under way will be ready.

        Args:
            standing: How many stand before each step.
            now: The ledger's clock.
            paused_s: Real seconds until the budget's pause ends.
        """
        return self._play(standing, None, now, paused_s)

    def ready_at(
        self, record: Provisioning, ahead: Mapping[Step, int], now: datetime, *, paused_s: float = 0.0
    ) -> datetime:
        """Return when one agent under way will be ready, given who is served before: see `Overview.ahead`."""
        return self._play(ahead, record, now, paused_s).last_at

    def _play(
        self, standing: Mapping[Step, int], chosen: Provisioning | None, now: datetime, paused_s: float
    ) -> Outlook:
        queue: list[Provisioning] = []
        room, calls_behind = _PLAYED_MAX, 0.0
        for step in reversed(CORRIDOR):
            number = standing.get(step, 0)
            queue += [_SOMEBODY[step]] * min(number, room)
            calls_behind += max(number - room, 0) * self._calls_each(step)
            room = max(room - number, 0)
        if chosen is not None:
            queue.append(chosen)
        scale = self.allowance.time_scale
        played = time_left(queue, now, self.allowance, self.stations, paused_s=paused_s * scale)
        ready_s = played.ready_s[-1] if chosen is not None else played.last_s
        behind_s = calls_behind / self.allowance.per_s
        return Outlook(round(played.calls + calls_behind), now + timedelta(seconds=(ready_s + behind_s) / scale))

    def _calls_each(self, step: Step) -> float:
        return _calls_each(self.stations, step)


@lru_cache(maxsize=64)
def _calls_each(stations: Stations, step: Step) -> float:
    """Return the calls that one of very many takes from a step on, shared ones shared."""
    some, twice, allowance = 100, 200, Allowance()
    if step is CORRIDOR[0]:
        return (forecast(twice, allowance, stations).calls - forecast(some, allowance, stations).calls) / some

    def calls(number: int) -> int:
        return time_left([_SOMEBODY[step]] * number, _LONG_AGO, allowance, stations).calls

    return (calls(twice) - calls(some)) / some


def everybody(*parts: Mapping[Step, int]) -> dict[Step, int]:
    """Return the sum of counts by step."""
    return {step: sum(part.get(step, 0) for part in parts) for step in CORRIDOR}
