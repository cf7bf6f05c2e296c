"""Named gates that hold requests at a phase until a test lets them go on.

Holds nothing of the state: a held request has either not been applied yet or has been.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jitprov.sandbox.answers import Json
from jitprov.sandbox.faults import Match, RuleError, Subject

_PHASES = ("before_apply", "after_apply")


@dataclass(slots=True)
class Barrier:
    """One gate."""

    name: str
    match: Match
    phase: str
    times: int | None
    held: int = 0
    waiting: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class Barriers:
    """The gates that stand."""

    def __init__(self) -> None:
        """Begin without gates."""
        self._by_name: dict[str, Barrier] = {}

    def __bool__(self) -> bool:
        """Whether any gate stands."""
        return bool(self._by_name)

    def put(self, name: str, given: Mapping[str, Any]) -> None:
        """Set up a gate; one of the same name is opened first.

        Raises:
            RuleError: It cannot be understood.
        """
        unknown = sorted(given.keys() - {"match", "phase", "times"})
        phase = given.get("phase", "before_apply")
        if unknown or phase not in _PHASES:
            message = f"barrier {name}: unknown {', '.join(unknown) or phase}"
            raise RuleError(message)
        match = Match.from_json(given.get("match", {}), random.Random(name))  # noqa: S311  repeatable on purpose
        self.release(name)
        self._by_name[name] = Barrier(name, match, phase, given.get("times"))

    def release(self, name: str) -> int:
        """Take a gate away and let its requests go on; returns how many were waiting."""
        barrier = self._by_name.pop(name, None)
        if barrier is None:
            return 0
        barrier.opened.set()
        return barrier.waiting

    def release_all(self) -> None:
        """Take all gates away."""
        for name in list(self._by_name):
            self.release(name)

    def at(self, phase: str, subject: Subject) -> Barrier | None:
        """Return the gate that holds this request at this phase."""
        for barrier in self._by_name.values():
            if barrier.phase != phase or (barrier.times is not None and barrier.held >= barrier.times):
                continue
            if barrier.match.strikes(subject):
                barrier.held += 1
                return barrier
        return None

    async def hold(self, barrier: Barrier) -> None:
        """Wait until the gate is taken away."""
        barrier.waiting += 1
        try:
            await barrier.opened.wait()
        finally:
            barrier.waiting -= 1

    def to_json(self) -> list[Json]:
        """Return the gates, how many requests each holds now and has ever held."""
        return [
            {"name": each.name, "phase": each.phase, "waiting": each.waiting, "held": each.held}
            for each in self._by_name.values()
        ]
