"""When will the agents be ready? Asked before they come, or while they are on their way. Pure.

The answer comes from a rehearsal of the corridor (domain/rehearsal.py, docs/decisions/0014), not from a formula: waits
for stations overlap with other agents' calls, and what is shared is paid for once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median

from jitprov.domain.agent import WantedState
from jitprov.domain.difference import Difference, calls_together
from jitprov.domain.provisioning import CORRIDOR, ON_DEMAND, Provisioning, Step
from jitprov.domain.rehearsal import Rehearsal, Stage, Stations, Walk
from jitprov.domain.skills import diff_skills

# Estimates, held by no test (docs/decisions/0014), in real seconds: from a sign-in's event to its first message in a
# worker's hands, and from a call's slot to the moment the next step asks for its own slot.
_ARRIVAL_S = 0.6
_CALL_S = 0.03


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many calls may be made, and by how many hands.

    Attributes:
        limit_per_min: Requests per minute and token.
        headroom: Share of it left unused.
        tokens: Tokens in use; one per integration is Genesys' rule of fair use.
        burst: Calls that may leave at once after idling.
        slots: Messages that all workers together work on at a time.
        time_scale: API seconds per real second; 1.0 against Genesys Cloud.
    """

    limit_per_min: int = 300
    headroom: float = 0.02
    tokens: int = 1
    burst: int = 0
    slots: int = 8
    time_scale: float = 1.0

    @property
    def per_s(self) -> float:
        """Calls per API second."""
        return (self.limit_per_min * (1 - self.headroom) - self.burst) * self.tokens / 60

    def stage(self, stations: Stations, *, opens_s: float, warm: bool = False) -> Stage:
        """Return the stage on which the corridor is rehearsed."""
        return Stage(
            stations=stations,
            interval_s=self.tokens / self.per_s,
            burst=self.burst,
            tokens=self.tokens,
            opens_s=opens_s,
            slots=self.slots,
            call_s=_CALL_S * self.time_scale,
            warm=warm,
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """When agents will be ready, in API seconds from now.

    Attributes:
        calls: Requests that it takes.
        ready_s: Of each agent, in the order in which they were given.
    """

    calls: int
    ready_s: tuple[float, ...]

    @property
    def first_s(self) -> float:
        """The first agent's; 0.0 without agents, here and below."""
        return min(self.ready_s, default=0.0)

    @property
    def median_s(self) -> float:
        """The median agent's."""
        return median(self.ready_s) if self.ready_s else 0.0

    @property
    def mean_s(self) -> float:
        """The mean of all."""
        return fmean(self.ready_s) if self.ready_s else 0.0

    @property
    def last_s(self) -> float:
        """The last agent's."""
        return max(self.ready_s, default=0.0)


def forecast(agents: int, allowance: Allowance, stations: Stations) -> Forecast:
    """Return when agents who sign in at once will be ready.

    Args:
        agents: How many.
        allowance: What the API allows.
        stations: How stations are found.
    """
    walks = [Walk() for _ in range(agents)]
    return _rehearsed(walks, allowance.stage(stations, opens_s=_ARRIVAL_S * allowance.time_scale))


def time_left(
    records: Sequence[Provisioning], now: datetime, allowance: Allowance, stations: Stations, *, paused_s: float = 0.0
) -> Forecast:
    """Return when agents who are on their way will be ready, nobody else coming.

    Args:
        records: In the order in which they were accepted; one that has ended takes no time.
        now: The ledger's clock.
        allowance: What the API allows.
        stations: How stations are found.
        paused_s: API seconds until a pause of the token ends.
    """
    walks = [_walk(record, now, allowance.time_scale) for record in records]
    warm = any(record.step.number > Step.CREATE_PHONE.number for record in records)
    return _rehearsed(walks, allowance.stage(stations, opens_s=paused_s, warm=warm))


def looks_at(wanted: WantedState) -> int:
    """Return with how many calls the steps look at what an agent has before they change it, the profile aside.

    Replacing queues takes two more, and one for each that may go.
    """
    replacing = 2 * wanted.replaces_queues
    return bool(wanted.phone) + bool(wanted.utilization) + bool(wanted.roles) + bool(wanted.queues) + replacing


def time_for(
    differences: Sequence[Difference], looks: int, allowance: Allowance, stations: Stations, *, paused_s: float = 0.0
) -> Forecast:
    """Return when agents will be as the rules want, who are provisioned by difference, nobody else coming.

    Args:
        differences: Of those who differ.
        looks: Calls with which the steps look at what the agents have.
        allowance: What the API allows.
        stations: How stations are found.
        paused_s: API seconds until a pause of the token ends.
    """
    walks = [_walk_of(difference) for difference in differences]
    rehearsed = _rehearsed(list(walks), allowance.stage(stations, opens_s=paused_s))
    called = calls_together({str(number): each for number, each in enumerate(differences)})
    foreseen = sum(not walk.skilled for walk in walks) + sum(not walk.phoned for walk in walks)
    foreseen += sum(not walk.stationed for walk in walks)
    rest = max(looks + sum(map(len, called.values())) - foreseen, 0) if differences else 0
    return Forecast(rehearsed.calls + rest, tuple(each + rest / allowance.per_s for each in rehearsed.ready_s))


def _walk_of(difference: Difference) -> Walk:
    what = {change.what for change in difference.changes}
    return Walk(skilled="skill" not in what, phoned="phone" not in what, stationed="station" not in what)


def _rehearsed(walks: Sequence[Walk | None], stage: Stage) -> Forecast:
    rehearsal = Rehearsal(stage, [walk for walk in walks if walk is not None])
    rehearsal.play()
    return Forecast(rehearsal.calls, tuple(walk.ready_s if walk else 0.0 for walk in walks))


def _walk(record: Provisioning, now: datetime, time_scale: float) -> Walk | None:
    if record.state.ended:
        return None
    found = record.findings
    wants_phone = found.wanted is None or found.wanted.phone
    # What joins on demand is shared, or rare: its calls are not foreseen.
    beyond = record.step in ON_DEMAND
    return Walk(
        step=CORRIDOR[-1] if beyond else record.step,
        due_s=max((record.not_before - now).total_seconds(), 0.0) * time_scale if record.not_before else 0.0,
        read=found.profile is not None,
        skilled=bool(found.profile and found.wanted and diff_skills(found.wanted, found.profile.skills) is None),
        phoned=found.phone is not None or not wants_phone,
        stationed=not wants_phone or beyond,
        priority=record.waits_for_its_turn_as(),
        waited=record.steps[Step.ASSIGN_STATION].waited_s > 0,
    )
