"""The receiver under load, with `appendfsync always`, beside a server without work and one that sends inside it."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

from benchmarks.arena import Arena, World, wait_for
from benchmarks.load import Load, apply_load, events
from jitprov.stack.ports import WantedPort, choose_ports
from jitprov.stack.probes import answers_http

EVENTS = 2000


def measure(number: int = EVENTS, *, rounds: int = 3) -> dict[str, Any]:
    """Return the figures of three servers, measured in turn, some rounds, the median of each."""
    with Arena(World(1.0)) as arena:
        receiver = arena.parts["receiver"]
        ports = choose_ports([WantedPort("bench", "127.0.0.1", 0)] * 2)
        others = [
            replace(
                receiver,
                name=name,
                argv=(sys.executable, "-m", "benchmarks.servers", name, str(port)),
                env={**(receiver.env or {}), "PYTHONPATH": str(Path(__file__).parent.parent)},
                log_path=receiver.log_path.with_name(f"{name}.log"),
                ready=answers_http("127.0.0.1", port, "/readyz", {HTTPStatus.OK}),
            )
            for name, port in zip(("noop", "inside"), ports, strict=True)
        ]
        arena.start(receiver, *others)
        key = arena.settings.webhook_keys[0]
        doors = {"receiver": arena.settings.receiver_port, "noop": ports[0], "inside": ports[1]}
        for port in doors.values():
            apply_load(port, events(100), key=key)
        runs: dict[str, list[Load]] = {name: [] for name in doors}
        for _ in range(rounds):
            for name, port in doors.items():
                runs[name].append(apply_load(port, events(number if name != "inside" else number // 4), key=key))
                wait_for(partial(_has_sent, doors["receiver"]), cap_s=30)
    per_s = {name: median(run.per_s for run in taken) for name, taken in runs.items()}
    return {
        "receiver_events_per_s": round(per_s["receiver"]),
        "receiver_p99_ms": round(median(run.p99_ms for run in runs["receiver"]), 1),
        "receiver_errors": sum(run.errors for run in runs["receiver"]),
        "receiver_vs_noop": round(
            median(a.per_s / b.per_s for a, b in zip(runs["receiver"], runs["noop"], strict=True)), 3
        ),
        "noop_events_per_s": round(per_s["noop"]),
        # What the load's own share of the machine makes of a server that does nothing.
        "noop_p99_ms": round(median(run.p99_ms for run in runs["noop"]), 1),
        "apply_async_inside_events_per_s": round(per_s["inside"]),
        "apply_async_inside_p99_ms": round(median(run.p99_ms for run in runs["inside"]), 1),
    }


def _has_sent(port: int) -> bool:
    """Tell whether the receiver sent all chains of the load before: the next one shall have the machine to itself."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return b"\njitprov_receiver_publishes_waiting 0.0" in answer.read()
