"""The word to stop: heard at once, by all, for good."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from jitprov.errors import WorkerStops
from jitprov.stop import StopSign
from jitprov.wiring import RealClock


@pytest.fixture
def sign() -> Iterator[StopSign]:
    made = StopSign()
    yield made
    made.close()


def test_a_wait_ends_when_somebody_calls(sign: StopSign) -> None:
    """Every waiting thread wakes long before its time."""
    heard: list[bool] = []
    waiting = [threading.Thread(target=lambda: heard.append(sign.wait(60))) for _ in range(3)]
    for each in waiting:
        each.start()

    sign.call()
    for each in waiting:
        each.join(timeout=30)

    assert heard == [True] * 3


def test_a_forked_process_hears_it(sign: StopSign) -> None:
    """What a worker's child waits for ends with the parent's word."""
    child = os.fork()
    if child == 0:
        os._exit(7 if sign.wait(60) else 1)

    sign.call()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_nobody_called_nothing_heard(sign: StopSign) -> None:
    """Without the word a wait lasts its time."""
    began_s = time.monotonic()

    assert sign.wait(0.02) is False
    assert time.monotonic() - began_s >= 0.02


def test_it_stays_said_however_often(sign: StopSign) -> None:
    """Who begins to wait afterwards hears it too, and calling again does no harm."""
    for _ in range(70_000):
        sign.call()

    assert sign.wait(60)
    assert sign.wait(60)


def test_a_clock_that_is_told_to_stop_says_so(sign: StopSign) -> None:
    """A step's wait ends as something that spends no attempt and goes on at once elsewhere."""
    clock = RealClock(1.0, sign)
    sign.call()

    with pytest.raises(WorkerStops) as caught:
        clock.wait(60)

    assert caught.value.wait_s == 0
