"""Commands and steps without a process of their own: the real command line, ledger, budget and client, over a sandbox.

What takes a second process (a worker, its pool, its signals) is tested elsewhere; here it would cost seconds a command.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from jitprov.cli import app
from jitprov.domain.outcomes import Done
from jitprov.domain.provisioning import Provisioning, State
from jitprov.pipeline.runner import Runner
from jitprov.pipeline.tasks import make_runner
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import settings
from jitprov.wiring import Services, make_services

# A POST of the API that changes nothing.
SEARCH = "POST /api/v2/users/search"


@dataclass(frozen=True)
class InProcess:
    """A command line and a worker's insides over one sandbox."""

    sandbox: SandboxThread
    folder: Path

    def rules(self, text: str) -> None:
        """Put rules in force."""
        (self.folder / "rules.yaml").write_text(text)

    def told(self, *command: str, code: int = 0) -> Any:
        """Run a command with --json and return what it tells."""
        result = CliRunner().invoke(app, [*command, "--json"])
        assert result.exit_code == code, f"{command}: {result.output} {result.exception!r}"
        return json.loads(result.stdout)

    def said(self, *command: str, code: int = 0) -> str:
        """Run a command and return all that it says, lines joined."""
        result = CliRunner().invoke(app, list(command))
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    def services(self) -> Services:
        """Return what a worker works with."""
        return make_services(settings())

    def walk(self, *user_ids: str) -> list[Provisioning]:
        """Walk agents through their steps as a worker would, and return their records."""
        kept = self.services()
        runner = make_runner(kept)
        records = []
        for user_id in user_ids:
            record = kept.ledger.find(user_id)
            assert record is not None
            records.append(self._walked(runner, kept, record))
        return records

    @staticmethod
    def _walked(runner: Runner, kept: Services, record: Provisioning) -> Provisioning:
        for _ in range(200):
            if record.state.ended:
                break
            outcome = runner.run(record.provisioning_id, record.step, record.generation, token=uuid4().hex)
            if not isinstance(outcome, Done):
                kept.clock.wait(getattr(outcome, "wait_s", 0.0) * kept.settings.time_scale)
            seen = kept.ledger.get(record.provisioning_id)
            assert seen is not None
            record = seen
        assert record.state is State.READY, record.failure
        return record

    def sent(self, since: int = 0) -> list[str]:
        """Return the requests that changed something, as `METHOD route`, in their order."""
        entries = self.sandbox.control.journal(since=since, limit=100_000)
        calls = [f"{entry['method']} {entry['route']}" for entry in entries if entry["path"] != "/oauth/token"]
        return [call for call in calls if not call.startswith("GET ") and call != SEARCH]

    def so_far(self) -> int:
        """Return the number of the last request."""
        return max((int(entry["seq"]) for entry in self.sandbox.control.journal(limit=100_000)), default=0)


@contextmanager
def in_process(
    sandbox: SandboxThread, redis_url: str, key_prefix: str, folder: Path, **more: str
) -> Iterator[InProcess]:
    """Let this process' commands work on a sandbox."""
    (folder / "rules.yaml").touch()
    own = {
        "JITPROV_REDIS_URL": redis_url,
        "JITPROV_KEY_PREFIX": key_prefix,
        "JITPROV_API_URL": sandbox.base_url,
        "JITPROV_TIME_SCALE": "1",
        "JITPROV_API_LIMIT_PER_MIN": "100000",
        "JITPROV_CLIENT_ID": "sandbox-client",
        "JITPROV_CLIENT_SECRET": "sandbox-secret",
        "JITPROV_WEBHOOK_KEY": "w" * 40,
        "JITPROV_DATA_KEY": "d" * 40,
        "JITPROV_RULES_FILE": str(folder / "rules.yaml"),
        "JITPROV_DATA_DIR": str(folder / "data"),
        **more,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in own.items():
            patch.setenv(name, value)
        settings.cache_clear()
        assert not [name for name in os.environ if name.startswith("JITPROV_") and name not in own]
        yield InProcess(sandbox, folder)
    settings.cache_clear()
