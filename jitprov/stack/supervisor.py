"""Keeps parts up: starts them in order, watches them, starts again what ends, stops them in reverse, leaves nothing.

A thread looks at every part ten times a second. Knows nothing of what the parts do. Does not decide when the whole is to
end: whoever entered it does, by leaving the `with` block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from jitprov.errors import DependencyDown
from jitprov.stack.part import Happening, Part, PartState, PartStatus
from jitprov.stack.process import PartProcess, describe_end
from jitprov.stack.warden_link import WardenLink

__all__ = ["Happening", "Part", "PartState", "PartStatus", "Supervisor"]

_LOOK_EVERY_S = 0.1
_PAUSE_FIRST_S = 0.5
_PAUSE_MAX_S = 30.0
# Who has lived this long has recovered: the next pause is short again.
_STEADY_S = 60.0
# Ends in a row, none of them after a steady life, that make `check` complain.
_ENDS_IN_A_ROW_MAX = 5


@dataclass(slots=True)
class _Watched:
    process: PartProcess
    state: PartState = PartState.STOPPED
    since_s: float = field(default_factory=time.monotonic)
    restarts: int = 0
    ends_in_a_row: int = 0
    next_start_s: float = 0.0
    late: bool = False

    def becomes(self, state: PartState) -> None:
        self.state, self.since_s = state, time.monotonic()


class Supervisor:
    """Parts that are kept up inside a `with` block. All methods may be called from any thread.

    Args:
        logs: Folder of the warden's log; must exist.
        told: Called with everything that happens to a part after its start, on the watching thread; must not block.
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
        pause_first_s: float = _PAUSE_FIRST_S,
    ) -> None:
        self._told = told
        self._masked = tuple(masked)
        self._throw_away = throw_away
        self._pause_first_s = pause_first_s
        self._link = WardenLink(grace_s=grace_s, log_path=logs / "warden.log", held_fds=held_fds)
        self._lock = threading.RLock()
        self._one_stop = threading.Lock()
        self._stages: list[list[_Watched]] = []
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._defect: BaseException | None = None

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
            DependencyDown: One ended, or was not ready in time; quotes its log. All that was started still runs, until
                `stop`.
        """
        stage: list[_Watched] = []
        with self._lock:
            if self._stopping.is_set():
                raise DependencyDown("everything is being stopped: start again afterwards")
            self._stages.append(stage)
            for part in parts:
                watched = _Watched(PartProcess(part, self._link))
                stage.append(watched)
                watched.process.start()
                watched.becomes(PartState.STARTING)
        pause = threading.Event()
        while not self._have_come_up(stage):
            if interrupted():
                raise KeyboardInterrupt
            pause.wait(_LOOK_EVERY_S / 2)

    def _have_come_up(self, stage: list[_Watched]) -> bool:
        # Each is looked at in every round: one that has ended is told at once, whoever is still on its way.
        seen = [self._has_come_up(watched) for watched in stage]
        return all(seen)

    def _has_come_up(self, watched: _Watched) -> bool:
        if watched.state is not PartState.STARTING or watched.restarts:
            return True  # if it has ended since, the watching sees to it
        process = watched.process
        code = process.ended_with()
        if code is not None:
            raise self._not_started(watched, f"{describe_end(code)} while it started")
        if process.is_ready():
            with self._lock:
                if watched.state is PartState.STARTING:
                    watched.becomes(PartState.UP)
            return True
        if process.age_s > process.part.ready_within_s:
            raise self._not_started(watched, f"is not ready after {process.part.ready_within_s:g} s")
        return False

    def _not_started(self, watched: _Watched, what: str) -> DependencyDown:
        part = watched.process.part
        lines = watched.process.last_lines(self._masked)
        quoted = f"\n{lines}\n" if lines else " It wrote nothing. "
        return DependencyDown(f"{part.name} {what}.{quoted}Its whole log: {part.log_path}")

    def status(self) -> list[PartStatus]:
        """Return how each part stands, in the order of their start."""
        now_s = time.monotonic()
        return [
            PartStatus(
                watched.process.part.name, watched.process.pid, watched.state, watched.restarts, now_s - watched.since_s
            )
            for watched in self._all()
        ]

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
            if watched.ends_in_a_row >= _ENDS_IN_A_ROW_MAX:
                raise self._not_started(watched, f"ended {watched.ends_in_a_row} times in a row")

    def hurry(self) -> None:
        """Make a stop, under way or to come, wait for nothing: everything is killed at once."""
        self._hurry.set()

    def stop(self) -> None:
        """Stop all parts, last stage first, and clear away whatever they have started; safe to repeat.

        Raises:
            DependencyDown: Something cannot be killed; all else was stopped.
        """
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

    def _stop_stage(self, stage: list[_Watched]) -> list[DependencyDown]:
        asked_s = time.monotonic()
        failures = []
        if not self._hurry.is_set():
            for watched in stage:
                watched.process.ask_to_stop()
        for watched in stage:
            left_s = asked_s + watched.process.part.stop_within_s - time.monotonic()
            watched.process.await_end(hurried=self._hurry.is_set, within_s=left_s)
            try:
                watched.process.clear()
            except DependencyDown as error:
                failures.append(error)
            watched.becomes(PartState.STOPPED)
        return failures

    def _all(self) -> list[_Watched]:
        with self._lock:
            return [watched for stage in self._stages for watched in stage]

    # --- watching -----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self._link.open()
                for watched in self._all():
                    self._look_at(watched)
            except Exception as error:  # noqa: BLE001  whatever it is, `check` must tell it
                self._defect = error
                return

    def _look_at(self, watched: _Watched) -> None:
        if watched.state is PartState.UP:
            self._look_at_living(watched)
        elif watched.state is PartState.PAUSED and time.monotonic() >= watched.next_start_s:
            self._start_again(watched)
        elif watched.state is PartState.STARTING and watched.restarts:
            self._look_at_coming(watched)

    def _look_at_living(self, watched: _Watched) -> None:
        code = watched.process.ended_with()
        if code is not None:
            self._has_ended(watched, code)
        elif watched.ends_in_a_row and watched.process.age_s >= _STEADY_S:
            watched.ends_in_a_row = 0

    def _look_at_coming(self, watched: _Watched) -> None:
        process, name = watched.process, watched.process.part.name
        code = process.ended_with()
        if code is not None:
            self._has_ended(watched, code)
        elif process.is_ready():
            with self._lock:
                watched.becomes(PartState.UP)
                watched.late = False
            self._told(Happening(name, "up", f"{name} is up again"))
        elif process.age_s > process.part.ready_within_s and not watched.late:
            # It is not killed: a Redis that reads a long file would never get to its end.
            watched.late = True
            self._told(Happening(name, "late", f"{name} runs, but is not ready yet; see {process.part.log_path}"))

    def _has_ended(self, watched: _Watched, code: int) -> None:
        name = watched.process.part.name
        with self._lock:
            watched.process.clear()
            pause_s = min(self._pause_first_s * 2**watched.ends_in_a_row, _PAUSE_MAX_S)
            watched.ends_in_a_row += 1
            watched.next_start_s = time.monotonic() + pause_s
            watched.becomes(PartState.PAUSED)
        self._told(Happening(name, "ended", f"{name} {describe_end(code)}; it is started again in {pause_s:g} s"))

    def _start_again(self, watched: _Watched) -> None:
        name = watched.process.part.name
        with self._lock:
            watched.restarts += 1
            watched.becomes(PartState.STARTING)
            try:
                watched.process.start()
            except DependencyDown as error:
                watched.next_start_s = time.monotonic() + _PAUSE_MAX_S
                watched.becomes(PartState.PAUSED)
                self._told(Happening(name, "ended", f"{error}; tried again in {_PAUSE_MAX_S:g} s"))
                return
        self._told(Happening(name, "started_again", f"{name} is started again, time {watched.restarts}"))
