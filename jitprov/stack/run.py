"""The whole stack on one machine, inside a `with` block: what `up` and `demo` are made of.

Works on the organization whose credentials are set, and on a sandbox of its own without. Data of the two never meet.
"""

from __future__ import annotations

import secrets
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from jitprov.errors import ConfigurationError
from jitprov.rules.loader import load_rules
from jitprov.settings import KEY_CHARS_MIN, Settings, process_environment, read_settings
from jitprov.stack.folder import FolderLock, make_private, write_private
from jitprov.stack.interrupts import Interrupts, Phase
from jitprov.stack.keys import Keys, keep_keys
from jitprov.stack.parts import SANDBOX_HOST, SandboxPlan, Stages, compose, environment_of
from jitprov.stack.ports import WantedPort, choose_ports, reachable_host
from jitprov.stack.redis_server import HOST as REDIS_HOST
from jitprov.stack.redis_server import EmbeddedRedis, find_redis_server
from jitprov.stack.redis_users import OPERATOR
from jitprov.stack.running import Running
from jitprov.stack.supervisor import Supervisor

__all__ = ["Running", "Stack"]

_SEEDS = 2**31


class Stack:
    """Redis, sandbox if need be, receiver, worker, reconciler and Flower; up inside a `with` block.

    Args:
        chosen: What the operator has set.
        data_dir: Folder for data, keys and logs; one stack at a time.
        time_scale: Sandbox seconds per second.
        throw_away: Whether the folder is removed when the stack ends, in whatever way.
        own_ports: Whether every part takes a free port, whatever is set.
        tell: Called with one line for a person, now and then, from any thread.
    """

    def __init__(
        self,
        chosen: Settings,
        *,
        data_dir: Path,
        time_scale: float = 1.0,
        throw_away: bool = False,
        own_ports: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._chosen = chosen
        self._data_dir = data_dir.absolute()
        self._time_scale = time_scale
        self._throw_away = throw_away
        self._own_ports = own_ports
        self._tell = tell
        self._opened = ExitStack()

    def __enter__(self) -> Running:
        """Start everything; return when all parts do their work.

        Raises:
            ConfigurationError: A setting, key, port or the folder is wrong; nothing was started.
            DependencyDown: A part does not come up; everything was stopped.
            KeyboardInterrupt: Ctrl-C or SIGTERM; everything was stopped.
        """
        _check_credentials(self._chosen, self._time_scale)
        _check_what_parts_refuse(self._chosen)
        with ExitStack() as opened:
            lock = opened.enter_context(FolderLock(self._data_dir))
            running, stages, hurry = self._prepare(lock.fd)
            interrupts = opened.enter_context(Interrupts(hurry))
            opened.callback(running.shell_file.unlink, missing_ok=True)
            opened.enter_context(running.supervisor)
            opened.callback(self._begin_stop, interrupts)
            for stage in stages:
                running.supervisor.start(stage, interrupted=interrupts.asked)
                self._tell(f"{', '.join(part.name for part in stage)}: up")
            write_private(running.shell_file, _as_shell(environment_of(running.settings)))
            interrupts.run()
            self._opened = opened.pop_all()
        return running

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, in reverse, and leave no process behind."""
        self._opened.__exit__(kind, error, trace)

    def _begin_stop(self, interrupts: Interrupts) -> None:
        interrupts.phase = Phase.STOPPING
        self._tell("stopping; Ctrl-C does it at once")

    def _prepare(self, lock_fd: int) -> tuple[Running, Stages, Callable[[], None]]:
        """Choose ports, read keys, write what the parts read; start nothing."""
        keys, logs = keep_keys(self._data_dir), self._data_dir / "logs"
        make_private(logs)
        server = find_redis_server(self._chosen.redis_server)
        redis_port, *ports = self._ports()
        plan = self._plan(keys, ports) if not self._chosen.client_id else None
        # A sandbox' ledger must not be worked off on a real organization. It survives a restart; the sandbox' world
        # does not, so what was still open then ends as failed, visibly.
        folder = self._data_dir / ("redis" if plan is None else "sandbox-redis")
        redis = EmbeddedRedis(
            server, folder, self._data_dir / "redis.conf", redis_port, keys.redis_password, self._chosen.key_prefix
        )
        redis.prepare()
        settings, generated = self._complete(keys, redis, ports, plan)
        if plan is not None:
            host = reachable_host(settings.receiver_host)
            more = {
                "webhook_url": f"http://{host}:{settings.receiver_port}/events",
                "webhook_key": settings.webhook_keys[0],
                "webhook_header": settings.webhook_header,
            }
            plan = replace(plan, options={**plan.options, **more})
        stages = compose(settings, redis, process_environment(), sandbox=plan, quick_stop=self._throw_away)
        supervisor = Supervisor(
            logs=logs,
            told=lambda happening: self._tell(happening.text),
            masked=keys.values(),
            throw_away=self._data_dir if self._throw_away else None,
            held_fds=(lock_fd,),
        )
        running = Running(settings, logs, self._data_dir / "environment", generated, supervisor, plan)
        return running, stages, supervisor.hurry

    def _ports(self) -> list[int]:
        """Return the ports of Redis, receiver, Flower, sandbox and its control."""
        chosen = self._chosen
        wanted = [
            WantedPort("JITPROV_REDIS_PORT", REDIS_HOST, chosen.redis_port),
            WantedPort("JITPROV_RECEIVER_PORT", chosen.receiver_host, chosen.receiver_port),
            WantedPort("JITPROV_FLOWER_PORT", chosen.flower_host, chosen.flower_port),
            WantedPort("JITPROV_SANDBOX_PORT", SANDBOX_HOST, 0 if chosen.client_id else chosen.sandbox_port),
            WantedPort("JITPROV_SANDBOX_PORT", SANDBOX_HOST, 0),
        ]
        return choose_ports([WantedPort(one.setting, one.host, 0) for one in wanted] if self._own_ports else wanted)

    def _plan(self, keys: Keys, ports: list[int]) -> SandboxPlan:
        # Another world each time: people who sign in again after a restart are new people. Its client is another one
        # too, so that nothing remembered of the last world (skill ids, the token) passes for this one's.
        seed = secrets.randbelow(_SEEDS)
        return SandboxPlan(
            ports[2],
            ports[3],
            {
                "time_scale": self._time_scale,
                "limit_per_min": self._chosen.api_limit_per_min,
                "client_id": f"{keys.sandbox_client_id.get_secret_value()}-{seed}",
                "client_secret": keys.sandbox_client_secret.get_secret_value(),
                "seed": seed,
            },
        )

    def _complete(
        self, keys: Keys, redis: EmbeddedRedis, ports: list[int], plan: SandboxPlan | None
    ) -> tuple[Settings, frozenset[str]]:
        """Return the settings of all parts, and the names of those that are generated keys."""
        chosen = self._chosen
        own = {
            "webhook_key": keys.webhook_key,
            "operator_key": keys.operator_key,
            "viewer_key": keys.viewer_key,
            "data_key": keys.data_key,
        }
        generated = {name: key for name, key in own.items() if not getattr(chosen, name).get_secret_value()}
        world: dict[str, object] = {}
        if plan is not None:
            world = {
                "api_url": plan.api_url,
                "time_scale": self._time_scale,
                "client_id": str(plan.options["client_id"]),
                "client_secret": keys.sandbox_client_secret,
                "sandbox_port": plan.port,
            }
        given = {name: getattr(chosen, name) for name in type(chosen).model_fields}
        places = {
            "data_dir": self._data_dir,
            # Beside Redis' own folder, so that losing that one is told from the first start.
            "ledger_memory": chosen.ledger_memory or self._data_dir / f"{redis.folder.name}-ledger.json",
            "redis_url": redis.url_of(OPERATOR),
            "redis_server": str(redis.server),
            "redis_port": redis.port,
            "receiver_port": ports[0],
            "flower_port": ports[1],
        }
        return read_settings(**{**given, **generated, **world, **places}), frozenset(generated)


def _check_what_parts_refuse(chosen: Settings) -> None:
    """Say now what a part would refuse to start with; nothing is started then."""
    load_rules(chosen.rules_file)
    for name in ("webhook_key", "webhook_key_next", "data_key", "data_key_old"):
        key = getattr(chosen, name).get_secret_value()
        if key and len(key) < KEY_CHARS_MIN:
            raise ConfigurationError(
                f"JITPROV_{name.upper()}: shorter than {KEY_CHARS_MIN} characters. Make a longer one, or leave it out"
            )


def _check_credentials(chosen: Settings, time_scale: float) -> None:
    if chosen.client_id and not chosen.client_secret.get_secret_value():
        raise ConfigurationError(
            "JITPROV_CLIENT_SECRET: not set, but JITPROV_CLIENT_ID is. Set both, or none for a sandbox"
        )
    if chosen.client_id and time_scale != 1.0:
        raise ConfigurationError(
            "--time-scale: time passes faster only in a sandbox. Leave it out, or unset JITPROV_CLIENT_ID"
        )


def _as_shell(variables: dict[str, str]) -> str:
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    # `jitprov` itself is to be found as well.
    return "".join([*lines, f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"\n'])
