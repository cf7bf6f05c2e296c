"""All that lives from one reset to the next, in one place, so that a reset is a new session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from jitprov.sandbox.barriers import Barriers
from jitprov.sandbox.clock import SandboxClock
from jitprov.sandbox.faults import FaultBook
from jitprov.sandbox.journal import Journal
from jitprov.sandbox.oauth import LoginDesk
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.oracle import Oracle
from jitprov.sandbox.world import World


@dataclass(slots=True)
class Session:
    """One run of the stand-in organization."""

    clock: SandboxClock
    world: World
    desk: LoginDesk
    oracle: Oracle
    journal: Journal
    faults: FaultBook
    barriers: Barriers

    @classmethod
    def begin(cls, options: SandboxOptions, seed: int) -> Self:
        """Build everything anew; the clock starts at 0."""
        clock = SandboxClock(options.time_scale)
        world = World(options, clock, seed)
        return cls(
            clock=clock,
            world=world,
            desk=LoginDesk(world.ids),
            oracle=Oracle(),
            journal=Journal(options.journal_entries_max),
            faults=FaultBook(seed),
            barriers=Barriers(),
        )
