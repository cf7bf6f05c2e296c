"""Keeps parts up: starts them in order, watches them, starts again what ends, stops them in reverse, leaves nothing.

A thread looks at every part ten times a second. Knows nothing of what the parts do. Does not decide when the whole is
to end: whoever entered it does, by leaving the `with` block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Self

from jitprov.errors import DependencyDown
from jitprov.stack.part import Happening, Part, PartState, PartStatus
from jitprov.stack.process import PartProcess
from jitprov.stack.warden_link import WardenLink
from jitprov.stack.watched import Watched

__all__ = ["Happening", "Part", "PartState", "PartStatus", "Supervisor"]

_LOOK_EVERY_S = 0.1


class Supervisor:
    """Parts that are kept up inside a `with` block. All methods may be called from any thread.

    Args:
        logs: Folder of the warden's log; must exist.
        told: Called with what happens to a part after its start, on the watching thread; must not block.
        masked: Secrets to be masked in log lines that errors quote.
        throw_away: Folder to be removed when all has ended, in whatever way; None keeps everything.
        held_fds: See `WardenLink`.
        grace_s: Seconds that parts have between SIGTERM and SIGKILL when this process was killed.
        pause_first_s: Pause before a part is started again; doubled with each end in a row, up to 30 s.
    """

    def __init__(
        self,
        *,
        logs: Path,
        told: Callable[[Happening], None] = lambda _: None,
        masked: Collection[str] = (),
        throw_away: Path | None = None,
        held_fds: Sequence[int] = (),
        grace_s: float = 5.0,
        pause_first_s: float = 0.5,
    ) -> None:
        self._told = told
        self._masked = tuple(masked)
        self._throw_away = throw_away
        self._pause_first_s = pause_first_s
        self._link = WardenLink(grace_s=grace_s, log_path=logs / "warden.log", held_fds=held_fds)
        self._lock = threading.Lock()
        self._one_stop = threading.Lock()
        self._stages: list[list[Watched]] = []
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._defect: Exception | None = None

    def __enter__(self) -> Self:
        """Start the warden, then the watching."""
        self._link.open()
        if self._throw_away is not None:
            self._link.throw_away(self._throw_away)
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything; see `stop`."""
        self.stop()

    def start(self, parts: Sequence[Part], *, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Start parts together, and return once all are ready.

        Args:
            parts: They stand on the parts started before, and are stopped before those.
            interrupted: Asked all the while; True makes it raise KeyboardInterrupt.

        Raises:
            DependencyDown: One ended, or was not ready in time; quotes its log. What was started runs until `stop`.
        """
        stage = [self._watched(part) for part in parts]
        with self._lock:
            if self._stopping.is_set():
                raise DependencyDown("everything is being stopped: start again afterwards")
            self._stages.append(stage)
            for watched in stage:
                watched.start()
        pause = threading.Event()
        # Each is looked at in every round: one that has ended is told at once, whoever is still on its way.
        while not all([watched.has_come_up() for watched in stage]):  # noqa: C419  see above
            if interrupted():
                raise KeyboardInterrupt
            pause.wait(_LOOK_EVERY_S / 2)

    def status(self) -> list[PartStatus]:
        """Return how each part stands, in the order of their start."""
        return [watched.status() for watched in self._all()]

    def check_watching(self) -> None:
        """Return when parts are being watched.

        Raises:
            DependencyDown: The watching broke off.
        """
        if self._defect is not None:
            raise DependencyDown(f"the supervision broke off ({self._defect}): start again") from self._defect

    def check(self) -> None:
        """Return when all is well, or will be after a start or two.

        Raises:
            DependencyDown: A part ends again and again, or the watching broke off.
        """
        self.check_watching()
        for watched in self._all():
            watched.check()

    def hurry(self) -> None:
        """Make a stop, under way or to come, wait for nothing: everything is killed at once."""
        self._hurry.set()

    def stop(self) -> None:
        """Stop all parts, last stage first, and clear away whatever they have started; safe to repeat.

        Raises:
            DependencyDown: Something cannot be killed; all else was stopped.
        """
        with self._lock:
            self._stopping.set()
        if self._watching.is_alive() and threading.current_thread() is not self._watching:
            self._watching.join()
        failures: list[DependencyDown] = []
        with self._one_stop:
            for stage in reversed(self._stages):
                failures += self._stop_stage(list(reversed(stage)))
            self._link.close()
        if failures:
            raise failures[0]

    def _stop_stage(self, stage: list[Watched]) -> list[DependencyDown]:
        asked_s = time.monotonic()
        failures = []
        if not self._hurry.is_set():
            for watched in stage:
                watched.process.ask_to_stop()
        for watched in stage:
            left_s = asked_s + watched.process.part.stop_within_s - time.monotonic()
            try:
                watched.finish(hurried=self._hurry.is_set, within_s=left_s)
            except DependencyDown as error:
                failures.append(error)
        return failures

    def _watched(self, part: Part) -> Watched:
        return Watched(PartProcess(part, self._link), self._told, self._masked, self._pause_first_s)

    def _all(self) -> list[Watched]:
        with self._lock:
            return [watched for stage in self._stages for watched in stage]

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self._link.open()
                for watched in self._all():
                    watched.look()
            except Exception as error:  # noqa: BLE001  whatever it is, `check_watching` must tell it
                self._defect = error
                return
