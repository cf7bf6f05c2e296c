"""One part under supervision: how it stands, and what follows when it ends by itself.

The supervisor's thread looks; the thread that starts a stage asks until the part has come up. Each touches it only in
the states that are its own, and every change of state is made under the lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from jitprov.errors import DependencyDown
from jitprov.stack.part import Happening, PartState, PartStatus
from jitprov.stack.process import PartProcess, describe_end

_PAUSE_MAX_S = 30.0
# Who has lived this long has recovered: the next pause is short again.
_STEADY_S = 60.0
# Ends in a row, none of them after a steady life, that are too many.
_ENDS_IN_A_ROW_MAX = 5


class Watched:
    """A part, from its first start to its stop.

    Args:
        process: Its process.
        told: Called with what happens after the first start.
        masked: Secrets to be masked in quoted log lines.
        pause_first_s: Pause before it is started again; doubled with each end in a row, up to 30 s.
    """

    def __init__(
        self,
        process: PartProcess,
        told: Callable[[Happening], None],
        masked: Collection[str],
        pause_first_s: float,
    ) -> None:
        self.process = process
        self._told = told
        self._masked = masked
        self._pause_first_s = pause_first_s
        self._lock = threading.Lock()
        self._state = PartState.STOPPED
        self._since_s = time.monotonic()
        self._restarts = 0
        self._ends_in_a_row = 0
        self._next_start_s = 0.0
        self._late = False

    @property
    def name(self) -> str:
        """The part's name."""
        return self.process.part.name

    def status(self) -> PartStatus:
        """Return how it stands."""
        with self._lock:
            for_s = time.monotonic() - self._since_s
            return PartStatus(self.name, self.process.pid, self._state, self._restarts, for_s)

    # --- its first start ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it for the first time.

        Raises:
            DependencyDown: The machine gives no process or no log file.
        """
        self.process.start()
        self._become(PartState.STARTING)

    def has_come_up(self) -> bool:
        """Tell whether it has once been ready.

        Raises:
            DependencyDown: It ended, or is not ready in time; quotes its log.
        """
        if self._state is not PartState.STARTING or self._restarts:
            return True  # if it has ended since, the watching sees to it
        code = self.process.ended_with()
        if code is not None:
            raise self._complaint(f"{describe_end(code)} while it started")
        if self.process.is_ready():
            self._become(PartState.UP)
            return True
        if self.process.age_s > self.process.part.ready_within_s:
            raise self._complaint(f"is not ready after {self.process.part.ready_within_s:g} s")
        return False

    # --- being watched ------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at it once, and do what follows.

        Raises:
            DependencyDown: What it left behind cannot be killed.
        """
        if self._state is PartState.UP:
            self._look_at_living()
        elif self._state is PartState.PAUSED and time.monotonic() >= self._next_start_s:
            self._start_again()
        elif self._state is PartState.STARTING and self._restarts:
            self._look_at_coming()

    def check(self) -> None:
        """Return when it is well, or may soon be.

        Raises:
            DependencyDown: It ends again and again.
        """
        if self._ends_in_a_row >= _ENDS_IN_A_ROW_MAX:
            raise self._complaint(f"ended {self._ends_in_a_row} times in a row")

    def _look_at_living(self) -> None:
        code = self.process.ended_with()
        if code is not None:
            self._has_ended(code)
        elif self._ends_in_a_row and self.process.age_s >= _STEADY_S:
            self._ends_in_a_row = 0

    def _look_at_coming(self) -> None:
        part = self.process.part
        code = self.process.ended_with()
        if code is not None:
            self._has_ended(code)
        elif self.process.is_ready():
            self._late = False
            self._become(PartState.UP)
            self._tell("up", f"{self.name} is up again")
        elif self.process.age_s > part.ready_within_s and not self._late:
            # It is not killed: a Redis that reads a long file would never get to its end.
            self._late = True
            self._tell("late", f"{self.name} runs, but is not ready yet; see {part.log_path}")

    def _has_ended(self, code: int) -> None:
        pause_s = min(self._pause_first_s * 2**self._ends_in_a_row, _PAUSE_MAX_S)
        # Its children first: they would work on beside their successors.
        self.process.clear()
        self._ends_in_a_row += 1
        self._pause(pause_s, f"{self.name} {describe_end(code)}; it is started again in {pause_s:g} s")

    def _start_again(self) -> None:
        self._restarts += 1
        try:
            self.process.start()
        except DependencyDown as error:
            self._pause(_PAUSE_MAX_S, f"{error}; tried again in {_PAUSE_MAX_S:g} s")
            return
        self._become(PartState.STARTING)
        self._tell("started_again", f"{self.name} is started again, time {self._restarts}")

    def _pause(self, pause_s: float, text: str) -> None:
        self._next_start_s = time.monotonic() + pause_s
        self._become(PartState.PAUSED)
        self._tell("ended", text)

    # --- its stop -----------------------------------------------------------------------------------------------

    def finish(self, *, hurried: Callable[[], bool], within_s: float) -> None:
        """Wait for its end, kill what is left, and be done with it.

        Raises:
            DependencyDown: Something cannot be killed.
        """
        self.process.await_end(hurried=hurried, within_s=within_s)
        try:
            self.process.clear()
        finally:
            self._become(PartState.STOPPED)

    def _become(self, state: PartState) -> None:
        with self._lock:
            self._state, self._since_s = state, time.monotonic()

    def _tell(self, what: str, text: str) -> None:
        self._told(Happening(self.name, what, text))

    def _complaint(self, what: str) -> DependencyDown:
        lines = self.process.last_lines(self._masked)
        quoted = f"\n{lines}\n" if lines else " It wrote nothing. "
        return DependencyDown(f"{self.name} {what}.{quoted}Its whole log: {self.process.part.log_path}")
