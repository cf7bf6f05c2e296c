"""The supervisor with real processes: ready, restarted, stopped, and nothing left of any group."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from jitprov.errors import DependencyDown
from jitprov.stack import warden
from jitprov.stack.supervisor import Happening, Part, PartState, PartStatus, Supervisor
from own_redis import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SLEEPS = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('set', flush=True); time.sleep(600)"
)
# Has a child that hears no SIGTERM, and ends itself at once when asked to.
FORKS = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print(child.pid, flush=True)
child.wait()
"""


class Keeping:
    """Supervisors of one test, and what they told."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.folder = folder
        self.told: list[Happening] = []
        self._opened = opened

    def supervisor(self, **given: Any) -> Supervisor:
        given = {"logs": self.folder, "told": self.told.append, "pause_first_s": 0.1, **given}
        return self._opened.enter_context(Supervisor(**given))

    def part(self, name: str, code: str, **given: Any) -> Part:
        argv = (sys.executable, "-I", "-S", "-c", code)
        return Part(name=name, argv=argv, log_path=self.folder / f"{name}.log", **given)

    def logged(self, name: str, text: str = "set") -> Callable[[], bool]:
        return lambda: text in (self.folder / f"{name}.log").read_text()


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Keeping]:
    with ExitStack() as opened:
        yield Keeping(tmp_path, opened)


def lives(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def only(supervisor: Supervisor) -> PartStatus:
    (status,) = supervisor.status()
    return status


def test_parts_run_until_the_stop(keeping: Keeping) -> None:
    """Each started part is up with a process group of its own; after the stop none of them lives."""
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("one", SLEEPS), keeping.part("two", SLEEPS)])
    pids = [status.pid or 0 for status in supervisor.status()]

    assert [(status.name, status.state, status.restarts) for status in supervisor.status()] == [
        ("one", PartState.UP, 0),
        ("two", PartState.UP, 0),
    ]
    assert [os.getpgid(pid) for pid in pids] == pids
    assert len(set(pids)) == 2

    supervisor.stop()

    assert [warden.members(pid) for pid in pids] == [[], []]
    assert {status.state for status in supervisor.status()} == {PartState.STOPPED}
    assert {status.pid for status in supervisor.status()} == {None}


def test_a_stop_leaves_no_grandchild(keeping: Keeping) -> None:
    """A part that goes when asked but leaves a child that hears nothing is cleared away with it."""
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("forks", FORKS, ready=keeping.logged("forks"))])
    group = only(supervisor).pid or 0
    assert len(warden.members(group)) == 2

    began_s = time.monotonic()
    supervisor.stop()

    assert warden.members(group) == []
    assert time.monotonic() - began_s < 5


def test_a_child_with_a_group_of_its_own_is_cleared_away(keeping: Keeping) -> None:
    """A child that has left its part's process group, though not its session, is cleared away as well."""
    code = FORKS.replace("])", "], process_group=0)")
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("forks", code, ready=keeping.logged("forks"))])
    group = only(supervisor).pid or 0
    child = int((keeping.folder / "forks.log").read_text().replace("set", "").split()[0])
    assert os.getpgid(child) == child

    supervisor.stop()

    assert not lives(child)
    assert warden.members(group) == []


def test_who_does_not_stop_is_killed(keeping: Keeping) -> None:
    """A part that does not end in its time is killed, no sooner and not much later."""
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("deaf", STUBBORN, ready=keeping.logged("deaf"), stop_within_s=0.5)])
    group = only(supervisor).pid or 0

    began_s = time.monotonic()
    supervisor.stop()

    assert warden.members(group) == []
    assert 0.5 <= time.monotonic() - began_s < 3


def test_hurry_waits_for_nobody(keeping: Keeping) -> None:
    """A stop that is made to hurry kills at once, however much time its parts have."""
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("deaf", STUBBORN, ready=keeping.logged("deaf"), stop_within_s=50)])
    group = only(supervisor).pid or 0
    soon = threading.Timer(0.3, supervisor.hurry)
    soon.start()

    began_s = time.monotonic()
    supervisor.stop()
    soon.join()

    assert warden.members(group) == []
    assert time.monotonic() - began_s < 5


