"""Whatever ends the supervisor, kill -9 included, nothing that it has started stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jitprov.errors import ConfigurationError
from jitprov.stack import gate, warden
from jitprov.stack.folder import FolderLock
from jitprov.stack.warden_link import WardenLink
from own_redis import free_port, redis_server, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

ROOT = Path(__file__).parents[2]
# What a user's `up` is in small: a Redis, and a part whose child hears no SIGTERM; then it waits to be ended.
SUPERVISOR = """
import sys, time
from pathlib import Path
from jitprov.stack.folder import FolderLock
from jitprov.stack.interrupts import Interrupts, Phase
from jitprov.stack.supervisor import Part, Supervisor

folder, server, port, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('set', flush=True); time.sleep(600)"
forks = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {deaf!r}]).wait()"
parts = [
    Part(name="redis", argv=(server, "--port", port, "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""),
         log_path=folder / "redis.log"),
    Part(name="forks", argv=(sys.executable, "-c", forks), log_path=folder / "forks.log", stop_within_s=1.0,
         ready=lambda: "set" in (folder / "forks.log").read_text()),
]
keep = {"throw_away": folder} if how == "throw-away" else {}
with FolderLock(folder) as lock, Supervisor(logs=folder, held_fds=(lock.fd,), grace_s=0.5, **keep) as supervisor:
    with Interrupts(supervisor.hurry) as interrupts:
        supervisor.start(parts)
        interrupts.run()
        print(*[status.pid for status in supervisor.status()], supervisor._link.pid, flush=True)
        try:
            time.sleep(600)
        finally:
            interrupts.phase = Phase.STOPPING
            supervisor.stop()
"""


class Supervising:
    """A process that supervises, its parts' groups and its warden."""

    def __init__(self, folder: Path, how: str) -> None:
        self.folder = folder
        command = [sys.executable, "-c", SUPERVISOR, str(folder), redis_server(), str(free_port()), how]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        *self.groups, self.warden = map(int, self.process.stdout.readline().split())

    def left(self) -> list[int]:
        return [pid for group in (*self.groups, self.warden) for pid in warden.members(group)]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        for group in (*self.groups, self.warden):
            warden.signal_group(group, signal.SIGKILL)


@pytest.fixture(params=["throw-away", "keep"])
def supervising(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervising]:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    running = Supervising(folder, request.param)
    yield running
    running.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV])
def test_nothing_is_left(supervising: Supervising, how: signal.Signals) -> None:
    """However the supervisor ends, within seconds no process of any group is left, and only a kept folder stays."""
    assert len(supervising.left()) == 4
    kept = (supervising.folder / "redis.log").exists()
    throws_away = "throw-away" in supervising.process.args  # type: ignore[operator]

    supervising.process.send_signal(how)
    supervising.process.wait(timeout=20)

    wait_until(lambda: supervising.left() == [], within_s=10)
    assert kept
    assert supervising.folder.exists() is not throws_away


@pytest.mark.parametrize("supervising", ["keep"], indirect=True)
def test_a_second_signal_kills_at_once(supervising: Supervising) -> None:
    """Ctrl-C twice waits for nobody."""
    supervising.process.send_signal(signal.SIGINT)
    supervising.process.send_signal(signal.SIGINT)
    supervising.process.wait(timeout=5)

    wait_until(lambda: supervising.left() == [], within_s=5)


@pytest.mark.parametrize("supervising", ["keep"], indirect=True)
def test_a_folder_is_taken_until_its_last_process_ends(supervising: Supervising) -> None:
    """After kill -9 the next stack gets the folder only when everything of the first has ended; then it does get it."""
    supervising.process.kill()
    supervising.process.wait()
    with pytest.raises(ConfigurationError, match="left behind"):
        FolderLock(supervising.folder, patience_s=0).__enter__()

    with FolderLock(supervising.folder):
        assert supervising.left() == []


def test_a_part_without_a_supervisor_never_begins(tmp_path: Path) -> None:
    """A part whose supervisor dies before it is registered does not begin."""
    made = tmp_path / "made"
    waiting = subprocess.Popen(
        [sys.executable, "-I", "-S", gate.__file__, "/bin/sh", "-c", f"touch {made}"], stdin=subprocess.PIPE
    )
    waiting.communicate(b"", timeout=10)

    assert waiting.returncode == 0
    assert not made.exists()


def test_the_warden_waits_out_signals(tmp_path: Path) -> None:
    """The warden goes when the pipe ends and not when it is told to: it is needed most when all others are told."""
    link = WardenLink(grace_s=0.1, log_path=tmp_path / "warden.log")
    link.open()
    pid = link.pid or 0
    # It takes a moment until it hears nothing.
    wait_until(lambda: _ignores(pid, signal.SIGTERM), within_s=10)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)

    assert link.pid == pid
    link.close()
    assert link.pid is None
    assert warden.members(pid) == []
    assert (tmp_path / "warden.log").read_text() == ""


def test_a_dead_warden_is_noticed_when_told(tmp_path: Path) -> None:
    """What is said to a dead warden is said to its successor, with all that was said before."""
    folder = tmp_path / "thrown-away"
    folder.mkdir()
    link = WardenLink(grace_s=0.1, log_path=tmp_path / "warden.log")
    link.open()
    link.throw_away(folder)
    first = link.pid or 0
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: warden.members(first) == [], within_s=10)
    sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
    link.watch(sleeper.pid)

    assert link.pid not in {first, None}
    link.close()
    assert sleeper.wait(timeout=10) == -signal.SIGTERM
    assert not folder.exists()


def test_a_line_break_in_a_folder_s_name_is_refused(tmp_path: Path) -> None:
    """A name that would read as two lines is refused before it can name another folder."""
    link = WardenLink(grace_s=0.1, log_path=tmp_path / "warden.log")

    with pytest.raises(ConfigurationError, match="line break"):
        link.throw_away(tmp_path / "a\nb")


def test_warden_ends_what_is_left(tmp_path: Path) -> None:
    """At the pipe's end each registered group is asked, then killed; the count of what remains is the answer."""
    deaf = subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM; echo set; exec sleep 600"], start_new_session=True, stdout=subprocess.PIPE
    )
    assert deaf.stdout is not None
    deaf.stdout.readline()
    began = warden.started_ticks(deaf.pid)

    assert warden.watch([f"+{deaf.pid} {began}\n".encode()], grace_s=0.2) == 0
    assert deaf.wait(timeout=10) == -signal.SIGKILL
    deaf.stdout.close()


def test_a_number_that_others_have_taken_over_is_spared() -> None:
    """A group whose leader started at another time than the registered one is somebody else's: nothing is sent."""
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    began = warden.started_ticks(other.pid) or 0

    assert warden.watch([f"+{other.pid} {began - 1}\n".encode()], grace_s=0.1) == 0
    assert other.poll() is None
    other.kill()
    other.wait()


def _ignores(pid: int, number: signal.Signals) -> bool:
    (mask,) = [line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigIgn" in line]
    return bool(int(mask, 16) & 1 << (number - 1))
