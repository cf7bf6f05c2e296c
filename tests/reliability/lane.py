"""A place of its own for one run at a time: a Redis, a sandbox, and the parts of jitprov, forked from a warm process.

Forked, since a start from cold costs a second of processor time, and an enumeration has a thousand of them. The
process that forks has imported the libraries but nothing of jitprov that reads settings, and has one thread.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Self

from jitprov.sandbox.control_client import SandboxControl
from own_redis import OwnRedis, free_port
from reliability.tripwire import Tripwire, become

PROJECT = Path(__file__).parents[2]
DATA_KEY = "reliability-data-key-" + "d" * 24
WEBHOOK_KEY = "reliability-webhook-key-" + "k" * 24
# Those of benchmarks/, whose plain chain runs here too.
CLIENT_ID, CLIENT_SECRET = "bench-client", "bench-secret-that-guards-nothing"
TIME_SCALE = 20.0
# The shipped rules, and a department whose agents walk all seven steps.
RULES = f"""{(PROJECT / "jitprov/rules/default.yaml").read_text().partition("# Tried by")[0]}
  - name: Seasonal leads
    when:
      department: Seasonal_Lead
    skills: {{Escalations: 3}}
    utilization: {{chat: {{capacity: 2, interruptible: [call]}}}}
    roles: [Seasonal Agent]
    groups: [Retail Floor]
    queues: [Retail Calls, Overflow]
"""

# Imported before any fork; none of them reads the environment of a part.
_WARM = [
    "aiohttp.web",
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.worker.worker",
    "celery.worker.consumer",
    "celery.app.amqp",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.apps.worker",
    "celery.worker.autoscale",
    "celery.backends.base",
    "kombu.transport.redis",
    "redis",
    "requests",
    "cryptography.fernet",
    "fastapi",
    "uvicorn",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "httptools",
    "prometheus_client",
    "jinja2",
    "jsonschema",
    "pydantic_settings",
    "yaml",
    "typer",
    "rich.console",
    "rich.markup",
    "jitprov.ledger.redis",
    "jitprov.domain.provisioning",
]


class Late(Exception):  # noqa: N818  what happened
    """Something did not come true in time."""


def warm_up() -> None:
    """Import what every part needs."""
    for name in _WARM:
        importlib.import_module(name)


def until(holds: Callable[[], bool], *, within_s: float, what: str = "", every_s: float = 0.02) -> None:
    """Return as soon as something holds; when it does not in time, raise `Late`, or return if it has no name."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            if not what:
                return
            raise Late(f"{what}: not within {within_s:g} s")
        time.sleep(every_s)


