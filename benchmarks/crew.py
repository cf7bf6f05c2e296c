"""Real Celery workers at full speed, without a budget in the way: what their pools cost in processor time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.arena import DEPARTMENTS, Arena, World, wait_for
from jitprov.domain.provisioning import State
from jitprov.ledger.redis import RedisLedger
from jitprov.settings import Settings
from jitprov.stack.part import Part
from jitprov.wiring import make_ledger

NO_LIMIT_PER_MIN = 100_000
_WARM = 20


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers of one kind.

    Attributes:
        name: For the table.
        options: Of `jitprov worker`.
        workers: How many.
    """

    name: str
    options: tuple[str, ...] = ()
    workers: int = 1

    def parts(self, sample: Part) -> list[Part]:
        """Return the workers as parts, made after the stack's own."""
        return [
            replace(
                sample,
                name=f"worker{number}",
                argv=(*sample.argv, *self.options, "--hostname", f"w{number}@%h"),
                log_path=sample.log_path.with_name(f"worker{number}.log"),
            )
            for number in range(self.workers)
        ]


def scaled_patience(scale: float) -> dict[str, Any]:
    """Return settings under which a dead worker is missed as fast as the API's time passes."""
    usual = Settings.model_fields
    least = {
        "lease_s": 5.0,
        "connect_timeout_s": 0.5,
        "read_timeout_s": 2.0,
        "message_grace_s": 1.0,
        "reconcile_every_s": 0.5,
    }
    return {name: max(bound, float(usual[name].default) / scale) for name, bound in least.items()}


def measure(crew: Crew, agents: int = 200, *, cap_s: float = 120.0) -> dict[str, Any]:
    """Return processor time per agent and agents a second.

    The workers' own start and first agents are not counted.
    """
    world = World(1.0, line_id=True)
    with Arena(world, api_limit_per_min=NO_LIMIT_PER_MIN, station_first_look_s=0.0) as arena:
        arena.control.patch_options(limit_per_min=NO_LIMIT_PER_MIN, assignment_lag_s=[0.0, 0.0])
        parts = crew.parts(arena.parts["worker"])
        arena.start(arena.parts["receiver"], arena.parts["reconciler"], *parts)
        arena.open_corridor()
        ledger = make_ledger(arena.settings)
        _sign_in(arena, ledger, _WARM, _WARM, cap_s)
        before_s, began_s = arena.processor_s(parts), arena.now_s()
        capped = _sign_in(arena, ledger, agents, agents + _WARM, cap_s)
        used_s, took_s = arena.processor_s(parts) - before_s, arena.now_s() - began_s
        ledger.close()
    return {
        "crew": crew.name,
        "cpu_ms_per_agent": round(used_s / agents * 1000, 2),
        "agents_per_s": round(agents / took_s, 1),
        "capped": capped,
    }


def measure_beside_bare(agents: int) -> dict[str, Any]:
    """Return processor time per agent through a real worker, Celery's part included, for the table."""
    found = measure(Crew("one worker"), agents)
    return {"worker_cpu_ms_per_agent": found["cpu_ms_per_agent"], "worker_agents_per_s": found["agents_per_s"]}


def _sign_in(arena: Arena, ledger: RedisLedger, agents: int, in_all: int, cap_s: float) -> bool:
    arena.control.sign_in(count=agents, departments=list(DEPARTMENTS))
    return wait_for(lambda: ledger.count()[State.READY] >= in_all, cap_s=cap_s)
