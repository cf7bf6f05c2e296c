"""The data folder: only this user's, and only one stack's at a time. Writes no content but its own lock."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Self

from jitprov.errors import ConfigurationError

_LOCK_FILE = "stack.lock"
_OF_OTHERS = 0o077
# A killed stack's warden holds the lock until all its processes have ended.
_PATIENCE_S = 20.0
_LOOK_EVERY_S = 0.1


def make_private(folder: Path) -> None:
    """Make a folder that only this user can enter, or see that it is one.

    Raises:
        ConfigurationError: It is somebody else's, others can read it, or it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = folder.stat()
    except OSError as error:
        raise ConfigurationError(
            f"the folder {folder} cannot be made ({error.strerror}): set JITPROV_DATA_DIR"
        ) from error
    if seen.st_uid != os.getuid():
        raise ConfigurationError(
            f"the folder {folder} belongs to another user: set JITPROV_DATA_DIR to one of your own"
        )
    if seen.st_mode & _OF_OTHERS:
        raise ConfigurationError(
            f"the folder {folder} is open to other users: chmod 700 {folder}, or set JITPROV_DATA_DIR"
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read; it is there whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123  needs the mode
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class FolderLock:
    """The right to a data folder, inside a `with` block or as long as a process that inherited `fd` lives.

    Args:
        folder: Made if need be; see `make_private`.
        patience_s: How long to wait for the processes of a stack that was killed.
    """

    def __init__(self, folder: Path, *, patience_s: float = _PATIENCE_S) -> None:
        self._folder = folder
        self._patience_s = patience_s
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """File descriptor that holds the lock."""
        if self._fd is None:
            raise ValueError("the lock is not held")
        return self._fd

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            ConfigurationError: Another stack has the folder, or the folder will not do.
        """
        make_private(self._folder)
        fd = os.open(self._folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            self._wait_for(fd)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock back, unless a process that inherited it lives."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _wait_for(self, fd: int) -> None:
        deadline_s = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 32, 0).decode().strip() or "unknown"
            else:
                return
            if _lives(holder):
                raise ConfigurationError(
                    f"the folder {self._folder} is in use by the stack of process {holder}: "
                    "stop that one, or set JITPROV_DATA_DIR to another folder"
                )
            if time.monotonic() >= deadline_s:
                raise ConfigurationError(
                    f"the folder {self._folder} is still held by what process {holder} has left behind: "
                    "end its warden, or set JITPROV_DATA_DIR to another folder"
                )
            threading.Event().wait(_LOOK_EVERY_S)


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ValueError, OSError):
        return False
    return True
