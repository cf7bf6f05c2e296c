"""What agents would take whose events come late, beside those under way; and how they are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jitprov.desk.pace import pace_of
from jitprov.domain.events import Opening
from jitprov.domain.provisioning import CORRIDOR
from jitprov.ledger import Ledger
from jitprov.pipeline.outlook import everybody
from jitprov.settings import Settings
from jitprov.wiring import make_budget, make_cache, make_overview


@dataclass(frozen=True, slots=True)
class Cost:
    """What newcomers take.

    Attributes:
        calls: API calls, for them alone.
        minutes: API minutes until the last of them and of those under way is ready, under the budget as it is now.
    """

    calls: int
    minutes: float


def cost_of(agents: int, chosen: Settings) -> Cost:
    """Return what so many newcomers take; reads Redis and asks the API nothing.

    Raises:
        DependencyDown: Redis does not answer.
    """
    if not agents:
        return Cost(0, 0.0)
    meter, ledger = make_budget(chosen).state(), make_overview(chosen)
    try:
        standing = ledger.standing()
    finally:
        ledger.close()
    pace = pace_of(chosen, make_cache(chosen))().at(meter.limit_per_min)
    newcomers = {CORRIDOR[0]: agents}
    alone = pace.outlook(newcomers, standing.now, paused_s=meter.paused_s)
    together = pace.outlook(everybody(newcomers, standing.under_way), standing.now, paused_s=meter.paused_s)
    last_s = (together.last_at - standing.now).total_seconds() * chosen.time_scale
    return Cost(alone.calls, round(last_s / 60, 1))


def accept(ledger: Ledger, openings: Sequence[Opening], chosen: Settings) -> int:
    """Open a provisioning for each, send its chain, and return how many were new."""
    from jitprov.pipeline.chain import enqueue  # noqa: PLC0415  Celery only where it is used
    from jitprov.pipeline.late_events import accept_late  # noqa: PLC0415  with it

    accepted = accept_late(ledger, enqueue, openings, look_after_s=chosen.message_grace_s)
    return sum(not acceptance.duplicate for acceptance in accepted)
