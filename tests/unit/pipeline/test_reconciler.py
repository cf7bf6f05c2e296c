"""The reconciler sends again what the broker lost, and only that."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from builders import an_opening
from fixed_clock import FixedClock
from jitprov.cache.memory import MemoryCache
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import Provisioning, State, Step
from jitprov.errors import DependencyDown
from jitprov.ledger import Claim
from jitprov.ledger.memory import MemoryLedger
from jitprov.pipeline.reconciler import LOOKS_UNTIL_FORGOTTEN, InBroker, Look, Reconciler, run_forever

GRACE_S, LEASE_S, SECOND_LOOK_S = 20.0, 60.0, 2.0


class Broker:
    """The messages that a broker holds, by task id."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.taken: set[str] = set()
        self.sent: list[Provisioning] = []
        self.away = False
        self.deaf = False

    def look(self) -> InBroker:
        if self.away:
            raise DependencyDown("the broker does not answer")
        return InBroker(frozenset(self.held), frozenset(self.taken))

    def enqueue(self, record: Provisioning) -> None:
        if self.away or self.deaf:
            raise DependencyDown("the broker did not take it")
        self.sent.append(record)
        self.held.add(record.task_id())


class Desk:
    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.broker = clock, Broker()
        self.ledger = MemoryLedger(clock.now)
        self.reconciler = Reconciler(
            self.ledger, self.broker.look, self.broker.enqueue, grace_s=GRACE_S, second_look_s=SECOND_LOOK_S
        )

    def accept(self) -> str:
        opening = an_opening()
        self.ledger.accept([opening], look_after_s=GRACE_S)
        return opening.provisioning_id

    def record(self, provisioning_id: str) -> Provisioning:
        record = self.ledger.get(provisioning_id)
        assert record is not None
        return record

    def claim(self, provisioning_id: str) -> Claim:
        record = self.record(provisioning_id)
        claim = self.ledger.claim(provisioning_id, record.step, record.generation, token="t", lease_s=LEASE_S)
        assert isinstance(claim, Claim)
        return claim

    def look_after(self, seconds: float) -> Look:
        self.clock.advance(seconds)
        return self.reconciler.look()


@pytest.fixture
def desk(clock: FixedClock) -> Desk:
    return Desk(clock)


def test_nothing_due_asks_nobody(desk: Desk) -> None:
    """While nothing is due the broker is not read."""
    desk.accept()
    desk.broker.away = True

    assert desk.look_after(GRACE_S - 1) == Look()


def test_a_message_that_is_there_is_left_alone_however_old(desk: Desk) -> None:
    """In a backlog of an hour a message that still lies in the broker is normal."""
    desk.broker.held.add(desk.record(desk.accept()).task_id())

    for _ in range(200):
        assert desk.look_after(GRACE_S) == Look(due=1, on_the_way=1)

    assert desk.broker.sent == []


def test_a_lost_message_is_sent_again_after_two_looks(desk: Desk) -> None:
    """One look that finds no message proves nothing; the second one in a row sends it again, and that is counted."""
    lost = desk.accept()

    assert desk.look_after(GRACE_S) == Look(due=1)
    assert desk.broker.sent == []
    assert desk.look_after(SECOND_LOOK_S) == Look(due=1, republished=1)
    assert [record.provisioning_id for record in desk.broker.sent] == [lost]
    assert desk.record(lost).republished == 1


def test_a_message_seen_in_between_starts_the_count_anew(desk: Desk) -> None:
    """A message that was only overlooked once is not sent again."""
    task_id = desk.record(desk.accept()).task_id()
    desk.look_after(GRACE_S)
    desk.broker.held.add(task_id)
    assert desk.look_after(SECOND_LOOK_S) == Look(due=1, on_the_way=1)
    desk.broker.held.clear()

    assert desk.look_after(GRACE_S) == Look(due=1)
    assert desk.broker.sent == []


def test_what_was_sent_again_has_its_time_again(desk: Desk) -> None:
    """After sending, nobody looks before the message had its time on the way."""
    desk.accept()
    desk.look_after(GRACE_S)
    desk.look_after(SECOND_LOOK_S)

    assert desk.look_after(GRACE_S - 0.1) == Look()


def test_a_dead_workers_step_is_sent_again_at_once(desk: Desk) -> None:
    """A lease that ran out is proof enough: one look sends, though the dead worker's message still lies there."""
    dead = desk.accept()
    desk.broker.held.add(desk.claim(dead).record.task_id())

    assert desk.look_after(LEASE_S) == Look(due=1, republished=1)
    assert [record.provisioning_id for record in desk.broker.sent] == [dead]


def test_a_working_worker_is_left_alone(desk: Desk) -> None:
    """While a lease runs nothing is due, however late its message is."""
    desk.claim(desk.accept())

    assert desk.look_after(LEASE_S - 1) == Look()


