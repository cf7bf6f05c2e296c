"""From an outcome to Celery's verb, and from the message to the runner."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import Task
from celery.exceptions import Ignore, Reject

from builders import a_failure
from jitprov.domain.agent import Priority
from jitprov.domain.ids import parse_task_id
from jitprov.domain.outcomes import Done, Fail, Outcome, Retry, Skip, Snooze
from jitprov.domain.provisioning import CORRIDOR, ENTRANCE, EVERY_STEP, Step
from jitprov.pipeline.chain import signatures
from jitprov.pipeline.names import QUEUES, task_name
from jitprov.pipeline.tasks import COUNTDOWN_MAX_S, ProvisioningFailed, StepWaits, act
from jitprov.valve import ValvedConsumer

PROVISIONING_ID = "0b9a1c7e-3f52-4d68-9a01-5c7e3f520000"


class Retried(Exception):  # noqa: N818  not an error
    """What the stub's `retry` gives to be raised."""


class StubTask:
    """Notes what it was asked to do."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.request = SimpleNamespace(id="1ab2c3d4-0000-4000-8000-000000000013", chain=None)

    def retry(self, **asked: Any) -> Retried:
        self.asked.append(asked)
        return Retried()


@pytest.fixture
def task() -> StubTask:
    return StubTask()


def acted(task: StubTask, outcome: Outcome) -> None:
    act(cast("Task", task), outcome)


@pytest.mark.parametrize("outcome", [Done(), Skip("done", chain_goes_on=True)])
def test_what_is_done_lets_the_chain_go_on(task: StubTask, outcome: Outcome) -> None:
    """A done step, now or before, returns, so that Celery sends the next message."""
    acted(task, outcome)

    assert task.asked == []


@pytest.mark.parametrize(("priority", "number"), [(None, None), ("high", None), ("normal", 6), ("low", 9)])
def test_an_agent_waits_for_its_turn_by_its_priority(
    task: StubTask, priority: Priority | None, number: int | None
) -> None:
    """The next message alone gets kombu's number, and none where it is as urgent as a message without."""
    last, following = ({"task": name, "options": {"queue": name}} for name in ("last", "following"))
    task.request.chain = [last, following]  # as Celery holds it: the last step first

    acted(task, Done(priority))

    assert following["options"] == {"queue": "following"} | ({"priority": number} if number else {})
    assert last["options"] == {"queue": "last"}


@pytest.mark.parametrize("reason", ["ended", "stale", "early", "leased", "unknown"])
def test_what_has_no_business_is_ignored(task: StubTask, reason: str) -> None:
    """A message without business ends its chain without success and without failure."""
    with pytest.raises(Ignore, match=reason):
        acted(task, Skip(reason))


@pytest.mark.parametrize("kind", [Snooze, Retry])
def test_a_wait_is_a_retry_in_celery(task: StubTask, kind: type[Snooze | Retry]) -> None:
    """A wait keeps the message for its time, and Flower shows why it waits."""
    with pytest.raises(Retried):
        acted(task, kind(7.5, a_failure()))

    (asked,) = task.asked
    assert asked["countdown"] == 7.5
    assert asked["priority"] == 0  # whatever it had: else it would come behind all who are not begun
    assert isinstance(asked["exc"], StepWaits)
    assert str(asked["exc"]) == "unavailable: The API answered 503."


def test_who_keeps_its_place_gives_its_message_back(task: StubTask) -> None:
    """What held up everybody was waited for already: the message is put back, and no timer is set."""
    with pytest.raises(Reject) as caught:
        acted(task, Snooze(0.0, a_failure(), keeps_its_place=True))

    assert caught.value.requeue
    assert task.asked == []


@pytest.mark.parametrize("kind", [Snooze, Retry])
def test_a_long_wait_lives_in_the_ledger(task: StubTask, kind: type[Snooze | Retry]) -> None:
    """A wait near the broker's visibility timeout gives the message up: the reconciler sends it when it is due."""
    with pytest.raises(Retried):
        acted(task, kind(COUNTDOWN_MAX_S, a_failure()))
    with pytest.raises(Ignore):
        acted(task, kind(COUNTDOWN_MAX_S + 0.1, a_failure()))

    assert len(task.asked) == 1


