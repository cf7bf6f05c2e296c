"""One judge for all contenders: what the sandbox saw, never what a contender says of itself.

An agent is ready when its default station was set, which comes last in every contender's sequence; it is wrong when the
sandbox' final state is not what the rules say.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any, Self

from jitprov.cli.acceptance import wrong_agents
from jitprov.rules.loader import load_rules
from jitprov.sandbox.control_client import SandboxControl

_READY_ROUTE = "/api/v2/users/{userId}/station/defaultstation/{stationId}"
_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Score:
    """How a contender did. Times in API seconds since the first sign-in.

    Attributes:
        name: Of the contender.
        agents: Who signed in.
        ready: With a default station at the end.
        wrong: Not as the rules say at the end; who was never finished counts too.
        calls: Requests that the sandbox received, tokens included.
        answers_429: Of these, refused for the limit.
        worst_window: Most requests of one token in any 60 s.
        windows_over: Requests that made a window exceed the limit.
        first_s: When the first agent was ready; 0.0 when none was.
        median_s: The median.
        last_s: The last.
        drain_ratio: `last_s` against the time that the calls need at the allowed rate.
        capped: True when the contender was stopped at its time cap.
        sandbox_share: Share of the run's real time that the sandbox was busy; at 1 it would be what is measured.
        machine_share: Share of all processors that was in use during the run, by whomever.
        time_scale: API seconds per real second.
        curve: Instants at which agents became ready, ascending.
    """

    name: str
    agents: int
    ready: int
    wrong: int
    calls: int
    answers_429: int
    worst_window: int
    windows_over: int
    first_s: float
    median_s: float
    last_s: float
    drain_ratio: float
    capped: bool
    sandbox_share: float
    machine_share: float
    time_scale: float
    curve: tuple[float, ...]

    @property
    def failed(self) -> int:
        """Agents that did not become ready."""
        return self.agents - self.ready

    @property
    def calls_per_agent(self) -> float:
        """Calls for each agent that signed in."""
        return self.calls / self.agents

    def as_json(self, *, curve: bool = False) -> dict[str, Any]:
        """Return it for a file, without the curve unless asked."""
        content = asdict(self) | {"calls_per_agent": round(self.calls_per_agent, 4), "failed": self.failed}
        return content if curve else {name: value for name, value in content.items() if name != "curve"}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return what `as_json(curve=True)` gave."""
        held = {each.name: content[each.name] for each in fields(cls)}
        return cls(**{**held, "curve": tuple(content["curve"])})


@dataclass(frozen=True, slots=True)
class Start:
    """The moment at which a run begins: what is counted from here on is its own.

    Attributes:
        at_s: Sandbox instant.
        busy_s: Processor time of the sandbox so far.
        real_s: A steady count of real seconds.
        machine: Processor ticks of the whole machine: in use, in all.
    """

    at_s: float
    busy_s: float
    real_s: float
    machine: tuple[int, int]

    @classmethod
    def now(cls, control: SandboxControl) -> Self:
        """Return this moment."""
        oracle = control.oracle()
        return cls(float(oracle["now_s"]), float(oracle["sandbox_busy_s"]), time.monotonic(), _machine_ticks())


def _machine_ticks() -> tuple[int, int]:
    ticks = [int(number) for number in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def ready_instants(control: SandboxControl, user_ids: Sequence[str]) -> dict[str, float]:
    """Return for each ready agent the sandbox instant of its last accepted default station."""
    wanted = set(user_ids)
    found: dict[str, float] = {}
    since = 0
    while entries := control.journal(since, _PAGE):
        since = entries[-1]["seq"]
        for entry in entries:
            good = entry["status"] == 202 and entry["route"] == _READY_ROUTE
            if good and entry["method"] == "PUT" and entry["user_id"] in wanted:
                found[entry["user_id"]] = entry["applied_s"]
    return found


def score(
    name: str,
    control: SandboxControl,
    users: Sequence[Mapping[str, Any]],
    start: Start,
    *,
    capped: bool,
    time_scale: float,
) -> Score:
    """Judge a contender that has ended.

    Args:
        name: Of the contender.
        control: Of the sandbox it worked on.
        users: Who signed in.
        start: The moment of the first sign-in.
        capped: Whether it was stopped.
        time_scale: API seconds per real second.
    """
    end = Start.now(control)
    ids = [user["id"] for user in users]
    instants = ready_instants(control, ids)
    oracle = control.oracle()
    wrong = {each.user_id for each in wrong_agents(control.state(), load_rules(), of=set(ids))}
    curve = tuple(sorted(instant - start.at_s for user_id, instant in instants.items()))
    calls = int(oracle["calls"]) + int(oracle["token_calls"])
    floor_s = int(oracle["calls"]) / oracle["limit"] * 60
    last_s = curve[-1] if curve else 0.0
    return Score(
        name=name,
        agents=len(ids),
        ready=len(instants),
        wrong=len(wrong),
        calls=calls,
        answers_429=int(oracle["answers_429"]),
        worst_window=int(oracle["worst_window"]),
        windows_over=int(oracle["windows_over"]),
        first_s=curve[0] if curve else 0.0,
        median_s=median(curve) if curve else 0.0,
        last_s=last_s,
        drain_ratio=last_s / floor_s if floor_s else 0.0,
        capped=capped,
        sandbox_share=(end.busy_s - start.busy_s) / (end.real_s - start.real_s),
        machine_share=(end.machine[0] - start.machine[0]) / max(1, end.machine[1] - start.machine[1]),
        time_scale=time_scale,
        curve=curve,
    )
