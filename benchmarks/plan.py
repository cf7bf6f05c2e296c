"""Which runs the benchmark consists of, for how many agents, how long at most. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import contenders
from benchmarks.arena import World
from benchmarks.judge import Score

AGENTS = 2000
QUICK_AGENTS = 200
TIME_SCALE = 8.0
# Celery's timers tick in real time: at a large scale the rate that the chains are given would be one that they are
# never given in reality, and one at which Celery's rate_limit breaks down.
PLAIN_SCALE = 1.5
# What takes hours is shown with as many agents as show its pace.
_FEW = 200
_FEWER = 100


@dataclass(frozen=True, slots=True)
class Run:
    """One contender's turn.

    Attributes:
        name: Of its file, and in `--only`.
        ours: Whether it is jitprov.
        quick: Whether it belongs to the quick form.
        make: Runs it and returns its score.
    """

    name: str
    ours: bool
    quick: bool
    make: Callable[[], Score]


def plan(agents: int, scale: float) -> list[Run]:
    """Return the runs in the order in which they are made.

    Args:
        agents: Who sign in; some runs take fewer.
        scale: API seconds per real second.
    """
    line, look, plain = World(scale, line_id=True), World(scale), World(min(scale, PLAIN_SCALE))
    some, few, fewer = min(agents, 400), min(agents, _FEW), min(agents, _FEWER)
    return [
        Run("line_id_1", ours=True, quick=True, make=lambda: contenders.jitprov(line, agents)),
        Run("lookup_1", ours=True, quick=True, make=lambda: contenders.jitprov(look, agents)),
        Run("line_id_4", ours=True, quick=True, make=lambda: contenders.jitprov(line, agents, workers=4)),
        Run("line_id_2", ours=True, quick=False, make=lambda: contenders.jitprov(line, some, workers=2)),
        Run("restless", ours=True, quick=False, make=lambda: contenders.jitprov(line, some, restless=True)),
        Run("naive", ours=False, quick=True, make=lambda: contenders.naive(look, agents, cap_s=60)),
        Run("queued", ours=False, quick=False, make=lambda: contenders.queued(look, few, cap_s=75)),
        Run("plain_1", ours=False, quick=False, make=lambda: contenders.plain_celery(plain, fewer, cap_s=90)),
        Run(
            "plain_2", ours=False, quick=False, make=lambda: contenders.plain_celery(plain, fewer, workers=2, cap_s=90)
        ),
        Run(
            "plain_4", ours=False, quick=False, make=lambda: contenders.plain_celery(plain, fewer, workers=4, cap_s=90)
        ),
        Run("terraform", ours=False, quick=False, make=lambda: contenders.terraform(look, fewer, cap_s=90)),
    ]
