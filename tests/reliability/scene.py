"""Real parts for one scenario: a Redis to break, a sandbox that keeps the books, agents sent for by hand."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery import Celery, chain

from builders import an_opening
from jitprov.domain.ids import task_id_of
from jitprov.domain.provisioning import CORRIDOR, Provisioning, State
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.names import task_name
from own_redis import wait_until
from running import RealParts

PHONES = {"method": "POST", "path_re": r"/edges/phones$"}
LEASE_S = 5


class Scene:
    """What a scenario does and sees."""

    def __init__(self, parts: RealParts) -> None:
        parts.settings |= {
            "JITPROV_LEASE_S": str(LEASE_S),
            "JITPROV_CONNECT_TIMEOUT_S": "1",
            "JITPROV_READ_TIMEOUT_S": "2",
            "JITPROV_MESSAGE_GRACE_S": "1",
            "JITPROV_RECONCILE_EVERY_S": "0.5",
        }
        self.parts = parts
        self.control = parts.sandbox.control
        self.ledger: RedisLedger = parts.ledger()

    def accept(self, count: int = 1) -> list[str]:
        """Let people sign in and accept them; nothing is sent. Return their user ids."""
        users, _ = self.control.sign_in_silently(count, departments=["Seasonal_Retail"])
        user_ids = [str(user["id"]) for user in users]
        self.ledger.accept([an_opening(user_id=user_id) for user_id in user_ids], look_after_s=1)
        return user_ids

    def send(self, *user_ids: str) -> None:
        """Send the chains of agents."""
        with Celery(broker=self.parts.redis.url, set_as_current=False) as app:
            for user_id in user_ids:
                provisioning_id = self.record(user_id).provisioning_id
                steps = [
                    app.signature(
                        task_name(step), args=(provisioning_id,), immutable=True, queue=task_name(step),
                        task_id=task_id_of(provisioning_id, 1, step.number),
                    )
                    for step in CORRIDOR
                ]  # fmt: skip
                chain(*steps, app=app).apply_async()

    def record(self, user_id: str) -> Provisioning:
        record = self.ledger.find(user_id)
        assert record is not None
        return record

    def waits_at(self, barrier: str) -> bool:
        """Tell whether a request waits at a barrier."""
        return any(gate["waiting"] for gate in self.control.barriers() if gate["name"] == barrier)

    def phones_asked_for(self) -> int:
        """Return how many creates arrived whole."""
        return sum(
            entry["method"] == "POST" and str(entry["path"]).endswith("/phones") and bool(entry["route"])
            for entry in self.control.journal(limit=100_000)
        )

    def assert_all_ready(self, user_ids: Sequence[str], *, within_s: float = 60) -> None:
        """Fail unless all become ready in time, each with one phone, its station and its skills, within the limit."""
        wait_until(lambda: all(self.record(each).state is State.READY for each in user_ids), within_s=within_s)
        for user_id in user_ids:

            def has(user_id: str = user_id) -> dict[str, Any]:
                (user,) = self.control.state(user_id)["users"]
                return dict(user)

            phones = has()["phones"]
            assert len(phones) == 1
            wait_until(lambda: has()["default_station_id"] == phones[0]["station_id"], within_s=5)  # noqa: B023
            assert {skill["name"] for skill in has()["skills"]} == {"Customer_Service", "Order_Tracking"}
        judged = self.control.oracle()
        assert (judged["windows_over"], judged["answers_429"]) == (0, 0)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has forked."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def stop(pid: int) -> None:
    """Let a process stand still, as when its machine does."""
    os.kill(pid, signal.SIGSTOP)


def go_on(pid: int) -> None:
    """Let it go on."""
    os.kill(pid, signal.SIGCONT)