def test_a_lease_renewed_meanwhile_is_no_loss(desk: Desk) -> None:
    """A worker found at work by a look that came from an older list is left alone."""
    claim = desk.claim(desk.accept())
    stale = desk.ledger.due

    def due_late(*, limit: int) -> Any:
        desk.clock.advance(LEASE_S - 1)
        assert desk.ledger.still_held(claim, lease_s=LEASE_S)
        desk.ledger.looked(claim.record.provisioning_id, missed=0, look_after_s=0)
        return stale(limit=limit)

    desk.ledger.due = due_late  # type: ignore[method-assign]

    assert desk.reconciler.look() == Look(due=1, on_the_way=1)


def test_it_goes_on_at_the_recorded_step_of_the_recorded_run(desk: Desk) -> None:
    """What is sent again is the chain from where the ledger stands, under the ids the ledger knows."""
    resumed = desk.accept()
    claim = desk.claim(resumed)
    assert desk.ledger.record(
        claim, moves.advance(claim.record, claim.now, claim.record.findings), look_after_s=GRACE_S
    )
    record = desk.record(resumed)
    cancelled = moves.cancel(record, desk.clock.now())
    assert desk.ledger.change(record, cancelled, look_after_s=GRACE_S)
    record = desk.record(resumed)
    assert desk.ledger.change(record, moves.resume(record, desk.clock.now()), look_after_s=GRACE_S)
    desk.look_after(GRACE_S)
    desk.look_after(SECOND_LOOK_S)

    (sent,) = desk.broker.sent
    assert (sent.step, sent.generation, sent.task_id()) == (
        Step.RESOLVE_SKILLS,
        2,
        desk.record(resumed).task_id(),
    )


def test_an_old_runs_message_does_not_count(desk: Desk) -> None:
    """A message under another run's or step's id is no evidence for the current one."""
    lost = desk.accept()
    desk.broker.held.add(desk.record(lost).task_id(Step.CREATE_PHONE))
    desk.look_after(GRACE_S)

    assert desk.look_after(SECOND_LOOK_S).republished == 1


def test_ended_ones_are_not_looked_at(desk: Desk) -> None:
    """Nothing that ended comes back by itself."""
    record = desk.record(desk.accept())
    assert desk.ledger.change(record, moves.cancel(record, desk.clock.now()), look_after_s=GRACE_S)

    assert desk.look_after(3600) == Look()


def test_a_broker_that_is_away_stops_the_look_before_it_decides(desk: Desk) -> None:
    """Without a look into the broker nothing counts as missed."""
    desk.accept()
    desk.broker.away = True
    for _ in range(3):
        with pytest.raises(DependencyDown):
            desk.look_after(GRACE_S)
    desk.broker.away = False

    assert desk.look_after(0) == Look(due=1)


