"""New provisionings → the broker, off the request's path; knows neither HTTP nor Celery.

The ledger already has them, so nothing here may hold up or change an answer: what cannot be sent, or is too much, is
left to the reconciler.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from jitprov import logs
from jitprov.errors import DependencyDown

_log = logging.getLogger(__name__)

# While events keep coming, sending keeps back: a chain costs the interpreter more time than taking an event does, and
# senders wait. The API's budget, some five calls a second, cannot use more than this anyway; afterwards it goes at
# full speed.
_QUIET_S = 0.1
_SPACING_S = 0.02


class Publisher:
    """A bounded queue and the one thread that sends.

    Args:
        publish: Sends a provisioning's chain; safe to repeat.
        on_outcome: Is told `sent`, `failed` or `dropped`, with a count.
        waiting_max: Ids that may wait; a stampede of the whole season fits in.
        pause_s: Wait after a failure, so that a broker that is away costs neither CPU nor a line of log per agent.
    """

    def __init__(
        self,
        publish: Callable[[str], None],
        on_outcome: Callable[[str, int], None] = lambda _outcome, _count: None,
        *,
        waiting_max: int = 20_000,
        pause_s: float = 0.5,
    ) -> None:
        self._offered_at_s = 0.0
        self._publish = publish
        self._on_outcome = on_outcome
        self._waiting_max = waiting_max
        self._pause_s = pause_s
        self._queue: deque[str] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Ids that wait to be sent."""
        return len(self._queue)

    def offer(self, provisioning_ids: Sequence[str]) -> None:
        """Queue ids; those beyond the bound are dropped and counted. Never blocks for long, never raises."""
        if not provisioning_ids:
            return
        with self._changed:
            self._offered_at_s = time.monotonic()
            room = 0 if self._closing.is_set() else max(self._waiting_max - len(self._queue), 0)
            self._queue.extend(provisioning_ids[:room])
            self._changed.notify()
        if dropped := len(provisioning_ids) - min(room, len(provisioning_ids)):
            self._on_outcome("dropped", dropped)
            logs.event(_log, "publish_dropped", level=logging.WARNING, count=dropped, remedy="the reconciler sends it")

    def close(self, *, within_s: float = 5.0) -> int:
        """Send what waits, for a bounded time; return how many are left to the reconciler."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(within_s)
        self._given_up.set()
        left = len(self._queue)
        if left:
            self._on_outcome("dropped", left)
            logs.event(_log, "publish_left", level=logging.WARNING, count=left, remedy="the reconciler sends it")
        return left

    def _run(self) -> None:
        while not self._given_up.is_set():
            with self._changed:
                while not self._queue and not self._closing.is_set():
                    self._changed.wait()
                if not self._queue:
                    return
                provisioning_id = self._queue.popleft()
            self._send(provisioning_id)
            if self._queue and not self._closing.is_set() and time.monotonic() - self._offered_at_s < _QUIET_S:
                self._given_up.wait(_SPACING_S)

    def _send(self, provisioning_id: str) -> None:
        try:
            self._publish(provisioning_id)
        except Exception as error:  # noqa: BLE001  whatever it is, the reconciler makes it good
            self._on_outcome("failed", 1)
            level = logging.WARNING if isinstance(error, DependencyDown) else logging.ERROR
            logs.event(_log, "publish_failed", level=level, provisioning_id=provisioning_id, cause=type(error).__name__)
            self._given_up.wait(self._pause_s)
        else:
            self._on_outcome("sent", 1)
