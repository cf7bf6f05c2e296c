"""The supervisor's end of the warden's pipe: starts it, tells it what to end, starts it again should it die.

Holds the pipe's only writing end, which no child inherits. Safe to call from any thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from jitprov.errors import ConfigurationError
from jitprov.stack import warden

_SLACK_S = 10.0


class WardenLink:
    """One warden process, and what it has been told.

    Args:
        grace_s: Seconds between SIGTERM and SIGKILL once the supervisor is dead.
        log_path: Where it writes; it writes only when something is wrong.
        held_fds: File descriptors it keeps open for as long as it lives: the data folder's lock, so that no other
            stack takes the folder before everything of this one has ended.
    """

    def __init__(self, *, grace_s: float, log_path: Path, held_fds: Sequence[int] = ()) -> None:
        self._grace_s = grace_s
        self._log_path = log_path
        self._held_fds = tuple(held_fds)
        self._lock = threading.Lock()
        self._groups: dict[int, str] = {}
        self._folders: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The warden's process; None when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def open(self) -> None:
        """Start the warden, or start it again with all it should know; nothing happens while it runs."""
        with self._lock:
            if self.pid is None:
                self._start()

    def watch(self, group: int) -> None:
        """Have a process group ended, should the supervisor die; its leader must live or be unreaped."""
        started = warden.started_ticks(group)
        with self._lock:
            self._groups[group] = f"+{group} {started}"
            self._tell(self._groups[group])

    def forget(self, group: int) -> None:
        """Take a group from the list: nothing of it lives."""
        with self._lock:
            if self._groups.pop(group, None):
                self._tell(f"-{group}")

    def throw_away(self, folder: Path) -> None:
        """Have a folder removed at the end, however the supervisor ends.

        Raises:
            ConfigurationError: Its name has a line break.
        """
        path = str(folder.absolute())
        if "\n" in path:
            raise ConfigurationError("the throw-away folder's name has a line break: choose another folder (TMPDIR)")
        seen = folder.lstat()
        with self._lock:
            self._folders.append(f"dir {seen.st_dev} {seen.st_ino} {path}")
            self._tell(self._folders[-1])

    def close(self) -> None:
        """End the pipe and wait until the warden has done its work."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        _hang_up(process)
        try:
            process.wait(self._grace_s + _SLACK_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tell(self, line: str) -> None:
        if self._process is not None and not _write(self._process, [line]):
            self._start()  # it died, and the new one is told everything

    def _start(self) -> None:
        if self._process is not None:
            _hang_up(self._process)
            self._process.wait()
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own file, by our own Python
                [sys.executable, "-I", "-S", warden.__file__, str(self._grace_s)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                bufsize=0,
                cwd="/",
                start_new_session=True,
                pass_fds=self._held_fds,
            )
        # Should this one die as well, the supervisor's next look starts another.
        _write(self._process, [*self._groups.values(), *self._folders])


def _write(process: subprocess.Popen[bytes], lines: Sequence[str]) -> bool:
    """Write lines to the warden; tell whether it lives to read them."""
    if process.stdin is None:
        return False
    try:
        process.stdin.write(b"".join(os.fsencode(line) + b"\n" for line in lines))
    except OSError:
        return False
    return True


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
