"""The forecast against real runs: real Redis, a real worker, and a sandbox that keeps the books, in the API's own time.

What is held is the model, not the machine: who gets which slot of the meter, how many there are, and when the last is.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import pytest
from redis import Redis

from builders import an_opening
from jitprov.budget.rate import BudgetRate
from jitprov.domain.forecast import Allowance
from jitprov.domain.provisioning import Provisioning, State
from jitprov.domain.rehearsal import Rehearsal, Stations, Walk
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from running import RealParts

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

Source = Literal["line_id", "lookup"]
PHONE = ("POST", "/api/v2/telephony/providers/edges/phones")
AGENTS = 16
SLOTS = 8
WAIT_S = 2.0
# As the meter says, not the forecast.
INTERVAL_S = BudgetRate.of(300, headroom=0.02, burst=0).pace.interval_us / 1_000_000
RUNS_MAX = 3
UNUSED_MAX = 0.02


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


def told(source: Source, slots: int) -> tuple[list[float], int]:
    """Return when agents are ready, and after how many calls, as it is rehearsed."""
    walks = [Walk() for _ in range(AGENTS)]
    stations = Stations(source, known=False, wait_s=WAIT_S)
    stage = Allowance(slots=slots).stage(stations, opens_s=0.0)
    rehearsal = Rehearsal(replace(stage, call_s=0.0), walks)
    rehearsal.play()
    return [walk.ready_s for walk in walks], rehearsal.calls


def idled(calls: list[dict[str, Any]]) -> float:
    """Return which share of the meter's slots was left unused while somebody was there to use it.

    Up to the last phone that is true all the time: agents who have none yet wait for nothing but a slot.
    """
    phones = [number for number, call in enumerate(calls) if (call["method"], call["path"]) == PHONE]
    took_s = calls[phones[-1]]["arrived_s"] - calls[0]["arrived_s"]
    return float(1 - phones[-1] * INTERVAL_S / took_s)


@pytest.mark.parametrize("source", ["line_id", "lookup"])
def test_the_forecast_is_what_happens(own_redis: OwnRedis, tmp_path: Path, source: Source) -> None:
    """It takes as many calls as told, the last agent is ready when it was told within 5 %, and the others are between.

    A run in which the worker left slots unused says how busy the machine was, not whether the model is right: it is not
    judged, and another one is made. Whether it did is read from the sandbox' journal and the meter's pace alone, so
    no fault of the model can pass for a busy machine. A worker that is short of time has fewer messages in hand than
    it has slots, so the agents' places in the order of the calls lie between those of one slot and of all.
    """
    told_s, calls_told = told(source, SLOTS)
    one_by_one_s, _ = told(source, 1)
    unused = []
    for number in range(RUNS_MAX):
        calls, records = one_run(own_redis, tmp_path / f"run-{number}", source)
        seconds, numbers = ready(calls, records)
        assert len(calls) == calls_told
        assert 0.95 * fmean(one_by_one_s) <= fmean(numbers) * INTERVAL_S <= 1.05 * fmean(told_s)
        assert max(seconds) >= 0.95 * max(told_s)
        unused.append(idled(calls))
        if unused[-1] <= UNUSED_MAX:
            assert max(seconds) <= 1.05 * max(told_s)
            return
    cpus, busy = os.cpu_count() or 1, os.getloadavg()[0]
    why = f"slots left unused: {', '.join(f'{share:.1%}' for share in unused)}; load {busy:.1f} on {cpus} processors"
    assert busy > cpus, f"the worker is too slow for the meter, and the machine is not to blame: {why}"
    pytest.skip(f"the machine was too busy for a judgement. {why}")


def one_run(own_redis: OwnRedis, folder: Path, source: Source) -> tuple[list[dict[str, Any]], list[Provisioning]]:
    """Let agents through an organization that nobody knows yet."""
    folder.mkdir()
    with Redis.from_url(own_redis.url) as client:
        client.flushall()
    options = SandboxOptions(line_id_is_station_id=source == "line_id", station_lag_s=(0.5, 0.8 * WAIT_S))
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, folder, time_scale=1.0) as parts:
        return run(parts)