class Forked:
    """A process of a part, the leader of a group of its own."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._watch = os.pidfd_open(pid)
        self._ended = False

    def alive(self) -> bool:
        """Tell whether it runs; buries it when it does not."""
        if not self._ended and select.select([self._watch], [], [], 0)[0]:
            os.waitpid(self.pid, 0)
            os.close(self._watch)
            self._ended = True
        return not self._ended

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill it and its children, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        until(lambda: not self.alive(), within_s=30, what=f"end of {self.log.name}")

    def says(self, word: str) -> bool:
        """Tell whether its log has a word."""
        if not self.alive():
            raise Late(f"{self.log.name} ended: {self.log.read_text(errors='replace')[-1500:]}")
        return word in self.log.read_text(errors="replace")


def fork(module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path, **how: object) -> Forked:
    """Start a module in a fork of this process; see `become` for `how`."""
    log.touch()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _child(module, arguments, environment, log, **how)
    return Forked(pid, log)


def _child(module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path, **how: object) -> NoReturn:
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(PROJECT)
        become(module, arguments, **how)  # type: ignore[arg-type]
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        if isinstance(end.code, str):
            print(end.code)
    except BaseException:  # noqa: BLE001  told in its log; the parent must not go on in here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@dataclass
class Lane:
    """Redis and parts; the sandbox stays, all else is new for each run.

    Attributes:
        folder: Its own; everything it writes is in it.
        options: Of the sandbox, over those below.
        settings: Of the parts, over those below.
    """

    folder: Path
    options: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    time_scale: float = TIME_SCALE
    parts: list[Forked] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start the sandbox."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.port, control_port = free_port(), free_port()
        options = {
            "port": self.port,
            "control_port": control_port,
            "time_scale": self.time_scale,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            # An organization that forbids nothing, and shows late: two phones can be made, and a look can miss one.
            "unique_phone_names": False,
            "phone_listing_lag_s": 8.0,
            "journal_entries_max": 200_000,
            **self.options,
        }
        chosen = self.folder / "sandbox.json"
        chosen.write_text(json.dumps(options))
        (self.folder / "rules.yaml").write_text(RULES)
        self._sandbox = fork(
            "jitprov", ["sandbox", "--options", str(chosen)], dict(os.environ), self.folder / "sandbox.log"
        )
        until(lambda: self._sandbox.says("sandbox: API"), within_s=30, what="start of the sandbox")
        self.control = SandboxControl(f"http://127.0.0.1:{control_port}")
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.end_run()
        self._sandbox.kill()

    def begin_run(self, name: str) -> None:
        """Begin with nobody, nothing and new ports."""
        self.run_folder = self.folder / name
        self.run_folder.mkdir(parents=True, exist_ok=True)
        self.redis = OwnRedis(self.run_folder)
        self.redis.start()
        self.control.reset()
        self.receiver_port = free_port()

    def end_run(self) -> None:
        """End all parts but the sandbox."""
        for part in self.parts:
            part.kill()
        self.parts.clear()
        if hasattr(self, "redis"):
            self.redis.kill()

    def environment(self) -> dict[str, str]:
        """Return the environment of every part: the product's own bounds, as short as they may be."""
        own = {
            "JITPROV_REDIS_URL": self.redis.url,
            "JITPROV_API_URL": f"http://127.0.0.1:{self.port}",
            "JITPROV_TIME_SCALE": str(self.time_scale),
            "JITPROV_CLIENT_ID": CLIENT_ID,
            "JITPROV_CLIENT_SECRET": CLIENT_SECRET,
            "JITPROV_WEBHOOK_KEY": WEBHOOK_KEY,
            "JITPROV_DATA_KEY": DATA_KEY,
            "JITPROV_RECEIVER_PORT": str(self.receiver_port),
            "JITPROV_DATA_DIR": str(self.run_folder / "data"),
            "JITPROV_RULES_FILE": str(self.folder / "rules.yaml"),
            "JITPROV_WORKER_CONCURRENCY": "1",
            "JITPROV_CONNECT_TIMEOUT_S": "1",
            "JITPROV_READ_TIMEOUT_S": "2",
            "JITPROV_LEASE_S": "5",
            "JITPROV_MESSAGE_GRACE_S": "1",
            "JITPROV_RECONCILE_EVERY_S": "0.3",
            "JITPROV_LOG_LEVEL": "DEBUG",
            "BENCH_BROKER": self.redis.url,
            "BENCH_API": f"http://127.0.0.1:{self.port}",
            "BENCH_TIME_SCALE": str(self.time_scale),
            "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}",
            "NO_COLOR": "1",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JITPROV_", "BENCH_"))}
        return {**kept, **own, **self.settings}

    def start(
        self, module: str, *arguments: str, says: str = "", wire: Tripwire | None = None, hurried: str = ""
    ) -> Forked:
        """Start a part; wait until its log has a word, unless it dies of its wire first."""
        name = arguments[0] if module == "jitprov" else module
        log = self.run_folder / f"{len(self.parts):03}-{name}.log"
        part = fork(module, arguments, self.environment(), log, wire=wire, hurried_app=hurried)
        self.parts.append(part)
        if says:

            def ready() -> bool:
                return (wire is not None and not part.alive()) or part.says(says)

            until(ready, within_s=60, what=f"start of {log.name}")
        return part

    def logs(self) -> str:
        """Return all that the parts of this run have said."""
        return "\n".join(log.read_text(errors="replace") for log in sorted(self.run_folder.glob("*.log")))