def test_a_failure_is_a_failure_in_flower(task: StubTask) -> None:
    """A failed step raises one line with code, cause, correlation id, and the remedy with its own id to copy."""
    failure = a_failure(remedy="Mend it, then: jitprov retry ID")
    with pytest.raises(ProvisioningFailed) as caught:
        acted(task, Fail(failure))

    assert str(caught.value) == str(failure).replace("retry ID", f"retry {task.request.id}")
    assert task.request.id in str(caught.value)


def test_every_step_is_a_task_of_its_own_queue() -> None:
    """Each step's task is registered under its name, counts no attempts itself, and has a queue of that name."""
    from jitprov.celery import app  # noqa: PLC0415  after `tasks` has registered them

    for step in EVERY_STEP:
        registered = app.tasks[task_name(step)]
        assert registered.max_retries is None
    assert set(QUEUES) == {task_name(step) for step in EVERY_STEP}
    assert QUEUES[0] == task_name(EVERY_STEP[-1])


def test_the_steps_that_call_the_api_have_a_valve() -> None:
    """Celery's rate limit stands on each step that spends the budget for each agent, and on no other."""
    from jitprov.celery import app  # noqa: PLC0415  after `tasks` has registered them

    limits = {step: app.tasks[task_name(step)].rate_limit for step in CORRIDOR}

    assert limits == {
        Step.FETCH_PROFILE: None,
        Step.RESOLVE_SKILLS: None,
        Step.PATCH_SKILLS: "300/m",
        Step.CREATE_PHONE: "300/m",
        Step.ASSIGN_STATION: "300/m",
    }
    assert app.conf.worker_consumer == f"{ValvedConsumer.__module__}:{ValvedConsumer.__qualname__}"


@pytest.mark.parametrize("first", CORRIDOR)
def test_a_chain_carries_the_id_and_nothing_else(first: Step) -> None:
    """From any step on, a message holds one provisioning id, takes no result, and has the id that the ledger knows."""
    made = signatures(PROVISIONING_ID, generation=3, first=first)

    assert not any("priority" in signature.options for signature in made)

    assert [signature.task for signature in made] == [task_name(step) for step in CORRIDOR[first.number - 1 :]]
    for signature, step in zip(made, CORRIDOR[first.number - 1 :], strict=True):
        assert tuple(signature.args) == (PROVISIONING_ID,)
        assert signature.kwargs == {}
        assert signature.immutable
        assert signature.options["queue"] == task_name(step)
        meant = parse_task_id(signature.options["task_id"])
        assert meant is not None
        assert (meant.provisioning_id, meant.generation, meant.step_number) == (PROVISIONING_ID, 3, step.number)


@pytest.mark.parametrize(("priority", "numbers"), [("high", []), ("normal", [6]), ("low", [9]), (None, [])])
def test_a_chain_sent_anew_waits_for_its_turn(priority: Priority | None, numbers: list[int]) -> None:
    """Where a chain begins at the entrance, its first message has the number of its priority, and no other has one."""
    made = signatures(PROVISIONING_ID, first=ENTRANCE, priority=priority)

    assert [signature.options["priority"] for signature in made if "priority" in signature.options] == numbers
    assert "priority" not in made[-1].options


def test_a_chain_holds_the_steps_that_joined_on_demand() -> None:
    """Sent again from any step, the chain goes on to what joined; from a step that joined, it begins there."""
    asked = [
        [signature.task for signature in signatures(PROVISIONING_ID, first=first, steps=EVERY_STEP)]
        for first in (Step.ASSIGN_STATION, Step.GRANT_ACCESS)
    ]

    assert asked == [
        [task_name(step) for step in (Step.ASSIGN_STATION, Step.SET_UTILIZATION, Step.GRANT_ACCESS, Step.TAKE_AWAY)],
        [task_name(Step.GRANT_ACCESS), task_name(Step.TAKE_AWAY)],
    ]
