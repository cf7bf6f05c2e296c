"""Threads or processes: `python -m benchmarks.pools`. What each of Celery's pools costs, and what blows do to it.

The table of decision 0018 comes from here. Each trial is a small stampede with one blow in the middle.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table

from benchmarks.arena import DEPARTMENTS, Arena, World, wait_for
from benchmarks.crew import Crew, measure, scaled_patience
from benchmarks.judge import Start, score
from jitprov.domain.provisioning import State
from jitprov.wiring import make_ledger

_SCALE = 8.0
_OUT = Console(width=150)

CREWS = (
    Crew("prefork, 8 processes"),
    Crew("threads, 8", ("--pool", "threads")),
    Crew("solo, 4 workers", ("--pool", "solo"), workers=4),
)


def _pids(arena: Arena, prefix: str) -> list[int]:
    return [each.pid for each in arena.supervisor.status() if each.name.startswith(prefix) and each.pid]


def _strike(prefix: str, number: signal.Signals) -> Callable[[Arena], float]:
    def blow(arena: Arena) -> float:
        pids, began_s = _pids(arena, prefix), time.monotonic()
        for pid in pids:
            os.kill(pid, number)
        wait_for(lambda: not set(pids) & set(_pids(arena, prefix)), cap_s=60)
        return time.monotonic() - began_s

    return blow


BLOWS: Mapping[str, Callable[[Arena], float]] = {
    "SIGKILL of the workers": _strike("worker", signal.SIGKILL),
    "SIGTERM of the workers": _strike("worker", signal.SIGTERM),
    "SIGKILL of Redis": _strike("redis", signal.SIGKILL),
}


def trial(crew: Crew, blow: Callable[[Arena], float], agents: int, *, cap_s: float = 150.0) -> tuple[str, ...]:
    """Return what a blow at a third of the way did: ready, wrong, windows over, restarts, seconds to end, to the last.

    Times are real seconds since the blow.
    """
    world = World(_SCALE, line_id=True)
    with Arena(world, **scaled_patience(_SCALE)) as arena:
        arena.start(arena.parts["receiver"], arena.parts["reconciler"], *crew.parts(arena.parts["worker"]))
        arena.open_corridor()
        ledger = make_ledger(arena.settings)
        start = Start.now(arena.control)
        users = arena.control.sign_in(count=agents, departments=list(DEPARTMENTS))
        wait_for(lambda: ledger.count()[State.READY] >= agents / 3, cap_s=cap_s)
        struck_s = time.monotonic()
        took_s = blow(arena)
        ledger.close()
        wait_for(
            lambda: sum(1 for user in arena.control.state()["users"] if user["default_station_id"]) >= agents,
            cap_s=cap_s,
        )
        last_s = time.monotonic() - struck_s
        found = score(crew.name, arena.control, users, start, capped=False, time_scale=_SCALE)
        restarts = sum(each.restarts for each in arena.supervisor.status() if each.name.startswith("worker"))
    return (
        f"{found.ready} of {agents}",
        str(found.wrong),
        str(found.windows_over),
        str(restarts),
        f"{took_s:.1f}",
        f"{last_s:.1f}",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pools", description=__doc__)
    parser.add_argument("--agents", type=int, default=120)
    chosen = parser.parse_args()
    costs = Table("pool", "processor ms per agent", "agents a second", box=None, header_style="bold")
    for crew in CREWS:
        found = measure(crew, chosen.agents)
        costs.add_row(crew.name, f"{found['cpu_ms_per_agent']}", f"{found['agents_per_s']}")
        _OUT.print(found)
    _OUT.print(costs)
    blows = Table(
        "blow", "pool", "ready", "wrong", "windows over", "restarts", "until it ended, s", "until the last, s", box=None
    )
    for name, blow in BLOWS.items():
        for crew in CREWS:
            row = (name, crew.name, *trial(crew, blow, chosen.agents))
            _OUT.print(*row, sep="; ")
            blows.add_row(*row)
    _OUT.print(blows)


if __name__ == "__main__":
    main()
