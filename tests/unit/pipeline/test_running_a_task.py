"""From a message to the runner and back; and what a worker does when it starts and stops. Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Self

import pytest
from celery import signals
from celery.exceptions import Ignore
from kombu.exceptions import OperationalError

from builders import a_provisioning
from fixed_clock import FixedClock
from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.cache.memory import MemoryCache
from jitprov.celery import app
from jitprov.domain.ids import task_id_of
from jitprov.domain.outcomes import Done, Outcome
from jitprov.domain.provisioning import CORRIDOR, ON_DEMAND, Step
from jitprov.errors import ConfigurationError, DependencyDown
from jitprov.ledger.memory import MemoryLedger
from jitprov.pipeline import chain, tasks
from jitprov.pipeline.names import QUEUES, task_name
from jitprov.settings import read_settings
from jitprov.wiring import assemble

PROVISIONING_ID = "0b9a1c7e-3f52-4d68-9a01-5c7e3f520000"
STEP = Step.PATCH_SKILLS


class Retried(Exception):  # noqa: N818  not an error
    """What the task's `retry` gives to be raised."""


class StubRunner:
    """Notes what it was asked to run, and answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Step, int]] = []
        self.tokens: set[str] = set()
        self.answer: Outcome | Exception = Done()

    def run(self, provisioning_id: str, step: Step, generation: int, *, token: str) -> Outcome:
        self.asked.append((provisioning_id, step, generation))
        self.tokens.add(token)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> StubRunner:
    made = StubRunner()
    monkeypatch.setattr(tasks, "_runner", lambda: made)
    return made


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks, "enqueue", lambda provisioning_id, **how: made.append(how))
    return made


@contextmanager
def delivered(task_id: str, following: list[Any] | None = None) -> Iterator[Any]:
    task = app.tasks[task_name(STEP)]
    task.push_request(id=task_id, chain=following, hostname="worker@here")
    try:
        yield task
    finally:
        task.pop_request()


@pytest.mark.parametrize("task_id", ["celery-s-own", task_id_of("1b9a1c7e-3f52-4d68-9a01-5c7e3f520000", 1, 3)])
def test_a_strange_message_is_ignored(runner: StubRunner, task_id: str) -> None:
    """An id that is none of ours, or another provisioning's, runs nothing."""
    with delivered(task_id) as task, pytest.raises(Ignore, match="jitprov"):
        task.run(PROVISIONING_ID)

    assert runner.asked == []


def test_a_message_runs_its_step_of_its_run(runner: StubRunner) -> None:
    """Step and generation are the message's; each delivery has a token of its own."""
    for _ in range(2):
        with delivered(task_id_of(PROVISIONING_ID, 2, STEP.number)) as task:
            task.run(PROVISIONING_ID)

    assert runner.asked == [(PROVISIONING_ID, STEP, 2)] * 2
    assert len(runner.tokens) == 2


