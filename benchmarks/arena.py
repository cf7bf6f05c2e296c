"""Where a contender works: a sandbox of its own as a process, in a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from jitprov.sandbox.control_client import SandboxControl
from jitprov.settings import Settings, process_environment, read_settings
from jitprov.stack.part import Part
from jitprov.stack.parts import SANDBOX_HOST, SandboxPlan, compose
from jitprov.stack.ports import WantedPort, choose_ports
from jitprov.stack.redis_server import EmbeddedRedis, find_redis_server
from jitprov.stack.supervisor import Supervisor

DEPARTMENTS = ("Seasonal_Retail", "Seasonal_Tech_Support")
CLIENT_ID, CLIENT_SECRET = "bench-client", "bench-secret-that-guards-nothing"
_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class World:
    """How the sandbox is set for a run.

    Attributes:
        time_scale: API seconds per real second.
        line_id: Whether a station has its line's id.
    """

    time_scale: float
    line_id: bool = False

    def options(self, **more: object) -> dict[str, object]:
        """Return the sandbox' options."""
        return {
            "time_scale": self.time_scale,
            "line_id_is_station_id": self.line_id,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "journal_entries_max": 200_000,
            **more,
        }


class Arena:
    """A supervised sandbox and Redis, and whatever parts a contender adds; all gone afterwards.

    Args:
        world: How the sandbox is set.
        webhook_key: Of the receiver.
        **settings: Settings of jitprov that a run changes.
    """

    def __init__(self, world: World, *, webhook_key: str = "b" * 43, **settings: Any) -> None:
        self.world = world
        self.folder = Path(tempfile.mkdtemp(prefix="jitprov-bench-"))
        ports = choose_ports([WantedPort("bench", SANDBOX_HOST, 0)] * 5)
        self.redis = EmbeddedRedis(
            find_redis_server(""),
            self.folder / "redis",
            self.folder / "redis.conf",
            ports[0],
            SecretStr("bench-redis"),
        )
        self.plan = SandboxPlan(ports[1], ports[2], world.options())
        self.settings: Settings = read_settings(
            data_dir=self.folder,
            redis_url=self.redis.url,
            api_url=self.plan.api_url,
            time_scale=world.time_scale,
            client_id=CLIENT_ID,
            client_secret=SecretStr(CLIENT_SECRET),
            webhook_key=SecretStr(webhook_key),
            operator_key=SecretStr("o" * 43),
            data_key=SecretStr("d" * 43),
            receiver_port=ports[3],
            flower_port=ports[4],
            **{"log_level": "WARNING", **settings},
        )
        (self.folder / "logs").mkdir(mode=0o700)
        self.redis.prepare()
        self.supervisor = Supervisor(logs=self.folder / "logs", throw_away=self.folder)
        (first, second) = compose(self.settings, self.redis, process_environment(), sandbox=self.plan, quick_stop=True)
        self._base = first
        self.parts: dict[str, Part] = {part.name: part for part in second}

    @property
    def control(self) -> SandboxControl:
        """The sandbox' control."""
        return SandboxControl(self.plan.control_url)

    def __enter__(self) -> Self:
        """Start Redis and sandbox."""
        self.supervisor.__enter__()
        self.supervisor.start(self._base)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        self.supervisor.__exit__(kind, error, trace)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *parts: Part) -> None:
        """Start further parts together."""
        self.supervisor.start(parts)

    def kill(self, part: Part) -> None:
        """Kill a part's process without a word; the supervisor starts it again."""
        for each in self.supervisor.status():
            if each.name == part.name and each.pid:
                os.kill(each.pid, signal.SIGKILL)

    def sign_in_silently(self, agents: int) -> list[Mapping[str, Any]]:
        """Make users without telling anyone."""
        users, _ = self.control.sign_in_silently(agents, departments=list(DEPARTMENTS))
        return list(users)

    def open_corridor(self) -> None:
        """Have the sandbox post its events to the receiver."""
        self.control.patch_options(
            webhook_url=f"http://127.0.0.1:{self.settings.receiver_port}/events",
            webhook_key=self.settings.webhook_keys[0],
            webhook_pooled=True,
        )

    def processor_s(self, parts: Sequence[Part]) -> float:
        """Return the processor time that parts and their children have used."""
        names = {part.name for part in parts}
        return sum(processor_s(each.pid) for each in self.supervisor.status() if each.name in names and each.pid)

    def now_s(self) -> float:
        """Return the sandbox' instant."""
        return float(self.control.healthz()["now_s"])


def wait_for(done: Callable[[], bool], *, cap_s: float) -> bool:
    """Wait until something is done; tell whether the cap ended it."""
    pause, deadline = threading.Event(), time.monotonic() + cap_s
    while not done():
        if time.monotonic() > deadline:
            return True
        pause.wait(_LOOK_EVERY_S)
    return False


def processor_s(leader: int) -> float:
    """Return the processor time, user and system, that a process group's living members have used."""
    ticks = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name in brackets may hold anything; after it come state, parent, group, ...
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[2]) == leader:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def ids_of(users: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids."""
    return [str(user["id"]) for user in users]
