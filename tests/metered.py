"""Meters of both kinds on a clock that the test moves, and what a judge counts of the slots they give."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from fakeredis import FakeRedis
from fakeredis.commands_mixins import server_mixin

from fixed_clock import FixedClock
from jitprov.budget import Budget, Permit
from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.budget.redis import RedisBudget


@dataclass
class Workshop:
    """Meters over one store and one clock; several of one workshop are one meter, as for several workers.

    Attributes:
        clock: Real time, the store's.
        skews: Each worker's own steady count is off by so much; a meter must not care.
    """

    clock: FixedClock
    rate: BudgetRate
    lanes: int
    client: FakeRedis | None = None
    workers: list[Budget] = field(default_factory=list)

    def worker(self, skew_s: float = 0.0) -> Budget:
        """Return a worker's meter."""
        if self.client is None:
            if not self.workers:
                made: Budget = MemoryBudget(self.rate, self.clock.wall_s, lanes=self.lanes, failures_max=3)
                self.workers.append(made)
            return self.workers[0]
        made = RedisBudget(
            self.client,
            "test:",
            owner="client",
            rate=self.rate,
            lanes=self.lanes,
            failures_max=3,
            monotonic_s=lambda: self.clock.monotonic_s() + skew_s,
        )
        self.workers.append(made)
        return made

    def now_us(self) -> int:
        """Return the store's time."""
        return int(self.clock.wall_s() * 1e6)

    def holds(self, permit: Permit) -> bool:
        """Tell whether a permit's slot stands in its meter."""
        if self.client is None:
            return cast("MemoryBudget", self.workers[0])._lanes[permit.lane].holds(permit.number)
        meter = cast("RedisBudget", self.workers[0])
        return self.client.zscore(meter._lanes[permit.lane][1], str(permit.number)) is not None

    def lose(self) -> None:
        """Lose all that the store holds; what workers know of it they keep."""
        if self.client is not None:
            self.client.flushall()


@contextmanager
def workshop(kind: str, rate: BudgetRate, lanes: int = 1) -> Iterator[Workshop]:
    """Open a workshop: `memory`, or `redis`: the scripts on a stand-in whose TIME the test moves."""
    clock = FixedClock()
    if kind == "memory":
        yield Workshop(clock, rate, lanes)
        return
    with pytest.MonkeyPatch.context() as patch, FakeRedis(decode_responses=True) as client:
        place = Workshop(clock, rate, lanes, client)
        patch.setattr(server_mixin, "time", SimpleNamespace(time=lambda: place.now_us() / 1e6))
        yield place


@dataclass
class Judge:
    """Counts the slots of one lane that may be used; fails when a window holds too many as its last one is given."""

    rate: BudgetRate
    slots: list[int] = field(default_factory=list)

    def given(self, slot_us: int, limit: int) -> None:
        """Note a slot that was given while `limit` was in force."""
        insort(self.slots, slot_us)
        span = self.rate.keep_us
        first = bisect_left(self.slots, slot_us - span)
        for index in range(first, bisect_right(self.slots, slot_us)):
            end = bisect_right(self.slots, self.slots[index] + span)
            assert end - index <= limit, f"{end - index} slots within {span} us, {limit} allowed"

    def taken_back(self, slot_us: int) -> None:
        """Forget a slot that was given up."""
        self.slots.remove(slot_us)


def slot_of(permit: Any) -> Permit:
    """Return the permit; fail on a refusal."""
    assert isinstance(permit, Permit), permit
    return permit


def new_name() -> str:
    """Return a name that no other test has."""
    return uuid4().hex
