"""Promises that are counted: duplicates are free, and a retry by task id ends like a run that never failed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle

import pytest

from jitprov.domain.provisioning import CORRIDOR, State, Step
from jitprov.pipeline import operations
from simulation.world import GRACE_S, HAD, SKILLS, World

DAY_S = 86_400.0
# The call of each step at which it is struck; the second step asks nobody.
STRUCK_AT = {
    Step.FETCH_PROFILE: "api.profile_of",
    Step.PATCH_SKILLS: "api.patch_routing_skills",
    Step.CREATE_PHONE: "api.create_phone",
    Step.ASSIGN_STATION: "api.set_default_station",
}


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def a_world() -> tuple[World, str]:
    world = World(station_source="line_id")
    return world, world.new_agent()


def calls_for(times: int, *, at_once: bool, same_event: bool) -> list[str]:
    """Return the API calls that an agent costs whose event comes so many times."""
    world, user_id = a_world()
    event_id = world.next_id() if same_event else ""
    receivers = [world.deliver(user_id, event_id=event_id) for _ in range(times)]
    if not at_once:
        for receiver in receivers:
            world.finish(receiver)
    for process in cycle(list(world.processes)):
        if not world.processes:
            break
        if process.alive:
            world.let_on(process)
    world.settle(within_s=600)
    [record] = world.records()
    assert record.state is State.READY
    return world.organization.names()


@pytest.mark.parametrize("same_event", [True, False], ids=["same event", "other events"])
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one after the other"])
def test_duplicates_cost_no_call(at_once: bool, same_event: bool) -> None:
    """An event that comes five times costs exactly the API calls of one that comes once."""
    once = calls_for(1, at_once=at_once, same_event=same_event)

    assert calls_for(5, at_once=at_once, same_event=same_event) == once
    assert len(once) == 5


def test_duplicates_after_fifteen_days_cost_no_call() -> None:
    """A dead letter that comes 15 days later opens nothing; one after it was forgotten makes no second phone."""
    world, user_id = a_world()
    world.finish(world.deliver(user_id))
    world.settle(within_s=600)
    before = len(world.organization.calls)

    world.clock.advance(15 * DAY_S)
    world.ledger.forget(ended_before=world.clock.now() - timedelta(days=30))
    world.finish(world.deliver(user_id))
    world.settle(within_s=600)
    assert len(world.organization.calls) == before
    assert len(world.records()) == 1

    world.clock.advance(31 * DAY_S)
    assert world.ledger.forget(ended_before=world.clock.now() - timedelta(days=30)) == 1
    world.finish(world.deliver(user_id))
    world.settle(within_s=600)
    assert [record.state for record in world.records()] == [State.READY]
    assert len(world.organization.agents[user_id].phones) == 1
    assert len(world.organization.calls) > before


@pytest.mark.parametrize("step", STRUCK_AT)
def test_a_retry_by_any_task_id_ends_like_a_run_without_failure(step: Step) -> None:
    """Whichever step failed, and whichever of its task ids is given: the rest runs once, and all is as it should be."""
    world, user_id = a_world()
    world.finish(world.deliver(user_id))
    while world.records()[0].step is not step:
        world.finish(world.take(world.due()[0]))
    worker = world.take(world.due()[0])
    while worker.at != STRUCK_AT[step]:
        world.let_on(worker)
    world.let_on(worker, "forbid")
    if worker.alive:  # patch_skills resolves anew first, and sends again only when that changed anything
        world.finish(worker)
    [failed] = world.records()
    assert (failed.state, failed.step) == (State.FAILED, step)
    assert failed.failure is not None
    assert (failed.failure.code, bool(failed.failure.remedy)) == ("refused", True)
    assert [seen.provisioning_id for seen in world.ledger.page((State.FAILED,))] == [failed.provisioning_id]

    for task_id in (failed.task_id(CORRIDOR[-1]), failed.task_id(), "nobody's"):
        operations.retry(world.ledger, world.send, task_id, grace_s=GRACE_S)
    world.settle(within_s=600)
    [record] = world.records()
    agent = world.organization.agents[user_id]
    assert (record.state, record.generation) == (State.READY, 2)
    assert agent.skills == {**SKILLS, **HAD}
    assert [world.organization.station_of(phone) for phone in agent.phones] == [agent.default_station]
    again = [each for each in CORRIDOR if record.steps[each].generation == 2]
    assert again == list(CORRIDOR[step.number - 1 :])
    assert {record.steps[each].attempts for each in CORRIDOR} == {1}
