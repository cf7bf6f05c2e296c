"""jitprov in its variants, and what people write instead, each as fairly as can be.

Every function takes a world and a number of agents and returns the judge's score.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.arena import DEPARTMENTS, Arena, World, ids_of, wait_for
from benchmarks.crew import Crew, scaled_patience
from benchmarks.guides import Guide, Refused
from benchmarks.judge import Score, Start, score
from jitprov.domain.provisioning import State
from jitprov.wiring import make_ledger

_HERE = Path(__file__).parent
# Above the sandbox' longest lag between the 202 of a default station and its effect, in API seconds.
ASSIGNED_WITHIN_S = 1.0


def jitprov(world: World, agents: int, *, workers: int = 1, restless: bool = False, cap_s: float = 600.0) -> Score:
    """The whole corridor: events by webhook, receiver, reconciler, any number of workers on one budget.

    Args:
        world: The sandbox.
        agents: Who sign in at once.
        workers: How many there are from the start.
        restless: A further worker comes when a third is ready; the first is killed when two thirds are.
        cap_s: Longest real time.
    """
    crew = Crew("crew", workers=workers + restless).parts
    # A killed worker's leases and messages are missed in real time; it must pass as fast as the API's.
    patience = scaled_patience(world.time_scale) if restless else {}
    name = f"jitprov, {'line id' if world.line_id else 'look-up'}, {workers} worker{'s' * (workers > 1)}"
    with Arena(world, **patience) as arena:
        parts = crew(arena.parts["worker"])
        arena.start(arena.parts["receiver"], arena.parts["reconciler"], *parts[:workers])
        arena.open_corridor()
        ledger = make_ledger(arena.settings)
        start = Start.now(arena.control)
        users = arena.control.sign_in(count=agents, departments=list(DEPARTMENTS))

        def ended(share: float = 1.0) -> bool:
            counts = ledger.count()
            return sum(counts[state] for state in State if state.ended) >= agents * share

        if restless:
            name += ", one added, one killed"
            wait_for(lambda: ended(1 / 3), cap_s=cap_s)
            arena.start(parts[-1])
            wait_for(lambda: ended(2 / 3), cap_s=cap_s)
            arena.kill(parts[0])
        capped = wait_for(ended, cap_s=cap_s)
        ledger.close()
        # The API answers 202 and sets the default station a moment later: the state is judged when it has.
        ended_s = arena.now_s()
        wait_for(lambda: arena.now_s() > ended_s + ASSIGNED_WITHIN_S, cap_s=5)
        return score(name, arena.control, users, start, capped=capped, time_scale=world.time_scale)


def _guided(
    name: str, world: World, agents: int, *, slots: int, deliveries: int, make: Callable[[Arena], Guide], cap_s: float
) -> Score:
    with Arena(world) as arena:
        users = arena.sign_in_silently(agents)
        start = Start.now(arena.control)
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
        return score(name, arena.control, users, start, capped=capped, time_scale=world.time_scale)


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
            "BENCH_TOKEN": Guide.naive(arena).token(),
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
        start = Start.now(arena.control)
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
        return score(name, arena.control, users, start, capped=capped, time_scale=world.time_scale)
