"""One part's process: started behind the gate, heard, stopped, and cleared away with all that it has started.

Knows one process at a time and no order; when to start again is the supervisor's business. Not safe to call from two
threads at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from jitprov.errors import DependencyDown
from jitprov.stack import gate, warden
from jitprov.stack.part import Part
from jitprov.stack.warden_link import WardenLink

_LOOK_EVERY_S = 0.02
_CLEARED_WITHIN_S = 5.0
_SETTLED_S = 0.5
_LAST_LINES = 15
_TAIL_BYTES = 16_384
# Larger logs are set aside at a start; one old log is kept.
_LOG_BYTES_MAX = 16 * 1024 * 1024


class PartProcess:
    """The process of one part, alive or not.

    Args:
        part: What to run.
        link: The warden, who must know of each process group before the part runs in it.
    """

    def __init__(self, part: Part, link: WardenLink) -> None:
        self.part = part
        self._link = link
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0

    @property
    def pid(self) -> int | None:
        """The number of process and process group; None when none was started or all of it is cleared away."""
        return self._process.pid if self._process else None

    @property
    def age_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started_s

    def start(self) -> None:
        """Start the part, in a session and process group of its own.

        Raises:
            DependencyDown: The machine gives no process or no log file.
        """
        part = self.part
        try:
            _set_aside(part.log_path)
            with part.log_path.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603  argv is composed by us
                    [sys.executable, "-I", "-S", gate.__file__, *part.argv],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    bufsize=0,
                    env=part.env,
                    cwd=part.folder,
                    start_new_session=True,
                )
        except OSError as error:
            raise DependencyDown(f"{part.name} cannot be started: {error.strerror} ({part.log_path})") from error
        self._process, self._started_s = process, time.monotonic()
        self._link.watch(process.pid)
        if process.stdin is not None:
            with process.stdin as word:
                try:
                    word.write(b"!")
                except BrokenPipeError:
                    return  # ended before it began: `ended_with` tells

    def ended_with(self) -> int | None:
        """Return how the process ended, as `Popen.returncode` says it; None while it lives.

        It is left unreaped, so that nobody else gets its number before its group is cleared away.
        """
        process = self._process
        if process is None:
            return None
        try:
            seen = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # cleared away this moment, by a stop on another thread
            return process.returncode
        if seen is None:
            return None
        return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status

    def is_ready(self) -> bool:
        """Tell whether the part does its work."""
        if self.part.ready is None:
            return self.age_s >= _SETTLED_S
        try:
            return self.part.ready()
        except OSError:
            return False

    def ask_to_stop(self) -> None:
        """Send the stop signal to the process, not to its group: it ends its children as it sees fit."""
        if self._process is not None and self.ended_with() is None:
            os.kill(self._process.pid, self.part.stop_signal)

    def await_end(self, *, hurried: Callable[[], bool], within_s: float) -> bool:
        """Wait until the process ends, time is up or there is hurry; tell whether it ended."""
        deadline_s = time.monotonic() + within_s
        while self._process is not None and self.ended_with() is None:
            if hurried() or time.monotonic() >= deadline_s:
                return False
            threading.Event().wait(_LOOK_EVERY_S)
        return True

    def clear(self) -> None:
        """Kill whatever is left of the process group, and make sure that nothing is.

        Raises:
            DependencyDown: Something cannot be killed; the warden will try again.
        """
        if self._process is None:
            return
        group = self._process.pid
        deadline_s = time.monotonic() + _CLEARED_WITHIN_S
        while left := warden.members(group):
            warden.signal_group(group, signal.SIGKILL)
            if time.monotonic() >= deadline_s:
                raise DependencyDown(f"{self.part.name}: processes {left} cannot be killed. End them by hand")
            threading.Event().wait(_LOOK_EVERY_S)
        self._process.wait()
        self._process = None
        self._link.forget(group)

    def last_lines(self, masked: Collection[str]) -> str:
        """Return the log's last lines, with secrets masked."""
        try:
            with self.part.log_path.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        for secret in filter(None, masked):
            text = text.replace(secret, "***")
        return "\n".join(text.splitlines()[-_LAST_LINES:])


def describe_end(code: int) -> str:
    """Return how a process ended, for a person."""
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _set_aside(log_path: Path) -> None:
    try:
        if log_path.stat().st_size > _LOG_BYTES_MAX:
            log_path.replace(log_path.with_name(log_path.name + ".1"))
    except FileNotFoundError:
        return
