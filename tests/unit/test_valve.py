"""The valve without a worker: a consumer of Celery's, a timer that only the test fires, rates far from the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.worker import state

from jitprov.valve import LATENESS_S, SLEEP_MIN_S, ValvedConsumer

NAME = "limited"


@dataclass(eq=False)
class Entry:
    sleep_s: float
    act: Callable[..., None]
    args: tuple[Any, ...]
    cancelled: bool = False


@dataclass
class HandTimer:
    """Keeps what it should fire; the test fires it."""

    entries: list[Entry] = field(default_factory=list)

    def call_after(self, secs: float, fun: Callable[..., None], args: tuple[Any, ...] = ()) -> Entry:
        self.entries.append(Entry(secs, fun, args))
        return self.entries[-1]

    def cancel(self, entry: Entry) -> None:
        entry.cancelled = True

    def waiting(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.cancelled]

    def fire(self) -> None:
        (entry,) = self.waiting()
        self.entries.clear()
        entry.act(*entry.args)


@dataclass(eq=False)
class Request:
    id: int
    name: str = NAME


def do_nothing() -> None:
    """Be a task."""


class CountingQoS:
    def __init__(self) -> None:
        self.given_back = 0

    def decrement_eventually(self) -> None:
        self.given_back += 1


class Valve:
    """A consumer with one limited task, and what it let through."""

    def __init__(self) -> None:
        self.app = Celery("valve", broker="memory://", set_as_current=False)
        self.app.task(name=NAME, rate_limit="1/h", shared=False)(do_nothing)
        self.app.finalize()
        self.timer = HandTimer()
        self.passed: list[int] = []
        self.consumer = ValvedConsumer(
            lambda request: self.passed.append(request.id),
            app=self.app,
            timer=self.timer,
            controller=SimpleNamespace(use_eventloop=True, semaphore=None),
        )
        self.consumer.qos = CountingQoS()
        self.sent = 0

    @property
    def bucket(self) -> Any:
        return self.consumer.task_buckets[NAME]

    def receive(self, count: int) -> None:
        for _ in range(count):
            self.consumer._limit_task(Request(self.sent), self.bucket, 1)
            self.sent += 1

    def turn(self, rate: str | int) -> None:
        """Do what Celery's remote control does."""
        self.app.tasks[NAME].rate_limit = rate
        self.consumer.reset_rate_limits()

    def let_pass(self, seconds: float) -> None:
        self.bucket.timestamp -= seconds


@pytest.fixture
def valve() -> Iterator[Valve]:
    made = Valve()
    yield made
    made.app.close()
    state.reset_state()


def test_waiting_messages_share_one_timer(valve: Valve) -> None:
    """However many messages wait, one timer is armed: Celery's loop fires ten a turn and then sleeps for a second."""
    valve.receive(100)

    assert valve.passed == [0]
    assert len(valve.timer.waiting()) == 1
    assert 3590 < valve.timer.waiting()[0].sleep_s <= 3600


def test_a_token_lets_one_message_go_in_order(valve: Valve) -> None:
    """Each time a token has come the oldest message goes, and the next one is waited for."""
    valve.receive(3)
    for expected in ([0, 1], [0, 1, 2]):
        valve.let_pass(3600)
        valve.timer.fire()
        assert valve.passed == expected

    assert valve.timer.waiting() == []


def test_a_timer_that_comes_too_early_waits_for_the_rest(valve: Valve) -> None:
    """A wake-up without a token lets nothing go and arms one timer again."""
    valve.receive(3)
    valve.timer.fire()

    assert valve.passed == [0]
    assert len(valve.timer.waiting()) == 1


def test_what_a_late_timer_missed_is_caught_up(valve: Valve) -> None:
    """A late timer lets go what it missed, but never more than the lateness allows, however long it was."""
    valve.turn("10/s")
    valve.receive(20)
    before = len(valve.passed)
    valve.let_pass(3600)
    valve.timer.fire()

    assert len(valve.passed) - before == 1 + 10 * LATENESS_S


def test_a_fast_rate_wakes_the_loop_in_groups(valve: Valve) -> None:
    """A bucket sleeps for a moment at least, and its lateness makes that good, so that a fast rate loses nothing."""
    valve.consumer._arm(valve.bucket, 1e-6)

    assert [entry.sleep_s for entry in valve.timer.waiting()] == [SLEEP_MIN_S]
    assert SLEEP_MIN_S < LATENESS_S


def test_a_new_rate_takes_along_what_waits(valve: Valve) -> None:
    """Messages that wait for an hour go by the rate that is set meanwhile, in order; the old timer is gone."""
    valve.receive(4)
    old = valve.timer.waiting()[0]
    valve.turn("1/m")

    assert old.cancelled
    assert valve.passed == [0, 1]
    (armed,) = valve.timer.waiting()
    assert 50 < armed.sleep_s <= 60
    assert [request.id for request, _ in valve.bucket.contents] == [2, 3]


def test_a_lifted_limit_lets_all_go(valve: Valve) -> None:
    """Rate 0 is no limit: what waits goes at once, in order, and no timer stays."""
    valve.receive(4)
    valve.turn(0)

    assert valve.passed == [0, 1, 2, 3]
    assert valve.timer.waiting() == []
    assert valve.bucket is None


def test_a_postponed_message_goes_by_the_rate_of_its_hour(valve: Valve) -> None:
    """A retry whose countdown ends is limited by today's bucket, not by the one of the day it came."""
    old = valve.bucket
    valve.turn("1/m")
    valve.consumer._limit_post_eta(Request(7), old, 1)
    valve.consumer._limit_post_eta(Request(8), old, 1)
    assert valve.passed == [7]
    assert list(old.contents) == []

    valve.turn(0)
    valve.consumer._limit_post_eta(Request(9), old, 1)
    assert valve.passed == [7, 8, 9]
    assert valve.consumer.qos.given_back == 3


def test_a_lost_connection_leaves_nothing_behind(valve: Valve) -> None:
    """What waited is given out again by the broker, so it is forgotten here; the next message arms a timer again."""
    valve.receive(3)
    valve.consumer.on_close()

    assert valve.timer.waiting() == []
    assert list(valve.bucket.contents) == []

    valve.receive(2)
    assert len(valve.timer.waiting()) == 1
