"""One thread that takes everything that waits, makes one call for all of it, and answers each who waits.

So n requests share one round trip and one fsync, and the synchronous ledger needs no asynchronous twin. Knows neither
HTTP nor what it carries.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

from jitprov import logs
from jitprov.errors import DependencyDown

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class Lane(Generic[T, R]):
    """A bounded queue and its one thread; running from the start until `close`.

    Args:
        name: Of the thread, and in logs.
        call: Takes many items, returns an answer for each, in their order. Runs on the lane's thread.
        waiting_max: Items that may wait.
        batch_max: Items that one call takes, unless one who waits brings more by himself.
        deliver: Runs what gives all who waited for one call their answers; on another thread, to wake that one once
            and not for each of them. When it raises RuntimeError, as a closed event loop does, they get them here.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[list[T]], list[R]],
        *,
        waiting_max: int = 10_000,
        batch_max: int = 1_000,
        deliver: Callable[[Callable[[], None]], object] = lambda give: give(),
    ) -> None:
        self._name = name
        self._call = call
        self._deliver = deliver
        self._waiting_max = waiting_max
        self._batch_max = batch_max
        self._queue: deque[tuple[Sequence[T], Future[list[R]]]] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """True while somebody works on what is handed in."""
        return self._thread.is_alive() and not self._closing

    @property
    def waiting(self) -> int:
        """Items that wait."""
        return self._waiting

    def submit(self, items: Sequence[T]) -> Future[list[R]]:
        """Hand in items; the future gets their answers, or the error of the call that carried them.

        Cancelling the future takes the items out again if no call carries them yet.

        Raises:
            DependencyDown: Too many wait, or the lane is closed; nothing was taken.
        """
        future: Future[list[R]] = Future()
        with self._changed:
            if not self.alive:
                msg = f"{self._name} is closed"
                raise DependencyDown(msg)
            if self._waiting + len(items) > self._waiting_max:
                msg = f"{self._name} is full"
                raise DependencyDown(msg)
            self._queue.append((items, future))
            self._waiting += len(items)
            self._changed.notify()
        return future

    def close(self, *, within_s: float = 5.0) -> bool:
        """Take nothing more, and finish what waits; False when that took too long and something was left."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _take(self) -> list[tuple[Sequence[T], Future[list[R]]]]:
        """Return what waits, as far as one call may carry it; empty when closed and done."""
        taken: list[tuple[Sequence[T], Future[list[R]]]] = []
        size = 0
        with self._changed:
            while not taken and (self._queue or not self._closing):
                if not self._queue:
                    self._changed.wait()
                while self._queue and (not taken or size + len(self._queue[0][0]) <= self._batch_max):
                    items, future = self._queue.popleft()
                    self._waiting -= len(items)
                    if future.set_running_or_notify_cancel():
                        taken.append((items, future))
                        size += len(items)
        return taken

    def _run(self) -> None:
        while taken := self._take():
            give = partial(_give, taken, self._answers(taken))
            try:
                self._deliver(give)
            except RuntimeError:
                give()

    def _answers(self, taken: Sequence[tuple[Sequence[T], Future[list[R]]]]) -> list[list[R]] | Exception:
        """Return each one's answers, or the error of the call that carried them all."""
        try:
            parts = iter(self._call([item for items, _ in taken for item in items]))
            return [[next(parts) for _ in items] for items, _ in taken]
        except Exception as error:  # noqa: BLE001  whoever waits decides; the lane must go on
            level = logging.WARNING if isinstance(error, DependencyDown) else logging.ERROR
            logs.event(
                _log,
                "lane_call_failed",
                level=level,
                lane=self._name,
                requests=len(taken),
                cause=type(error).__name__,
            )
            return error


def _give(taken: Sequence[tuple[Sequence[T], Future[list[R]]]], answers: list[list[R]] | Exception) -> None:
    for number, (_, future) in enumerate(taken):
        if isinstance(answers, Exception):
            future.set_exception(answers)
        else:
            future.set_result(answers[number])