def test_a_message_the_broker_did_not_take_is_sent_at_the_next_look(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed sending is told, is not counted as sent, and one bad sending does not keep the others back."""
    first, second = desk.accept(), desk.accept()
    desk.look_after(GRACE_S)
    refused = [first]

    def enqueue(record: Provisioning) -> None:
        if record.provisioning_id in refused:
            raise DependencyDown("the broker did not take it")
        desk.broker.enqueue(record)

    reconciler = Reconciler(desk.ledger, desk.broker.look, enqueue, grace_s=GRACE_S)
    desk.clock.advance(SECOND_LOOK_S)
    with caplog.at_level(logging.WARNING):
        assert reconciler.look() == Look(due=2, republished=1)
    refused.clear()

    assert "republish_failed" in caplog.messages
    assert desk.record(first).republished == 0
    assert reconciler.look() == Look(due=1, republished=1)
    assert [record.provisioning_id for record in desk.broker.sent] == [second, first]


def test_two_reconcilers_at_once_do_no_harm(desk: Desk) -> None:
    """Two looks that overlap send at most two messages, which lead to one claim."""
    lost = desk.accept()
    desk.look_after(GRACE_S)
    desk.clock.advance(SECOND_LOOK_S)

    def enqueue_while_another_looks(record: Provisioning) -> None:
        desk.reconciler.look()
        desk.broker.enqueue(record)

    nothing = InBroker(frozenset(), frozenset())
    overlapping = Reconciler(desk.ledger, lambda: nothing, enqueue_while_another_looks, grace_s=GRACE_S)
    overlapping.look()

    assert [record.task_id() for record in desk.broker.sent] == [desk.record(lost).task_id()] * 2
    assert isinstance(desk.ledger.claim(lost, Step.FETCH_PROFILE, 1, token="a", lease_s=LEASE_S), Claim)
    assert not isinstance(desk.ledger.claim(lost, Step.FETCH_PROFILE, 1, token="b", lease_s=LEASE_S), Claim)


def test_a_look_takes_no_more_than_its_batch(desk: Desk) -> None:
    """Of many that are due, the longest due come first and the rest next time."""
    ids = []
    for _ in range(5):
        ids.append(desk.accept())
        desk.clock.advance(1)
    small = Reconciler(desk.ledger, desk.broker.look, desk.broker.enqueue, grace_s=GRACE_S, batch=3)
    desk.clock.advance(GRACE_S)

    assert [small.look().due for _ in range(3)] == [3, 2, 0]


def test_old_ends_are_forgotten(desk: Desk) -> None:
    """What was cancelled or became ready longer ago than it is kept is dropped, and only that."""
    old = desk.record(desk.accept())
    assert desk.ledger.change(old, moves.cancel(old, desk.clock.now()), look_after_s=GRACE_S)
    desk.clock.advance(3600)
    young = desk.record(desk.accept())
    assert desk.ledger.change(young, moves.cancel(young, desk.clock.now()), look_after_s=GRACE_S)

    assert desk.reconciler.forget(timedelta(minutes=30)) == 1
    assert desk.ledger.get(old.provisioning_id) is None
    assert desk.record(young.provisioning_id).state is State.CANCELLED


# --- the loop -----------------------------------------------------------------------------------------------
class StopAfter(threading.Event):
    """Stops a loop at its nth pause; pausing only moves the clock."""

    def __init__(self, clock: FixedClock, pauses: int, *, at_pause: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self.clock, self.pauses, self.at_pause = clock, pauses, at_pause
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.advance(timeout or 0)
        self.waited.append(timeout or 0)
        self.at_pause(len(self.waited))
        if len(self.waited) >= self.pauses:
            self.set()
        return self.is_set()


def run(desk: Desk, stop: StopAfter, keep: timedelta = timedelta(days=30)) -> None:
    run_forever(desk.reconciler, MemoryCache(desk.clock.monotonic_s), stop, every_s=5.0, keep=keep)


def test_the_loop_looks_forgets_and_tells(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """The loop sends again what is lost, drops what is old, tells both, and pauses in between."""
    old = desk.record(desk.accept())
    assert desk.ledger.change(old, moves.cancel(old, desk.clock.now()), look_after_s=GRACE_S)
    desk.clock.advance((timedelta(days=30) - timedelta(seconds=11)).total_seconds())
    desk.accept()
    stop = StopAfter(desk.clock, 7)

    with caplog.at_level(logging.INFO):
        run(desk, stop)

    assert len(desk.broker.sent) == 1
    assert desk.ledger.get(old.provisioning_id) is None
    assert stop.waited == [5.0] * 7
    assert caplog.messages.count("reconciled") == 2
    assert caplog.messages[0] == "reconciler_started"


def test_the_loop_outlives_a_broker_that_is_away(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """While the broker is away the loop says so at each turn and goes on once it is back."""
    desk.accept()
    desk.broker.away = True

    def back(pause: int) -> None:
        desk.broker.away = pause < 6

    with caplog.at_level(logging.WARNING):
        run(desk, StopAfter(desk.clock, 8, at_pause=back))

    assert "reconciler_waits" in caplog.messages
    assert len(desk.broker.sent) == 1


def test_a_stopped_loop_does_not_look(desk: Desk) -> None:
    """A loop that is told to stop before it began looks at nothing."""
    stop = StopAfter(desk.clock, 1)
    stop.set()
    desk.accept()
    desk.clock.advance(3600)
    desk.broker.away = True

    run(desk, stop)

    assert stop.waited == []


def test_two_loops_take_turns(desk: Desk) -> None:
    """While another reconciler has its turn this one waits, then looks."""
    cache = MemoryCache(desk.clock.monotonic_s)
    lost = desk.accept()
    desk.clock.advance(GRACE_S)
    turn = cache.single_flight("reconciler", hold_s=60, wait=desk.clock.wait, wait_max_s=1)
    turn.__enter__()

    def end_the_other_turn(pause: int) -> None:
        if pause == 3:
            turn.__exit__(None, None, None)

    stop = StopAfter(desk.clock, 40, at_pause=end_the_other_turn)

    run_forever(desk.reconciler, cache, stop, every_s=5.0, keep=timedelta(days=30))

    assert [record.provisioning_id for record in desk.broker.sent][:1] == [lost]
    assert stop.waited[0] != 5.0


def test_a_message_that_a_worker_took_and_never_began_is_sent_again(desk: Desk) -> None:
    """A worker that died with a message in hand delays its agent by four looks, not by the visibility timeout."""
    provisioning_id = desk.accept()
    desk.broker.taken.add(desk.record(provisioning_id).task_id())
    looks = [desk.look_after(GRACE_S + 1) for _ in range(LOOKS_UNTIL_FORGOTTEN)]

    assert [look.republished for look in looks] == [0, 0, 0, 1]
    assert [record.provisioning_id for record in desk.broker.sent] == [provisioning_id]


def test_a_message_that_is_begun_in_time_is_not_sent_again(desk: Desk) -> None:
    """Looks at a message in a worker's hand are forgotten as soon as its step begins."""
    provisioning_id = desk.accept()
    desk.broker.taken.add(desk.record(provisioning_id).task_id())
    for _ in range(LOOKS_UNTIL_FORGOTTEN - 1):
        desk.look_after(GRACE_S + 1)
    claim = desk.claim(provisioning_id)
    desk.ledger.record(claim, moves.advance(claim.record, claim.now, claim.record.findings), look_after_s=GRACE_S)
    desk.broker.taken.add(desk.record(provisioning_id).task_id())

    assert desk.look_after(GRACE_S + 1).republished == 0
