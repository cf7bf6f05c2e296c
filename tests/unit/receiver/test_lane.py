"""The thread that answers many with one call."""

from __future__ import annotations

import threading

import pytest

from jitprov.errors import DependencyDown
from jitprov.receiver.lane import Lane


class Work:
    """Doubles numbers; can be held up and broken."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: Exception | None = None

    def __call__(self, items: list[int]) -> list[int]:
        self.calls.append(items)
        self.begun.set()
        self.go_on.wait(10)
        if self.error:
            raise self.error
        return [2 * item for item in items]


def test_shares_a_call() -> None:
    """What comes while a call runs shares the next one, and each gets his own answers in his order."""
    work = Work()
    work.go_on.clear()
    lane = Lane("test", work)
    first = lane.submit([1])
    work.begun.wait(10)
    rest = [lane.submit([number, number + 1]) for number in (10, 20, 30)]
    work.go_on.set()

    assert first.result(10) == [2]
    assert [future.result(10) for future in rest] == [[20, 22], [40, 42], [60, 62]]
    assert work.calls == [[1], [10, 11, 20, 21, 30, 31]]
    assert lane.close()


def test_batch_bound() -> None:
    """A call takes no more than its bound, except for one who brings more by himself."""
    work = Work()
    work.go_on.clear()
    lane = Lane("test", work, batch_max=3)
    futures = [lane.submit([0])]
    work.begun.wait(10)
    futures += [lane.submit(items) for items in ([1, 2], [3], [4], [5, 6, 7, 8])]
    work.go_on.set()
    for future in futures:
        future.result(10)

    assert work.calls == [[0], [1, 2, 3], [4], [5, 6, 7, 8]]
    assert lane.close()


def test_full() -> None:
    """What would not fit is refused at once, and fits again once the queue is shorter."""
    work = Work()
    work.go_on.clear()
    lane = Lane("test", work, waiting_max=2)
    lane.submit([0])
    work.begun.wait(10)
    waiting = lane.submit([1, 2])

    with pytest.raises(DependencyDown):
        lane.submit([3])
    work.go_on.set()
    waiting.result(10)
    assert lane.submit([3]).result(10) == [6]
    assert lane.close()


def test_cancelled() -> None:
    """Whoever gave up before his call began costs no work."""
    work = Work()
    work.go_on.clear()
    lane = Lane("test", work)
    lane.submit([0])
    work.begun.wait(10)
    gone, stayed = lane.submit([1]), lane.submit([2])
    gone.cancel()
    work.go_on.set()

    assert stayed.result(10) == [4]
    assert work.calls == [[0], [2]]
    assert lane.waiting == 0
    assert lane.close()


@pytest.mark.parametrize("error", [DependencyDown("away"), RuntimeError("a defect")])
def test_failing_call(error: Exception) -> None:
    """All whom a call carried get its error; the next call works."""
    work = Work()
    work.error = error
    lane = Lane("test", work)
    future = lane.submit([1])

    assert future.exception(10) is error
    work.error = None
    assert lane.submit([1]).result(10) == [2]
    assert lane.alive
    assert lane.close()


def test_missing_answers() -> None:
    """A call that answers too few gives an error to all, not somebody else's answer to one."""
    lane: Lane[int, int] = Lane("test", lambda items: items[1:])

    assert lane.submit([1, 2]).exception(10) is not None
    assert lane.close()


def test_close_drains() -> None:
    """Closing finishes what waits, and takes nothing new."""
    work = Work()
    work.go_on.clear()
    lane = Lane("test", work)
    futures = [lane.submit([number]) for number in range(5)]
    work.begun.wait(10)
    assert not lane.close(within_s=0.01)

    with pytest.raises(DependencyDown):
        lane.submit([9])
    work.go_on.set()
    assert lane.close()
    assert [future.result(0) for future in futures] == [[0], [2], [4], [6], [8]]
    assert not lane.alive