def test_stages_stop_in_reverse(keeping: Keeping) -> None:
    """What stands on another part has ended before that one is asked to."""
    says_when = (
        "import signal, sys, time\n"
        "def end(*_):\n    time.sleep(0.3); print('ended', time.monotonic(), flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('set', flush=True); time.sleep(600)"
    )
    supervisor = keeping.supervisor()
    for name in ("first", "second"):
        supervisor.start([keeping.part(name, says_when, ready=keeping.logged(name))])
    supervisor.stop()

    ended = {name: float((keeping.folder / f"{name}.log").read_text().split()[-1]) for name in ("first", "second")}
    assert ended["second"] + 0.25 < ended["first"]


def test_the_stop_signal_is_the_part_s_own(keeping: Keeping) -> None:
    """A part is asked to stop with its own signal, and alone: its children hear it from it, or not at all."""
    notes = (
        "import os, signal, sys, time\n"
        "def end(*_):\n    print('quit', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGQUIT, end); print('set', flush=True); time.sleep(600)"
    )
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("quits", notes, ready=keeping.logged("quits"), stop_signal=signal.SIGQUIT)])
    supervisor.stop()

    assert (keeping.folder / "quits.log").read_text().split() == ["set", "quit"]


def test_who_ends_is_started_again(keeping: Keeping) -> None:
    """A part that is killed comes back with a new process; the restart is counted and told."""
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("comes-back", SLEEPS)])
    first = only(supervisor).pid or 0
    os.kill(first, signal.SIGKILL)

    wait_until(lambda: only(supervisor).state is PartState.UP and only(supervisor).restarts == 1, within_s=10)
    assert only(supervisor).pid not in {first, None}
    assert [happening.what for happening in keeping.told] == ["ended", "started_again", "up"]
    assert "SIGKILL" in keeping.told[0].text
    supervisor.check()


def test_children_of_the_dead_go_first(keeping: Keeping) -> None:
    """Before a part is started again, what its killed predecessor has left behind is gone."""
    supervisor = keeping.supervisor(pause_first_s=30.0)
    supervisor.start([keeping.part("forks", FORKS, ready=keeping.logged("forks"))])
    group = only(supervisor).pid or 0
    os.kill(group, signal.SIGKILL)

    wait_until(lambda: only(supervisor).state is PartState.PAUSED, within_s=10)
    assert warden.members(group) == []


def test_pauses_grow_and_are_complained_of(keeping: Keeping) -> None:
    """Who ends again and again is started after ever longer pauses, and the check says so with its last words."""
    once = keeping.folder / "once"
    code = f"""
import pathlib, sys, time
once = pathlib.Path({str(once)!r})
if once.exists():
    print("my secret cause")
    sys.exit(3)
once.touch()
time.sleep(2)
"""
    supervisor = keeping.supervisor(pause_first_s=0.05, masked=["secret", ""])
    supervisor.start([keeping.part("ends", code)])

    def complaint() -> str:
        try:
            supervisor.check()
        except DependencyDown as error:
            return str(error)
        return ""

    wait_until(lambda: bool(complaint()), within_s=20)
    pauses = [happening.text.split()[-2] for happening in keeping.told if happening.what == "ended"]
    assert pauses[:4] == ["0.05", "0.1", "0.2", "0.4"]
    assert "5 times in a row" in complaint()
    assert "my *** cause" in complaint()
    assert str(keeping.folder / "ends.log") in complaint()


def test_who_dies_while_starting_is_told(keeping: Keeping) -> None:
    """A part that ends before it is ready is an error with its last lines, secrets masked, and its log's path."""
    supervisor = keeping.supervisor(masked=["hunter2"])
    part = keeping.part("dies", "print('cannot reach redis with hunter2'); raise SystemExit(5)", ready=lambda: False)

    with pytest.raises(DependencyDown, match="dies ended with code 5 while it started") as caught:
        supervisor.start([part])
    assert "cannot reach redis with ***" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert str(part.log_path) in str(caught.value)


def test_who_is_never_ready_is_told(keeping: Keeping) -> None:
    """A part that runs and is never ready is an error in its time, and is gone after the stop."""

    def refuses() -> bool:
        raise ConnectionRefusedError

    supervisor = keeping.supervisor()
    part = keeping.part("late", SLEEPS, ready=refuses, ready_within_s=0.4)

    with pytest.raises(DependencyDown, match=r"late is not ready after 0\.4 s\. It wrote nothing"):
        supervisor.start([part])
    group = only(supervisor).pid or 0
    assert warden.members(group) == [group]
    supervisor.stop()
    assert warden.members(group) == []


