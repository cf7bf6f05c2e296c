"""Starting and stopping: in a thread, as a process, on a port that is taken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread

ROOT = Path(__file__).parents[3]
PROGRAM = """
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import serve
serve(SandboxOptions(), lambda host, port, control_port: print(port, control_port, flush=True))
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_until_told_to_stop(number: signal.Signals) -> None:
    """`serve` announces its ports, answers, and ends with 0 soon after the signal, with a request hanging."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port, control_port = map(int, process.stdout.readline().split())
        control = f"http://127.0.0.1:{control_port}"
        assert requests.get(f"{control}/healthz", timeout=5).json()["status"] == "ok"
        requests.put(f"{control}/faults", json=[{"action": "hang"}], timeout=5)
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"http://127.0.0.1:{port}/oauth/token", timeout=0.2)
        began = time.monotonic()

        process.send_signal(number)

        assert process.stdout.read() == "stopped\n"
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
        assert process.stderr.read() == ""


def test_a_taken_port_is_an_error() -> None:
    """A second sandbox on the same port says so and leaves the first alone."""
    with SandboxThread() as first:
        port = int(first.base_url.rsplit(":", 1)[1])

        with pytest.raises(OSError, match="in use"), SandboxThread(SandboxOptions(port=port)):
            pass

        assert first.control.healthz()["status"] == "ok"


def test_nothing_listens_after_the_end() -> None:
    """Leaving the `with` block closes both ports."""
    with SandboxThread() as sandbox:
        urls = (sandbox.base_url, sandbox.control_url)

    for url in urls:
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=1)
