"""What a provisioning costs in Redis and in processor time, beside the bare HTTP calls it makes."""

from __future__ import annotations

import resource
from typing import Any
from uuid import uuid4

import requests
from redis import Connection, ConnectionPool, Redis

from benchmarks.arena import Arena, World
from jitprov.budget.rate import BudgetRate
from jitprov.budget.redis import RedisBudget
from jitprov.cache.redis import RedisCache
from jitprov.domain.events import Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.provisioning import CORRIDOR
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.tasks import make_runner
from jitprov.wiring import assemble, make_seals

_AGENTS = 50


class CountingConnection(Connection):
    """A connection that counts round trips: one for each packed send, a pipeline is one."""

    trips = 0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's
        """Count and send."""
        CountingConnection.trips += 1
        super().send_packed_command(command, check_health=check_health)  # type: ignore[no-untyped-call]


def measure(agents: int = _AGENTS) -> dict[str, Any]:
    """Return round trips per step, bytes per provisioning, and processor time against the bare calls."""
    with Arena(World(600.0, line_id=True)) as arena:
        url = arena.redis.url.get_secret_value()

        def client(*, decoded: bool) -> Redis:
            pool = ConnectionPool.from_url(url, connection_class=CountingConnection, decode_responses=decoded)
            return Redis(connection_pool=pool)

        # No waiting: what is measured is the work, not the budget.
        settings = arena.settings.model_copy(update={"api_limit_per_min": 100_000, "station_first_look_s": 0.0})
        arena.control.patch_options(limit_per_min=100_000, assignment_lag_s=[0.0, 0.0], station_lag_s=[0.0, 0.0])
        rate = BudgetRate.of(100_000, headroom=0.02, time_scale=600.0)
        kept = assemble(
            settings,
            ledger=RedisLedger(client(decoded=True), "lean:", make_seals(settings)),
            budget=RedisBudget(client(decoded=True), "lean:", owner="lean", rate=rate),
            cache=RedisCache(client(decoded=False), "lean:"),
        )
        runner = make_runner(kept)
        users = arena.sign_in_silently(agents + 1)
        plain = Redis.from_url(url)
        before_bytes = int(plain.info("memory")["used_memory"])
        openings = [Opening(provisioning_id_from(uuid4()), str(uuid4()), user["id"]) for user in users]
        kept.ledger.accept(openings, look_after_s=60)
        warm, *measured = openings
        _walk(runner, [warm])
        calls_before = int(arena.control.oracle()["calls"])
        CountingConnection.trips = 0
        began_cpu = _cpu_s()
        _walk(runner, measured)
        cpu_s = _cpu_s() - began_cpu
        trips = CountingConnection.trips
        after_bytes = int(plain.info("memory")["used_memory"])
        calls = int(arena.control.oracle()["calls"]) - calls_before
        bare_s = _bare_cpu_s(arena, calls)
        plain.close()
    return {
        "redis_round_trips_per_step": round(trips / agents / len(CORRIDOR), 2),
        "redis_bytes_per_provisioning": round((after_bytes - before_bytes) / (agents + 1)),
        "cpu_ratio": round(cpu_s / bare_s, 2),
        "cpu_ms_per_agent": round(cpu_s / agents * 1000, 2),
    }


def _walk(runner: Any, openings: list[Opening]) -> None:
    for opening in openings:
        for step in CORRIDOR:
            outcome = runner.run(opening.provisioning_id, step, 1, token=uuid4().hex)
            if type(outcome).__name__ != "Done":
                msg = f"{step}: {outcome}"
                raise RuntimeError(msg)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _bare_cpu_s(arena: Arena, calls: int) -> float:
    """Return the processor time of as many bare `requests` calls as jitprov made."""
    with requests.Session() as session:
        session.trust_env = False
        token = session.post(
            f"{arena.plan.api_url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(arena.settings.client_id, arena.settings.client_secret.get_secret_value()),
            timeout=10,
        ).json()["access_token"]
        began = _cpu_s()
        for _ in range(calls):
            session.get(
                f"{arena.plan.api_url}/api/v2/organizations/me",
                headers={"Authorization": f"Bearer {token}"},
                timeout=10,
            ).json()
        return _cpu_s() - began
