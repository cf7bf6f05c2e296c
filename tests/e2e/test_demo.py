"""`jitprov demo` as a user starts it: agents sign in, the result is checked, nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from own_redis import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def temporary(tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary folder is the test's own, so that what is left behind shows."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return {**os.environ, "TMPDIR": str(folder), "NO_COLOR": "1"}


def left_in(environment: dict[str, str]) -> list[str]:
    return [entry.name for entry in Path(environment["TMPDIR"]).iterdir() if entry.name.startswith("jitprov")]


def processes_of(environment: dict[str, str]) -> list[int]:
    """Return processes that carry the test's own temporary folder in their environment."""
    marker = f"TMPDIR={environment['TMPDIR']}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            running = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if running and marker in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_the_demo_makes_every_agent_ready(temporary: dict[str, str]) -> None:
    """Agents of both departments end call-ready, checked in the sandbox, within the limit; exit code 0."""
    done = subprocess.run(
        [sys.executable, "-m", "jitprov", "demo", "--agents", "40", "--json"],
        env=temporary,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads(done.stdout)
    assert (summary["ready"], summary["failed"], summary["wrong"]) == (40, 0, [])
    assert (summary["answers_429"], summary["windows_over_limit"]) == (0, 0)
    assert summary["calls_per_agent"] < 5
    assert left_in(temporary) == []
    assert processes_of(temporary) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_demo_leaves_nothing(temporary: dict[str, str], how: signal.Signals) -> None:
    """However the demo is ended in the middle, no process and no folder stays; not even after kill -9."""
    log = Path(temporary["TMPDIR"]).with_name("demo.log")
    with log.open("w") as sink:
        running = subprocess.Popen(
            [sys.executable, "-m", "jitprov", "demo", "--agents", "200"], env=temporary, stdout=sink, stderr=sink
        )
    try:
        wait_until(lambda: "sign in now" in log.read_text(), within_s=60)
        running.send_signal(how)
        running.wait(timeout=60)
        wait_until(lambda: processes_of(temporary) == [] and left_in(temporary) == [], within_s=30)
    finally:
        running.kill()
        running.wait()
