"""Every order in which two workers can go through one step, call by call: searched to the end, not sampled.

From one world, two workers hold the same message, or those of two agents. At each point each may go on, or meet a fault
or its death, a lease may run out, and the reconciler may look. What is the same world is searched once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import pytest

from jitprov.domain.provisioning import State, Step
from simulation.world import World

Move = tuple[str, int, str]
# To die before a call is to die after the one before it.
STRUCK = ("die after", "lose the answer")


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@cache
def walked_to(step: Step) -> World:
    """A world whose one agent has come to a step without any trouble; to be copied from."""
    world = World(station_source="line_id")
    world.finish(world.deliver(world.new_agent()))
    while world.records()[0].step is not step:
        world.finish(world.take(world.due()[0]))
    return world


def two_workers_at(step: Step) -> World:
    """Two workers with the same message, both before their first call."""
    world = World(station_source="line_id")
    world.new_agent()
    world.stand_where(walked_to(step))
    message = world.due()[0]
    world.take_a_copy(message)
    world.take(message)
    return world


def two_events_of_one_agent() -> World:
    """The receiver twice with an event each of the same agent, before its first call."""
    world = World(station_source="line_id")
    user_id = world.new_agent()
    world.deliver(user_id)
    world.deliver(user_id)
    return world


@dataclass
class Search:
    """A search through all orders.

    Attributes:
        begin: Makes the world that it begins with; the same each time.
        faults: How many calls may be struck in one order.
        sleeps: How often a lease may run out in one order.
    """

    begin: Callable[[], World]
    faults: int
    sleeps: int
    orders: int = 0
    seen: set[int] = field(default_factory=set)

    def run(self) -> None:
        """Search; a failing order is told as the list of its moves."""
        stack: list[tuple[Move, ...]] = [()]
        while stack:
            moves = stack.pop()
            world = self._replay(moves)
            mark = hash((world.fingerprint(), self._left(moves)))
            if mark in self.seen:
                continue
            self.seen.add(mark)
            following = list(self._moves(world, moves))
            if not following:
                self.orders += 1
                self._check_end(world, moves)
            stack.extend((*moves, move) for move in following)
            for process in list(world.processes):
                process.kill()

    def _left(self, moves: tuple[Move, ...]) -> tuple[int, int]:
        struck = sum(bool(fault) for _, _, fault in moves)
        return self.faults - struck, self.sleeps - sum(kind == "sleep" for kind, _, _ in moves)

    def _moves(self, world: World, moves: tuple[Move, ...]) -> Iterator[Move]:
        faults, sleeps = self._left(moves)
        for number, process in enumerate(world.processes):
            yield ("go", number, "")
            if faults and not process.at.startswith("wait"):
                yield from (("go", number, fault) for fault in STRUCK)
        if sleeps and world.processes:
            yield ("sleep", 0, "")

    def _replay(self, moves: tuple[Move, ...]) -> World:
        world = self.begin()
        for kind, number, fault in moves:
            if kind == "sleep":
                world.clock.advance(61)
            else:
                world.let_on(world.processes[number], fault)
            phones = [len(agent.phones) for agent in world.organization.agents.values()]
            assert max(phones) <= 1, moves
        return world

    @staticmethod
    def _check_end(world: World, moves: tuple[Move, ...]) -> None:
        for user_id in world.organization.agents:
            world.finish(world.deliver(user_id))  # what was not answered is sent again
        world.settle(within_s=3_000)
        [record] = world.records()
        [agent] = world.organization.agents.values()
        assert (record.state, len(agent.phones)) == (State.READY, 1), moves


def test_two_workers_make_one_phone() -> None:
    """In whatever order two workers go through create_phone, struck anywhere, a lease lost anywhere: one phone."""
    search = Search(lambda: two_workers_at(Step.CREATE_PHONE), faults=1, sleeps=1)
    search.run()

    assert search.orders > 100


def test_two_events_of_one_agent_make_one_provisioning() -> None:
    """In whatever order two receivers write and publish two events of one agent, struck anywhere: one and ready."""
    search = Search(two_events_of_one_agent, faults=2, sleeps=0)
    search.run()

    assert search.orders >= 10