@pytest.mark.parametrize("error", [DependencyDown("away"), ConfigurationError("another key")])
def test_a_step_that_cannot_be_run_comes_again(
    runner: StubRunner, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Without a ledger nothing is decided: the message comes again, and Flower says why."""
    runner.answer = error
    asked: list[dict[str, Any]] = []

    def retry(**how: Any) -> Retried:
        asked.append(how)
        return Retried()

    with delivered(task_id_of(PROVISIONING_ID, 1, STEP.number)) as task:
        monkeypatch.setattr(task, "retry", retry)
        with pytest.raises(Retried):
            task.run(PROVISIONING_ID)

    assert (asked[0]["countdown"], str(asked[0]["exc"])) == (5.0, str(error))


@pytest.mark.parametrize(("following", "count"), [(None, 1), ([{"task": "next"}], 0)])
def test_steps_that_joined_are_sent_by_whoever_let_them_join(
    runner: StubRunner, sent: list[dict[str, Any]], following: list[Any] | None, count: int
) -> None:
    """The chain was sent before they were known; where it goes on, its last step sends them."""
    runner.answer = Done(joined=tuple(ON_DEMAND))
    with delivered(task_id_of(PROVISIONING_ID, 3, STEP.number), following) as task:
        task.run(PROVISIONING_ID)

    assert sent == [{"generation": 3, "first": ON_DEMAND[0], "steps": list(ON_DEMAND)}] * count


def test_joined_steps_that_cannot_be_sent_fail_nothing(
    runner: StubRunner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The step is done all the same: the reconciler sends them, and the log says so."""

    def away(*_: Any, **__: Any) -> None:
        raise DependencyDown("away")

    monkeypatch.setattr(tasks, "enqueue", away)
    runner.answer = Done(joined=tuple(ON_DEMAND))
    with delivered(task_id_of(PROVISIONING_ID, 1, STEP.number)) as task:
        task.run(PROVISIONING_ID)

    assert [record.getMessage() for record in caplog.records] == ["publish_failed"]


def test_a_worker_that_could_do_nothing_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is missing, and takes no message; one that is set up goes on."""

    def incomplete(_: Any) -> None:
        raise ConfigurationError("no key for personal data")

    monkeypatch.setattr(tasks, "make_services", lambda _: None)
    monkeypatch.setattr(tasks, "match_data_key", lambda _: None)
    tasks._refuse_to_start_in_vain()
    monkeypatch.setattr(tasks, "make_services", incomplete)
    with pytest.raises(SystemExit):
        tasks._refuse_to_start_in_vain()

    assert capsys.readouterr().err == "worker: no key for personal data\n"


def test_a_worker_told_to_stop_tells_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sign is made before the pool forks, and given when the worker shuts down; spans are sent at a child's end."""
    done: list[str] = []
    sign = SimpleNamespace(call=lambda: done.append("called"))
    monkeypatch.setattr(tasks, "stop_sign", lambda: done.append("made") or sign)
    monkeypatch.setattr(tasks, "stop_tracing", lambda: done.append("spans sent"))

    tasks._prepare_to_stop()
    signals.worker_shutting_down.send(sender=None)
    tasks._send_last_spans()

    assert done == ["made", "made", "called", "spans sent"]


def test_the_runner_works_over_the_process_services(clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience, lease and grace are the settings'; the key is matched before anything begins."""
    settings = read_settings(_env_file=None, client_id="client", client_secret="secret", data_key="d" * 40)
    ledger = MemoryLedger(clock.now)
    budget = MemoryBudget(BudgetRate.of(300, headroom=0.02), clock.monotonic_s)
    kept = assemble(settings, ledger=ledger, budget=budget, cache=MemoryCache(clock.monotonic_s))
    matched: list[bool] = []
    monkeypatch.setattr(ledger, "match_key", lambda: matched.append(True), raising=False)
    monkeypatch.setattr(tasks, "services", lambda: kept)
    monkeypatch.setattr(tasks, "settings", lambda: settings)
    monkeypatch.setattr(tasks, "start_tracing", lambda *_: None)

    made = tasks._runner.__wrapped__()

    assert matched
    assert (made.ledger, made.lease_s, made.grace_s) == (ledger, settings.lease_s, settings.message_grace_s)
    assert made.policy.attempts_max == settings.attempts_max
    made.kit.hold()


class Chain:
    """Stands where Celery's chain stands."""

    sent: list[list[Any]]
    error: Exception | None

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)

    def apply_async(self) -> None:
        if Chain.error:
            raise Chain.error
        Chain.sent.append(self.steps)


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> type[Chain]:
    Chain.sent, Chain.error = [], None
    monkeypatch.setattr(chain, "chain", Chain)
    return Chain


def test_a_chain_is_sent_from_where_the_record_stands(chains: type[Chain]) -> None:
    """With the task ids of its run, so that a message sent twice is the same message."""
    record = a_provisioning(step=Step.CREATE_PHONE, generation=2)

    chain.enqueue_again(record)

    (steps,) = chains.sent
    assert [step.options["task_id"] for step in steps] == [
        task_id_of(record.provisioning_id, 2, step.number)
        for step in CORRIDOR
        if step.number >= Step.CREATE_PHONE.number
    ]


@pytest.mark.parametrize("error", [OperationalError("away"), ConnectionResetError()])
def test_a_broker_that_does_not_take_it_is_a_dependency_down(chains: type[Chain], error: Exception) -> None:
    """Whatever kombu raises, its callers have one error to catch."""
    chains.error = error

    with pytest.raises(DependencyDown, match="reconciler"):
        chain.enqueue(PROVISIONING_ID)


class StubBroker:
    """Holds messages as kombu lays them on Redis."""

    priority_steps = (0, 6)
    unacked_key = "unacked"

    def __init__(self, queued: dict[str, list[bytes]], taken: list[bytes]) -> None:
        self.default_channel = self.client = self
        self.queued, self.taken = queued, taken
        self.pages = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _q_for_pri(self, queue: str, priority: int) -> str:
        return f"{queue}-{priority}"

    def lrange(self, key: str, first: int, last: int) -> list[bytes]:
        self.pages += 1
        return self.queued.get(key, [])[first : last + 1]

    def hscan_iter(self, key: str, count: int) -> Iterator[tuple[bytes, bytes]]:
        assert key == self.unacked_key
        return iter([(b"tag", held) for held in self.taken])


def message(task_id: str) -> bytes:
    return json.dumps({"headers": {"id": task_id}}).encode()


def test_the_look_into_the_broker_sees_all_that_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every queue and priority, page by page, and what workers have taken; what is no message counts for nothing."""
    many = [message(f"task-{number}") for number in range(chain._PAGE + 1)]
    broker = StubBroker(
        {f"{QUEUES[0]}-6": many, f"{QUEUES[-1]}-0": [message("urgent"), b"nonsense", b"[]", b"7"]},
        [json.dumps([{"headers": {"id": "taken"}}, "", "queue"]).encode(), b"{}"],
    )
    monkeypatch.setattr(app, "connection_for_read", lambda: broker)

    found = chain.look_into_broker()

    assert found.queued == {*(f"task-{number}" for number in range(chain._PAGE + 1)), "urgent"}
    assert found.taken == {"taken"}
    assert broker.pages == len(QUEUES) * 2 + 3


def test_a_broker_that_cannot_be_looked_into_is_a_dependency_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reconciler must not take silence for an empty broker."""

    def away() -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(app, "connection_for_read", away)

    with pytest.raises(DependencyDown, match="does not answer"):
        chain.look_into_broker()


def test_a_receiver_s_sends_fail_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """No retry, and a second or two for a Redis that hangs; what else is set for the broker stays."""
    changed: dict[str, Any] = {}
    stub = SimpleNamespace(
        conf=SimpleNamespace(broker_transport_options={"visibility_timeout": 300}, update=changed.update)
    )
    monkeypatch.setattr(chain, "app", stub)

    chain.publish_impatiently()

    assert changed["task_publish_retry"] is False
    assert changed["broker_transport_options"] == {
        "visibility_timeout": 300, "socket_timeout": 2, "socket_connect_timeout": 1,
    }  # fmt: skip


def test_the_way_out_is_loaded_before_the_first_send() -> None:
    """It opens no connection, and leaves nothing for the first sender to load."""
    chain.load_the_way_out()

    assert "amqp" in vars(app)
