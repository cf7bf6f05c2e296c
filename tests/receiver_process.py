"""The receiver as it is started for real, a process of its own on a real Redis; and what it holds."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from own_redis import free_port, wait_until

OPERATOR_KEY = "operator-" + "o" * 40


class ReceiverProcess:
    """`jitprov receiver` between `with` and its end; secrets are files in `secrets`, its log is `log`.

    Args:
        folder: For both.
        redis_url: Where its ledger is.
        **secrets: Secret files, by setting.
    """

    def __init__(self, folder: Path, redis_url: str, **secrets: str) -> None:
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self.log = folder / "receiver.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        for name, value in {"redis_url": redis_url, "operator_key": OPERATOR_KEY, **secrets}.items():
            self.secret(name).write_text(value)
        environment = {
            "JITPROV_SECRETS_DIR": str(self.secrets),
            "JITPROV_RECEIVER_PORT": str(self.port),
            "JITPROV_LOG_LEVEL": "DEBUG",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jitprov", "receiver"],
                env=dict(os.environ) | environment,
                cwd=folder,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        wait_until(self._listens, within_s=30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def alive(self) -> bool:
        """True while the process that was started runs."""
        return self._process.poll() is None

    @property
    def memory_bytes(self) -> int:
        """Return its resident memory."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def leave_files(self, number: int) -> None:
        """Let it open so many files more than it has open now, and no further."""
        opened = max(int(entry.name) for entry in Path(f"/proc/{self._process.pid}/fd").iterdir())
        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (opened + 1 + number, hard))

    def secret(self, name: str) -> Path:
        """Return a secret's file."""
        return self.secrets / f"jitprov_{name}"

    def events_logged(self) -> list[str]:
        """Return the names of what it logged; fails when a line is no JSON."""
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines()]

    def _listens(self) -> bool:
        assert self.alive, self.log.read_text()[-2000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
