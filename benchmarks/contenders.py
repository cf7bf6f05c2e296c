"""jitprov in its variants, and what people write instead, each as fairly as can be.

Every function takes a world and a number of agents and returns the judge's score.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.arena import Arena, World, ids_of, wait_for
from benchmarks.guides import Guide, Refused
from benchmarks.judge import Score, score
from jitprov.domain.provisioning import State
from jitprov.wiring import make_ledger

_HERE = Path(__file__).parent
# Above the sandbox' longest lag between the 202 of a default station and its effect, in API seconds.
ASSIGNED_WITHIN_S = 1.0


def jitprov(world: World, agents: int, *, workers: int = 1, cap_s: float = 600.0) -> Score:
    """The whole corridor: events by webhook, receiver, reconciler, any number of workers on one budget."""
    name = f"jitprov, {'line id' if world.line_id else 'look-up'}, {workers} worker{'s' * (workers > 1)}"
    with Arena(world) as arena:
        worker = arena.parts["worker"]
        crew = [
            replace(
                worker,
                name=f"worker{number}",
                argv=(*worker.argv, "--hostname", f"w{number}@%h"),
                log_path=worker.log_path.with_name(f"worker{number}.log"),
            )
            for number in range(workers)
        ]
        arena.start(arena.parts["receiver"], arena.parts["reconciler"], *crew)
        arena.open_corridor()
        ledger = make_ledger(arena.settings)
        began_s = arena.now_s()
        users = arena.control.sign_in(count=agents, departments=["Seasonal_Retail", "Seasonal_Tech_Support"])

        def done() -> bool:
            counts = ledger.count()
            return sum(counts[state] for state in State if state.ended) >= agents

        capped = wait_for(done, cap_s=cap_s)
        ledger.close()
        # The API answers 202 and sets the default station a moment later: the state is judged when it has.
        ended_s = arena.now_s()
        wait_for(lambda: arena.now_s() > ended_s + ASSIGNED_WITHIN_S, cap_s=5)
        return score(name, arena.control, users, began_s, capped=capped)


def _guided(
    name: str, world: World, agents: int, *, slots: int, deliveries: int, make: Callable[[Arena], Guide], cap_s: float
) -> Score:
    with Arena(world) as arena:
        users = arena.sign_in_silently(agents)
        began_s = arena.now_s()
        guide = make(arena)

        def provision(user_id: str) -> None:
            for _ in range(deliveries):
                if guide.stopped.is_set():
                    return
                try:
                    guide.provision(user_id)
                except Refused:
                    guide.stopped.wait(guide.redelivery_s)
                else:
                    return

        with ThreadPoolExecutor(slots) as pool:
            waiting = [pool.submit(provision, user_id) for user_id in ids_of(users)]
            capped = wait_for(lambda: all(future.done() for future in waiting), cap_s=cap_s)
            guide.stopped.set()
        return score(name, arena.control, users, began_s, capped=capped)


def naive(world: World, agents: int, *, cap_s: float = 120.0) -> Score:
    """The function of common guides, run for all agents at once: no retry, no limit."""
    return _guided(
        "naive function, full concurrency", world, agents, slots=200, deliveries=1, make=Guide.naive, cap_s=cap_s
    )


def queued(world: World, agents: int, *, cap_s: float = 120.0) -> Score:
    """The same behind a queue: five at a time, redelivered after a failure until it works."""
    return _guided("naive behind a queue of 5", world, agents, slots=5, deliveries=50, make=Guide.naive, cap_s=cap_s)


def terraform(world: World, agents: int, *, cap_s: float = 120.0) -> Score:
    """The request sequence of the Terraform provider, ten at a time, with its retries on 429."""
    return _guided(
        "Terraform provider's sequence", world, agents, slots=10, deliveries=1, make=Guide.terraform, cap_s=cap_s
    )


def plain_celery(world: World, agents: int, *, workers: int = 1, cap_s: float = 120.0) -> Score:
    """Plain Celery chains with `rate_limit` as shipped and autoretry, no ledger, no shared budget."""
    name = f"plain Celery chains, rate_limit, {workers} worker{'s' * (workers > 1)}"
    with Arena(world) as arena:
        sample = arena.parts["worker"]
        environment = {
            **(sample.env or {}),
            "BENCH_BROKER": arena.settings.redis_url.get_secret_value(),
            "BENCH_API": arena.plan.api_url,
            "BENCH_TIME_SCALE": str(world.time_scale),
            "PYTHONPATH": str(_HERE.parent),
        }
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.plain_chains"]
        crew = [
            replace(
                sample,
                name=f"plain{number}",
                argv=(*command, "worker", "--concurrency", "8", "--hostname", f"p{number}@%h", "-l", "WARNING"),
                env=environment,
                log_path=sample.log_path.with_name(f"plain{number}.log"),
            )
            for number in range(workers)
        ]
        arena.start(*crew)
        users = arena.sign_in_silently(agents)
        began_s = arena.now_s()
        sender = replace(
            sample,
            name="sender",
            argv=(sys.executable, "-m", "benchmarks.plain_chains", *ids_of(users)),
            env=environment,
            log_path=sample.log_path.with_name("sender.log"),
            ready=None,
        )
        arena.start(sender)

        def done() -> bool:
            return sum(1 for user in arena.control.state()["users"] if user["default_station_id"]) >= agents

        capped = wait_for(done, cap_s=cap_s)
        return score(name, arena.control, users, began_s, capped=capped)
