"""Ends everything that a supervisor has started, after the supervisor itself has ended in whatever way.

Runs as a process of its own, by path, with the standard library alone: it has to work when nothing else does. Reads
lines from a pipe whose other end only the supervisor holds; the kernel closes that end even after kill -9:

    +PGID STARTED     watch this process group; STARTED is its leader's start, in clock ticks since boot
    -PGID             it is gone, forget it
    dir DEV INODE P   remove this throw-away folder at the end

At the end of the pipe: SIGTERM to every group still watched, SIGKILL after the grace, then the folders. Refuses to
touch a process or folder that has taken over a number or name in the meantime.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LOOK_EVERY_S = 0.05
_KILLED_WITHIN_S = 5.0
_PROC = Path("/proc")


def started_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when there is none of that number."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def members(group: int) -> list[int]:
    """Return the living processes of a process group or of the session of that number; zombies do not live."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            # After the name: state, parent, process group, session.
            if fields and fields[0] not in "ZX" and str(group) in fields[2:4]:
                found.append(int(entry.name))
    return found


def signal_group(group: int, number: int) -> None:
    """Send a signal to every living process of a group or session; none is fine."""
    for pid in members(group):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _stat(pid: int) -> list[str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    # The name stands in parentheses and may hold anything, spaces and parentheses included.
    return text.rpartition(")")[2].split()


@dataclass(slots=True)
class Charge:
    """What is to be ended and removed.

    Attributes:
        groups: Process group → its leader's start, in clock ticks since boot.
        folders: Throw-away folder → its device and inode.
    """

    groups: dict[int, int] = field(default_factory=dict)
    folders: dict[str, tuple[int, int]] = field(default_factory=dict)

    def note(self, line: str) -> None:
        """Take in one line; one that makes no sense is left out, for the others must still be served."""
        try:
            if line.startswith("+"):
                group, started = line[1:].split()
                self.groups[int(group)] = int(started)
            elif line.startswith("-"):
                self.groups.pop(int(line[1:]), None)
            elif line.startswith("dir "):
                device, inode, path = line[4:].split(" ", 2)
                self.folders[path] = (int(device), int(inode))
        except ValueError:
            sys.stderr.write("warden: a line makes no sense\n")

    def still_ours(self) -> list[int]:
        """Return the groups that live and are the ones that were registered."""
        # While a group lives, its number is given to nobody: another process of that number means that it is gone.
        return [
            group for group, began in self.groups.items() if started_ticks(group) in {began, None} and members(group)
        ]


def end(groups: Iterable[int], *, grace_s: float) -> list[int]:
    """End process groups: SIGTERM, and SIGKILL for what is left after `grace_s`; return those that still live."""
    left = list(groups)
    for number, within_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILLED_WITHIN_S)):
        for group in left:
            signal_group(group, number)
        deadline_s = time.monotonic() + within_s
        while (left := [group for group in left if members(group)]) and time.monotonic() < deadline_s:
            if number == signal.SIGKILL:
                # A process that was being born escapes one round.
                for group in left:
                    signal_group(group, number)
            threading.Event().wait(_LOOK_EVERY_S)
    return left


def remove(folders: Mapping[str, tuple[int, int]]) -> None:
    """Remove throw-away folders, each only if it is still the one that was registered."""
    for path, (device, inode) in folders.items():
        try:
            seen = os.lstat(path)
        except OSError:
            continue
        if (seen.st_dev, seen.st_ino) == (device, inode):
            shutil.rmtree(path, ignore_errors=True)


def watch(lines: Iterable[bytes], *, grace_s: float) -> int:
    """Take in lines until they end, then end and remove; return how many groups could not be ended."""
    charge = Charge()
    for line in lines:
        # A line without its end was cut by the supervisor's death.
        if line.endswith(b"\n"):
            charge.note(os.fsdecode(line[:-1]))
    left = end(charge.still_ours(), grace_s=grace_s)
    remove(charge.folders)
    return len(left)


def main() -> None:
    """Watch standard input; the one argument is the grace in seconds."""
    # It must outlive whoever is told to go; it goes when the pipe ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(min(watch(sys.stdin.buffer, grace_s=float(sys.argv[1])), 1))


if __name__ == "__main__":
    main()
