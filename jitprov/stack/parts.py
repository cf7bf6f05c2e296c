"""What the stack consists of: each part's command, environment, readiness and patience. Starts nothing.

Settings go on to the parts as environment variables, every one of them, so that a part means what the stack has
checked; secrets go only to the parts that need them, and never on a command line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from pydantic import SecretStr

import jitprov
from jitprov.settings import PREFIX, Settings
from jitprov.stack.folder import write_private
from jitprov.stack.part import Part
from jitprov.stack.ports import reachable_host
from jitprov.stack.probes import answers_http
from jitprov.stack.redis_server import EmbeddedRedis

#: Parts that start together, each stage once the one before is ready.
Stages = tuple[tuple[Part, ...], ...]

SANDBOX_HOST = "127.0.0.1"

_TRACES = frozenset({"otel_headers"})
# Which part sees which secret; the same as in docker-compose.yml.
_SECRETS_OF: Mapping[str, frozenset[str]] = {
    "receiver": frozenset(
        {"redis_url", "webhook_key", "webhook_key_next", "operator_key", "viewer_key", "data_key", "data_key_old"}
    )
    | _TRACES,
    "worker": frozenset({"redis_url", "client_secret", "data_key", "data_key_old"}) | _TRACES,
    "reconciler": frozenset({"redis_url", "alert_webhook_url"}) | _TRACES,
    "flower": frozenset({"redis_url", "operator_key", "viewer_key"}),
    "sandbox": frozenset(),
}
# Reading a season's append-only file takes its time.
_REDIS_READY_WITHIN_S = 120.0
_REDIS_STOP_WITHIN_S = 30.0
_PYTHON_READY_WITHIN_S = 60.0
# Above worker_soft_shutdown_timeout of celeryconfig.py.
_WORKER_STOP_WITHIN_S = 45.0
_RECEIVER_STOP_WITHIN_S = 15.0
# What is thrown away need not be finished.
_QUICK_STOP_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class SandboxPlan:
    """How the embedded sandbox shall be.

    Attributes:
        port: Of the API.
        control_port: Where it is steered.
        options: Its further options by name; the sandbox itself checks them.
    """

    port: int
    control_port: int
    options: Mapping[str, object]

    @property
    def api_url(self) -> str:
        """The address of API and login."""
        return f"http://{SANDBOX_HOST}:{self.port}"

    @property
    def control_url(self) -> str:
        """The address where it is steered."""
        return f"http://{SANDBOX_HOST}:{self.control_port}"

    def write(self, path: Path) -> None:
        """Write its options for `jitprov sandbox --options`; they hold secrets."""
        own = {"host": SANDBOX_HOST, "port": self.port, "control_port": self.control_port}
        write_private(path, json.dumps({**self.options, **own}))


def environment_of(settings: Settings, secrets: Collection[str] | None = None) -> dict[str, str]:
    """Return all settings as environment variables.

    Args:
        settings: To be handed on; relative paths become absolute ones.
        secrets: Names of the secret settings to be told, the others are empty; None tells all.
    """
    variables = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value() if secrets is None or name in secrets else ""
        elif isinstance(value, tuple):
            value = ",".join(value)
        elif isinstance(value, Path):
            value = value.absolute()
        if value is not None:
            variables[f"{PREFIX}{name}".upper()] = str(value)
    return variables


def compose(
    settings: Settings,
    redis: EmbeddedRedis,
    surroundings: Mapping[str, str],
    *,
    sandbox: SandboxPlan | None = None,
    quick_stop: bool = False,
) -> Stages:
    """Return the stack's parts.

    Args:
        settings: Complete: real ports, keys, the embedded Redis' address. Their `data_dir` takes logs and options.
        redis: The embedded Redis.
        surroundings: This process' environment; its own settings of ours are left out.
        sandbox: The stand-in for Genesys Cloud; None when there are credentials of an organization.
        quick_stop: Whether a stop gives everybody three seconds at most.
    """
    place = _Place(settings, redis, surroundings)
    host = reachable_host(settings.receiver_host)
    flower_host = reachable_host(settings.flower_host)
    first = Part(
        name="redis",
        argv=redis.argv,
        env=place.bare(),
        log_path=place.log("redis"),
        folder=redis.folder,
        ready=redis.is_ready,
        ready_within_s=_REDIS_READY_WITHIN_S,
        stop_within_s=_REDIS_STOP_WITHIN_S,
    )
    corridor = (
        replace(
            place.part("receiver"),
            ready=answers_http(host, settings.receiver_port, "/readyz", {HTTPStatus.OK}),
            stop_within_s=_RECEIVER_STOP_WITHIN_S,
        ),
        replace(
            place.part("worker"),
            ready=redis.feeds_a_worker,
            # Waits end at once on SIGTERM (jitprov.stop), calls within their time-outs; SIGQUIT would sleep for 30 s.
            stop_within_s=_WORKER_STOP_WITHIN_S,
        ),
        place.part("reconciler"),
        replace(
            place.part("flower"),
            ready=answers_http(flower_host, settings.flower_port, "/", {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}),
        ),
    )
    stages: Stages = ((first,), corridor) if sandbox is None else ((first, _sandbox_part(place, sandbox)), corridor)
    if not quick_stop:
        return stages
    return tuple(
        tuple(replace(part, stop_within_s=min(part.stop_within_s, _QUICK_STOP_WITHIN_S)) for part in stage)
        for stage in stages
    )


def _sandbox_part(place: _Place, sandbox: SandboxPlan) -> Part:
    options = place.data_dir / "sandbox.json"
    sandbox.write(options)
    return replace(
        place.part("sandbox", "--options", str(options)),
        ready=answers_http(SANDBOX_HOST, sandbox.control_port, "/healthz", {HTTPStatus.OK}),
    )


def _secrets_of(name: str, settings: Settings) -> frozenset[str]:
    # Who reads audits, or how agents have drifted, needs a token; who does not gets none.
    reads = name == "reconciler" and (settings.missed_every_s > 0 or settings.drift_every_s > 0)
    opens = name == "reconciler" and settings.drift_every_s > 0
    more = ({"client_secret"} if reads else set()) | ({"data_key", "data_key_old"} if opens else set())
    return _SECRETS_OF[name] | more


class _Place:
    """Where the parts live: folder, logs, environment."""

    def __init__(self, settings: Settings, redis: EmbeddedRedis, surroundings: Mapping[str, str]) -> None:
        self._settings = settings
        self._redis = redis
        self._surroundings = {name: value for name, value in surroundings.items() if not name.startswith(PREFIX)}
        self.data_dir = settings.data_dir.absolute()

    def log(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.log"

    def bare(self) -> dict[str, str]:
        return dict(self._surroundings)

    def part(self, name: str, *options: str) -> Part:
        """Return a part of our own: `python -m jitprov NAME`."""
        known = self._settings
        if "redis_url" in _SECRETS_OF[name]:
            # Each as a user of its own in Redis.
            known = known.model_copy(update={"redis_url": self._redis.url_of(name)})
        environment = {
            **self._surroundings,
            **environment_of(known, _secrets_of(name, known)),
            "PYTHONPATH": _python_path(self._surroundings),
            # A file in some working folder must not pass for a module.
            "PYTHONSAFEPATH": "1",
        }
        return Part(
            name=name,
            argv=(sys.executable, "-m", "jitprov", name, *options),
            env=environment,
            log_path=self.log(name),
            folder=self.data_dir,
            ready_within_s=_PYTHON_READY_WITHIN_S,
        )


def _python_path(surroundings: Mapping[str, str]) -> str:
    """Return a path on which the parts find this very jitprov, and beside it celeryconfig.py."""
    root = Path(jitprov.__file__).absolute().parents[1]
    given = surroundings.get("PYTHONPATH", "")
    if root.name in {"site-packages", "dist-packages"}:
        return given  # it is found there anyway
    return f"{root}:{given}" if given else str(root)
