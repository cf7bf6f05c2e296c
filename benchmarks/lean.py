"""What a provisioning costs in Redis and in processor time, beside the bare HTTP calls that it makes.

Two measures. The first runs the corridor's steps in this process, one after the other, without Celery: round trips and
bytes in Redis, and processor time against the same calls made with bare `requests`. The second lets real workers do
it and reads their processor time from the system, Celery's part included.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import uuid4

from redis import Connection, Redis

from benchmarks.arena import Arena, World, ids_of
from benchmarks.bare import BareCalls
from jitprov.budget.rate import BudgetRate
from jitprov.budget.redis import RedisBudget
from jitprov.cache.redis import RedisCache
from jitprov.domain.events import Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.provisioning import CORRIDOR
from jitprov.genesys.stations import StationLore
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.runner import Runner
from jitprov.pipeline.tasks import make_runner
from jitprov.redis_client import RedisClient
from jitprov.wiring import assemble, make_seals

_ROUNDS = 5
# Go before, uncounted: what is opened, loaded and read once per worker is no part of a provisioning. The read that
# serves the others is theirs, and counts.
_FIRST = 2
# Nobody waits for the budget: what is measured is work.
_NO_LIMIT_PER_MIN = 100_000


class CountingConnection(Connection):
    """A connection that counts round trips: one for each packed send, a pipeline is one."""

    trips = 0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's
        """Count and send."""
        CountingConnection.trips += 1
        super().send_packed_command(command, check_health=check_health)  # type: ignore[no-untyped-call]


@dataclass(slots=True)
class _Spent:
    """What one way took, round by round.

    Attributes:
        cpu_s: Processor time of each round, user and system.
        calls: Requests that the sandbox received.
    """

    cpu_s: list[float] = field(default_factory=list)
    calls: int = 0


def measure(agents: int = 100) -> dict[str, Any]:
    """Return round trips per step, bytes per provisioning, and processor time against the bare calls.

    Args:
        agents: For each of the two ways, in five rounds that take turns, so that a machine whose speed changes is
            the same for both.
    """
    # At a time scale of 1 profiles read ahead and the token last as long as in reality.
    with Arena(World(1.0, line_id=True)) as arena:
        arena.control.patch_options(
            limit_per_min=_NO_LIMIT_PER_MIN, assignment_lag_s=[0.0, 0.0], station_lag_s=[0.0, 0.0]
        )
        ledger, runner = _corridor(arena)
        bare = BareCalls(arena)
        users = arena.sign_in_silently(_FIRST + agents)
        plain = Redis.from_url(arena.redis.url.get_secret_value())
        openings = [Opening(provisioning_id_from(uuid4()), str(uuid4()), user_id) for user_id in ids_of(users)]
        first, openings = openings[:_FIRST], openings[_FIRST:]
        ledger.accept(first, look_after_s=600)
        _walk(runner, first)
        gc.collect()
        gc.freeze()  # as each worker's child does; what the bare calls leave is spared likewise
        CountingConnection.trips = 0
        before_bytes = int(plain.info("memory")["used_memory"])
        ledger.accept(openings, look_after_s=600)
        ours, theirs = _Spent(), _Spent()
        size = max(1, agents // _ROUNDS)
        for start in range(0, agents, size):
            part = openings[start : start + size]
            _spend(arena, ours, lambda part=part: _walk(runner, part))  # type: ignore[misc]
            others = arena.sign_in_silently(len(part))
            _spend(arena, theirs, lambda others=others: bare.provision(others))  # type: ignore[misc]
        trips = CountingConnection.trips
        after_bytes = int(plain.info("memory")["used_memory"])
        plain.close()
        gc.unfreeze()
    return {
        "redis_round_trips_per_step": round(trips / agents / len(CORRIDOR), 2),
        "redis_bytes_per_provisioning": round((after_bytes - before_bytes) / agents),
        "cpu_ratio": round(median(a / b for a, b in zip(ours.cpu_s, theirs.cpu_s, strict=True)), 2),
        "cpu_ms_per_agent": round(sum(ours.cpu_s) / agents * 1000, 2),
        "bare_cpu_ms_per_agent": round(sum(theirs.cpu_s) / agents * 1000, 2),
        "cpu_calls_per_agent": [round(way.calls / agents, 2) for way in (ours, theirs)],
    }


def _corridor(arena: Arena) -> tuple[RedisLedger, Runner]:
    url = arena.redis.url.get_secret_value()

    def client(*, decoded: bool = True) -> Redis:
        return RedisClient.connect(url, timeout_s=5.0, decoded=decoded, connection=CountingConnection)

    settings = arena.settings.model_copy(update={"api_limit_per_min": _NO_LIMIT_PER_MIN, "station_first_look_s": 0.0})
    ledger = RedisLedger(client(), "lean:", make_seals(settings))
    rate = BudgetRate.of(_NO_LIMIT_PER_MIN, headroom=0.02)
    budget = RedisBudget(client(), "lean:", owner="lean", rate=rate)
    kept = assemble(settings, ledger=ledger, budget=budget, cache=RedisCache(client(decoded=False), "lean:"))
    # A morning like any other: somebody found out about stations before.
    StationLore(kept.cache, kept.clock, settings).learn("line_id")
    return ledger, make_runner(kept)


def _walk(runner: Runner, openings: Sequence[Opening]) -> None:
    for opening in openings:
        for step in CORRIDOR:
            outcome = runner.run(opening.provisioning_id, step, 1, token=uuid4().hex)
            if type(outcome).__name__ != "Done":
                msg = f"{step}: {outcome}"
                raise RuntimeError(msg)


def _spend(arena: Arena, spent: _Spent, work: Callable[[], None]) -> None:
    before = int(arena.control.oracle()["calls"])
    began_s = _cpu_s()
    work()
    spent.cpu_s.append(_cpu_s() - began_s)
    spent.calls += int(arena.control.oracle()["calls"]) - before


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
