"""Real parts for integration tests: processes of jitprov over a test's own Redis, against a sandbox in a thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jitprov.domain.provisioning import Provisioning, State
from jitprov.ledger.redis import RedisLedger
from jitprov.sandbox.server import SandboxThread
from jitprov.sealing import Seals
from own_redis import OwnRedis, wait_until

PROJECT = Path(__file__).parent.parent


@dataclass
class RealParts:
    """Starts parts as `python -m jitprov PART`, and ends what it started."""

    redis: OwnRedis
    sandbox: SandboxThread
    folder: Path
    time_scale: float = 20.0
    settings: dict[str, str] = field(default_factory=dict)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of every part; secrets are the tests' own."""
        own = {
            "JITPROV_REDIS_URL": self.redis.url,
            "JITPROV_API_URL": self.sandbox.base_url,
            "JITPROV_TIME_SCALE": str(self.time_scale),
            "JITPROV_CLIENT_ID": "sandbox-client",
            "JITPROV_CLIENT_SECRET": "sandbox-secret",
            "JITPROV_WEBHOOK_KEY": "w" * 40,
            "JITPROV_OPERATOR_KEY": "o" * 40,
            "JITPROV_DATA_KEY": "d" * 40,
            "JITPROV_DATA_DIR": str(self.folder / "data"),
            "JITPROV_WORKER_CONCURRENCY": "2",
            "JITPROV_MESSAGE_GRACE_S": "2",
            "JITPROV_RECONCILE_EVERY_S": "0.5",
            "PYTHONPATH": str(PROJECT),
            "NO_COLOR": "1",
        }
        return {**os.environ, **own, **self.settings, **more}

    def own_settings(self) -> dict[str, Any]:
        """Return what the parts' environment sets, as `read_settings` takes it."""
        return {
            name.removeprefix("JITPROV_").lower(): value
            for name, value in self.environment().items()
            if name.startswith("JITPROV_")
        }

    def start(
        self, *part: str, until: str | None = None, program: Sequence[str] = ("jitprov",), **more: str
    ) -> subprocess.Popen[bytes]:
        """Start a part in its own process group, by another program if told; wait for a word in its log."""
        log = self.folder / f"{part[0]}-{len(self._processes)}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", *program, *part],
                cwd=PROJECT,
                env=self.environment(**more),
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._processes.append(process)
        if until:

            def spoken() -> bool:
                text = log.read_text(errors="replace")
                assert process.poll() is None, text[-3000:]
                return until in text

            wait_until(spoken, within_s=60)
        return process

    def worker(self, *options: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it takes messages."""
        return self.start("worker", *options, until="worker_ready", **more)

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command of jitprov to its end."""
        return self._run("jitprov", *command, **more)

    def celery(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Celery's own on jitprov's app to its end."""
        return self._run("celery", "-A", "jitprov", *command, **more)

    def _run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=PROJECT,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ledger(self) -> RedisLedger:
        """Return the ledger that the parts use; close it after use."""
        return RedisLedger.connect(self.redis.url, "jitprov:", seals=Seals("d" * 40))

    def logs(self) -> str:
        """Return all that the parts have said."""
        return "\n".join(log.read_text(errors="replace") for log in sorted(self.folder.glob("*.log")))

    @staticmethod
    def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> None:
        """End a part with its whole process group."""
        if process.poll() is None:
            os.killpg(process.pid, number)
            process.wait(timeout=60)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every part."""
        for process in reversed(self._processes):
            self.end(process)


def ended(ledger: RedisLedger, user_id: str, state: State) -> bool:
    """Tell whether a user's provisioning stands in a state."""
    record: Provisioning | None = ledger.find(user_id)
    return record is not None and record.state is state


def by_id(users: list[Mapping[str, object]]) -> dict[str, Mapping[str, object]]:
    """Return the sandbox' users by id."""
    return {str(user["id"]): user for user in users}
