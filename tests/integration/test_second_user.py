"""Somebody else uses the same token: the meter leaves room, and takes it back when they are gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import requests

from jitprov.budget.rate import BudgetRate
from jitprov.budget.redis import RedisBudget
from jitprov.cache.memory import MemoryCache
from jitprov.errors import NotNow
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.transport import Transport
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import read_settings
from jitprov.wiring import RealClock

pytestmark = pytest.mark.integration

SCALE = 10.0
MINUTE_S = 60.0 / SCALE
OTHERS_PER_MIN = 100
WORKERS = 6


@pytest.fixture(params=["sliding", "fixed"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxThread]:
    with SandboxThread(SandboxOptions(time_scale=SCALE, window=request.param)) as made:
        yield made


def test_a_second_user_of_the_token_is_left_room(sandbox: SandboxThread, redis_url: str, key_prefix: str) -> None:
    """With 100 calls a minute by another: no 429, no window over the limit; when they stop, we use it all again."""
    settings = read_settings(
        _env_file=None, api_url=sandbox.base_url, time_scale=SCALE, client_id="sandbox-client",
        client_secret="sandbox-secret", api_headroom=0.05,
    )  # fmt: skip
    clock, cache = RealClock(SCALE), MemoryCache(time.monotonic)
    rate = BudgetRate.of(300, headroom=0.05, time_scale=SCALE)
    stop, done = threading.Event(), [0]
    budgets = [RedisBudget.connect(redis_url, key_prefix, owner="client", rate=rate) for _ in range(2)]
    transports = [Transport(settings, each, clock, TokenSource(settings, cache, clock, each)) for each in budgets]
    token = transports[0]._tokens.token()

    def work(transport: Transport) -> None:
        while not stop.is_set():
            try:
                transport.request("GET", "/api/v2/organizations/me", safe=True)
            except NotNow:
                continue
            done[0] += 1
        transport._connection().close()

    def meddle(until_s: float) -> None:
        with requests.Session() as session:
            session.trust_env = False
            due_s = time.monotonic()
            while due_s < until_s:
                time.sleep(max(0.0, due_s - time.monotonic()))
                headers = {"Authorization": f"Bearer {token}"}
                session.get(f"{sandbox.base_url}/api/v2/organizations/me", headers=headers, timeout=10)
                due_s += MINUTE_S / OTHERS_PER_MIN

    workers = [threading.Thread(target=work, args=(transports[index % 2],)) for index in range(WORKERS)]
    for worker in workers:
        worker.start()
    time.sleep(MINUTE_S)
    meddle(time.monotonic() + 1.5 * MINUTE_S)
    shared = budgets[0].state()
    time.sleep(1.2 * MINUTE_S)
    alone = budgets[0].state()
    stop.set()
    for worker in workers:
        worker.join(timeout=60)
    oracle = sandbox.control.oracle()
    for budget in budgets:
        budget.close()

    assert (oracle["answers_429"], oracle["windows_over"]) == (0, 0), oracle["worst_window"]
    assert 0.75 * (285 - OTHERS_PER_MIN) <= shared.spent_last_min <= 285 - OTHERS_PER_MIN + 20
    assert shared.lanes[0].others_last_min == pytest.approx(OTHERS_PER_MIN, abs=20)
    assert alone.spent_last_min >= 0.85 * 285
    assert alone.lanes[0].others_last_min <= 5
