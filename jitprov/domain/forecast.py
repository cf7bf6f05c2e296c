"""When will the agents be ready? A model of the corridor: calls over rate, later steps first. Pure.

The API's allowance is the only queue that matters: whoever arrives waits for calls, and each agent's calls are made
together, since started agents are finished first. So agents become ready one after the other at an even pace, the
first after its own calls, the last after everybody's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jitprov.domain.provisioning import Provisioning, Step

USERS_PER_READ = 100
# Token, skills, site, phone base, and finding out whether a line's id is its station's id.
SHARED_CALLS = 6
# From the last event's arrival to its last call's effect, beyond the wait for calls: hand-overs, and the API's own lag.
LATENCY_S = 3.0

_CALLS_OF: Mapping[Step, float] = {
    Step.FETCH_PROFILE: 1 / USERS_PER_READ,
    Step.RESOLVE_SKILLS: 0.0,
    Step.PATCH_SKILLS: 1.0,
    Step.CREATE_PHONE: 1.0,
    Step.ASSIGN_STATION: 1.0,
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many calls may be made.

    Attributes:
        limit_per_min: Requests per minute and token.
        headroom: Share of it left unused.
        tokens: Tokens in use; one per integration is Genesys' rule of fair use.
    """

    limit_per_min: int = 300
    headroom: float = 0.02
    tokens: int = 1

    @property
    def per_s(self) -> float:
        """Calls a second."""
        return self.limit_per_min * (1 - self.headroom) * self.tokens / 60


@dataclass(frozen=True, slots=True)
class Forecast:
    """When agents will be ready, in API seconds after they all signed in.

    Attributes:
        calls: Requests that it takes.
        first_s: First agent.
        median_s: Median agent.
        last_s: Last agent.
    """

    calls: float
    first_s: float
    median_s: float
    last_s: float


def calls_per_agent(*, lookup: bool) -> float:
    """Return the calls that one agent takes; one more when its station must be looked up."""
    return sum(_CALLS_OF.values()) + (1.0 if lookup else 0.0)


def calls_left(records: Iterable[Provisioning], *, lookup: bool) -> float:
    """Return the calls that open provisionings still take."""
    extra = 1.0 if lookup else 0.0
    return sum(
        sum(_CALLS_OF[step] for step in record.steps_left()) + extra * bool(record.steps_left()) for record in records
    )


def forecast(agents: int, allowance: Allowance, *, lookup: bool, station_wait_s: float = 6.0) -> Forecast:
    """Return when agents who sign in at once will be ready.

    Args:
        agents: How many, at least 1.
        allowance: What the API allows.
        lookup: Whether stations must be looked up.
        station_wait_s: Wait before a station is looked for; delays each agent, holds up nobody.
    """
    each = calls_per_agent(lookup=lookup)
    latency_s = LATENCY_S + (station_wait_s if lookup else 0.0)

    def ready_s(number: int) -> float:
        # The profiles of the next hundred are read when the first of them is begun.
        reads = math.ceil(number / USERS_PER_READ)
        calls = SHARED_CALLS + reads + (each - _CALLS_OF[Step.FETCH_PROFILE]) * number
        return calls / allowance.per_s + latency_s

    return Forecast(
        calls=SHARED_CALLS + math.ceil(agents / USERS_PER_READ) + (each - _CALLS_OF[Step.FETCH_PROFILE]) * agents,
        first_s=ready_s(1),
        median_s=ready_s((agents + 1) // 2),
        last_s=ready_s(agents),
    )