def test_who_comes_back_late_is_not_killed(keeping: Keeping) -> None:
    """A part that is slow after a restart is told once and left to its work; it may be reading a long file."""
    ready = threading.Event()
    ready.set()
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("slow", SLEEPS, ready=ready.is_set, ready_within_s=0.3)])
    ready.clear()
    os.kill(only(supervisor).pid or 0, signal.SIGKILL)

    wait_until(lambda: "late" in [happening.what for happening in keeping.told], within_s=10)
    pid = only(supervisor).pid
    ready.set()
    wait_until(lambda: only(supervisor).state is PartState.UP, within_s=10)
    assert only(supervisor).pid == pid
    assert [happening.what for happening in keeping.told] == ["ended", "started_again", "late", "up"]


def test_an_absent_program_is_told(keeping: Keeping) -> None:
    """A program that does not exist is an error that names it."""
    supervisor = keeping.supervisor()
    part = Part(name="absent", argv=("/no/such/program",), log_path=keeping.folder / "absent.log", ready=lambda: False)

    with pytest.raises(DependencyDown, match="cannot start /no/such/program"):
        supervisor.start([part])


def test_a_log_that_cannot_be_written_is_told(keeping: Keeping) -> None:
    """A part whose log has no place is an error that names it, and nothing is started."""
    supervisor = keeping.supervisor()
    part = Part(name="mute", argv=("true",), log_path=keeping.folder / "absent" / "mute.log")

    with pytest.raises(DependencyDown, match="mute cannot be started"):
        supervisor.start([part])
    assert only(supervisor).pid is None


def test_a_start_can_be_interrupted(keeping: Keeping) -> None:
    """A start that is interrupted breaks off, and the stop clears away what it has started."""
    supervisor = keeping.supervisor()

    with pytest.raises(KeyboardInterrupt):
        supervisor.start([keeping.part("waits", SLEEPS, ready=lambda: False)], interrupted=lambda: True)
    group = only(supervisor).pid or 0
    supervisor.stop()
    assert warden.members(group) == []


def test_nothing_starts_after_the_stop(keeping: Keeping) -> None:
    """Once stopped, nothing is started any more; stopping twice is no harm."""
    supervisor = keeping.supervisor()
    supervisor.stop()
    supervisor.stop()

    with pytest.raises(DependencyDown, match="being stopped"):
        supervisor.start([keeping.part("too-late", SLEEPS)])


def test_a_killed_warden_is_replaced(keeping: Keeping) -> None:
    """When the warden itself is killed, another takes its place and knows what the first knew."""
    supervisor = keeping.supervisor()
    supervisor.start([keeping.part("kept", SLEEPS)])
    first = supervisor._link.pid or 0
    os.kill(first, signal.SIGKILL)

    wait_until(lambda: supervisor._link.pid not in {first, None}, within_s=10)
    assert lives(only(supervisor).pid or 0)
    assert supervisor._link._groups.keys() == {only(supervisor).pid}


def test_a_part_may_ignore_nothing_it_did_not_choose(keeping: Keeping) -> None:
    """A part starts with the signals as a shell would give them: a broken pipe ends it, as every program expects."""
    # Python sets its own when it starts, so a shell is asked.
    part = Part(
        name="signals",
        argv=("/bin/sh", "-c", "grep SigIgn /proc/self/status; exec sleep 600"),
        log_path=keeping.folder / "signals.log",
        ready=keeping.logged("signals", "SigIgn"),
    )
    keeping.supervisor().start([part])
    ignored = int((keeping.folder / "signals.log").read_text().split()[1], 16)

    assert not ignored & (1 << (signal.SIGPIPE - 1))


def test_a_long_log_is_set_aside(keeping: Keeping) -> None:
    """A log that has grown too long is set aside at the next start, so that no disk is filled by starts."""
    log = keeping.folder / "long.log"
    log.write_bytes(b"x" * (16 * 1024 * 1024 + 1))
    keeping.supervisor().start(
        [keeping.part("long", "print('set', flush=True); " + SLEEPS, ready=keeping.logged("long"))]
    )

    assert log.stat().st_size < 100
    assert log.with_name("long.log.1").stat().st_size > 16 * 1024 * 1024


def test_a_broken_watching_is_told(keeping: Keeping) -> None:
    """Should the watching itself break, it is told and not passed over."""

    def breaks(_: Happening) -> None:
        raise ValueError("a defect")

    supervisor = keeping.supervisor(told=breaks)
    supervisor.start([keeping.part("ends", "import time; time.sleep(2)")])

    def broken() -> bool:
        try:
            supervisor.check()
        except DependencyDown as error:
            return "a defect" in str(error)
        return False

    wait_until(broken, within_s=10)
