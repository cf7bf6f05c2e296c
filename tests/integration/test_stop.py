"""A worker that is told to stop while its steps wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from builders import an_opening
from jitprov.budget.rate import BudgetRate
from jitprov.budget.redis import RedisBudget
from jitprov.domain.ids import task_id_of
from jitprov.domain.provisioning import CORRIDOR, State, Step
from jitprov.ledger import Claim
from jitprov.pipeline.names import task_name
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from running import RealParts, ended

pytestmark = pytest.mark.integration


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path) -> Iterator[RealParts]:
    with SandboxThread(SandboxOptions(time_scale=20)) as sandbox, RealParts(own_redis, sandbox, tmp_path) as made:
        made.settings["JITPROV_BUDGET_WAIT_MAX_S"] = "40"
        yield made


def test_a_worker_that_waits_for_a_slot_stops_at_once(parts: RealParts) -> None:
    """SIGTERM half a minute before the slot: the worker ends at once, no attempt is spent, the message is in its queue.

    So another worker takes it at once.
    """
    rate = BudgetRate.of(300, headroom=0.02, time_scale=20)
    budget = RedisBudget.connect(parts.redis.url, "jitprov:", owner="sandbox-client", rate=rate)
    ledger = parts.ledger()
    (user,), _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    opening = an_opening(user_id=str(user["id"]))
    ledger.accept([opening], look_after_s=60)
    budget.pause(for_s=30, reason="a test")
    worker = parts.worker()
    queue = task_name(Step.FETCH_PROFILE)
    with Celery(broker=parts.redis.url, set_as_current=False) as app:
        task_id = task_id_of(opening.provisioning_id, 1, 1)
        app.send_task(queue, args=[opening.provisioning_id], task_id=task_id, queue=queue)
    wait_until(lambda: ended(ledger, opening.user_id, State.RUNNING), within_s=30)

    began_s = time.monotonic()
    worker.terminate()
    worker.wait(timeout=25)
    took_s = time.monotonic() - began_s
    record = ledger.get(opening.provisioning_id)

    assert took_s < 10  # a second or two; the rest is for a busy machine
    assert record is not None
    assert (record.state, record.waiting_for) == (State.WAITING, "worker_stops")
    assert [record.steps[step].attempts for step in CORRIDOR] == [0] * 5
    with Redis.from_url(parts.redis.url) as redis:
        assert redis.llen(queue) == 1
    claimed = ledger.claim(opening.provisioning_id, Step.FETCH_PROFILE, 1, token="another worker", lease_s=5)
    assert isinstance(claimed, Claim)
    budget.close()
    ledger.close()


def test_the_agents_of_a_dead_worker_go_on_within_seconds(parts: RealParts) -> None:
    """Killed while it waits for a slot, a worker is missed by its silence, long before a lease would run out."""
    lease_s = 60.0
    parts.settings |= {"JITPROV_LEASE_S": str(lease_s), "JITPROV_WORKER_CONCURRENCY": "1"}
    rate = BudgetRate.of(300, headroom=0.02, time_scale=20)
    budget = RedisBudget.connect(parts.redis.url, "jitprov:", owner="sandbox-client", rate=rate)
    ledger = parts.ledger()
    (user,), _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    opening = an_opening(user_id=str(user["id"]))
    ledger.accept([opening], look_after_s=0.5)
    budget.hold(reason="a test")
    parts.start("reconciler", until="reconciled")
    first = parts.worker()
    wait_until(lambda: ended(ledger, opening.user_id, State.RUNNING), within_s=30)
    parts.worker("--hostname", "second@%h")

    parts.end(first)
    killed_s = time.monotonic()
    budget.resume()
    wait_until(lambda: ended(ledger, opening.user_id, State.READY), within_s=60)
    took_s = time.monotonic() - killed_s
    budget.close()
    ledger.close()

    assert took_s < lease_s / 2  # some eight seconds; the rest is for a busy machine
    assert "lease_lost" in parts.logs()
