"""The forecast against real runs: real Redis, a real worker, and a sandbox that keeps the books.

What is held is the model, not the machine: who gets which slot of the meter, and how many there are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import pytest

from builders import an_opening
from jitprov.domain.forecast import Allowance
from jitprov.domain.provisioning import Provisioning, State
from jitprov.domain.rehearsal import Rehearsal, Stations, Walk
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from running import RealParts

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Source = Literal["line_id", "lookup"]
AGENTS = 30
TIME_SCALE = 3.0
SLOTS = 8
WAIT_S = 2.0


def run(parts: RealParts) -> tuple[list[dict[str, Any]], list[Provisioning]]:
    """Let agents through; return the calls that the sandbox saw, and the records."""
    parts.settings |= {"JITPROV_WORKER_CONCURRENCY": str(SLOTS), "JITPROV_STATION_FIRST_LOOK_S": str(WAIT_S)}
    users, _ = parts.sandbox.control.sign_in_silently(AGENTS, departments=["Seasonal_Retail"])
    ledger = parts.ledger()
    ledger.accept([an_opening(user_id=str(user["id"])) for user in users], look_after_s=1)
    parts.worker()
    reconciler = parts.start("reconciler", until="reconciler_started")  # nobody sent their messages: it does
    wait_until(lambda: ledger.count()[State.READY] == AGENTS, within_s=120)
    records = ledger.page(limit=AGENTS)
    ledger.close()
    parts.end(reconciler)
    return parts.sandbox.control.journal(limit=10_000), records


def ready(calls: list[dict[str, Any]], records: list[Provisioning]) -> tuple[list[float], list[int]]:
    """Return for each agent the API seconds since the first call, and the calls until then, when its last one came."""
    last = {call["user_id"]: (call["arrived_s"] - calls[0]["arrived_s"], number) for number, call in enumerate(calls)}
    seconds, numbers = zip(*(last[record.user_id] for record in records), strict=True)
    return list(seconds), list(numbers)


def told(source: Source, slots: int) -> tuple[list[float], int, float]:
    """Return when agents are ready, after how many calls, and how long a slot takes, as it is rehearsed."""
    walks = [Walk() for _ in range(AGENTS)]
    stations = Stations(source, known=False, wait_s=WAIT_S)
    stage = Allowance(time_scale=TIME_SCALE, slots=slots).stage(stations, opens_s=0.0)
    rehearsal = Rehearsal(replace(stage, call_s=0.0), walks)
    rehearsal.play()
    return [walk.ready_s for walk in walks], rehearsal.calls, stage.interval_s


@pytest.mark.parametrize("source", ["line_id", "lookup"])
def test_the_forecast_is_what_happens(own_redis: OwnRedis, tmp_path: Path, source: Source) -> None:
    """It takes as many calls as told, agents get their slots when it was told within 5 %, and nobody is faster.

    A busy machine delays calls and never hastens them: so the agents' places in the order of the meter's slots are
    held against the rehearsal's, and the seconds from below. A worker that is short of time has fewer messages in
    hand than it has slots, so the places lie between those of one slot and of all. How long a slot takes is held by
    tests/unit/domain/test_forecast.py.
    """
    options = SandboxOptions(
        time_scale=TIME_SCALE, line_id_is_station_id=source == "line_id", station_lag_s=(0.5, 0.8 * WAIT_S)
    )
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path, TIME_SCALE) as parts:
        calls, records = run(parts)

    seconds, numbers = ready(calls, records)
    told_s, calls_told, interval_s = told(source, SLOTS)
    one_by_one_s, _, _ = told(source, 1)
    assert len(calls) == calls_told
    assert 0.95 * fmean(one_by_one_s) <= fmean(numbers) * interval_s <= 1.05 * fmean(told_s)
    assert max(seconds) >= 0.95 * max(told_s)
    assert fmean(seconds) >= 0.95 * fmean(one_by_one_s)
