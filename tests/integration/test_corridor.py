"""The corridor with real parts: Redis, a prefork worker, the reconciler, and a sandbox that keeps the books."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from redis import Redis

from builders import an_opening
from jitprov.domain.ids import provisioning_id_from, task_id_of
from jitprov.domain.provisioning import CORRIDOR, Provisioning, State, Step, StepState
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.names import task_name
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from running import PROJECT, RealParts, ended

pytestmark = pytest.mark.integration

RETAIL = {"Customer_Service": 1.0, "Order_Tracking": 1.0}
PHONES = r"/edges/phones$"
LEASE_S = 5


class Corridor:
    """Real parts, and short words for what tests do with them."""

    def __init__(self, parts: RealParts) -> None:
        self.parts = parts
        self.control = parts.sandbox.control
        self.ledger: RedisLedger = parts.ledger()

    def sign_in(self, count: int = 1, department: str = "Seasonal_Retail") -> list[str]:
        """Let people sign in and accept them; nothing is enqueued. Return their user ids."""
        users, _ = self.control.sign_in_silently(count, departments=[department])
        user_ids = [str(user["id"]) for user in users]
        self.ledger.accept([an_opening(user_id=user_id) for user_id in user_ids], look_after_s=2)
        return user_ids

    def record(self, user_id: str) -> Provisioning:
        record = self.ledger.find(user_id)
        assert record is not None
        return record

    def enqueue(self, *user_ids: str) -> None:
        """Send the agents' chains, as receiver and reconciler do."""
        code = "import sys; from jitprov.pipeline.chain import enqueue; [enqueue(each) for each in sys.argv[1:]]"
        ids = [self.record(user_id).provisioning_id for user_id in user_ids]
        subprocess.run(
            [sys.executable, "-c", code, *ids], env=self.parts.environment(), cwd=PROJECT, check=True, timeout=60
        )

    def send(self, step: Step, *args: object, task_id: str, **kwargs: object) -> None:
        """Send one message of any content."""
        with Celery(broker=self.parts.redis.url, set_as_current=False) as app:
            app.send_task(task_name(step), args=args, kwargs=kwargs, task_id=task_id, queue=task_name(step))

    def wait_until_all(self, state: State, *user_ids: str, within_s: float = 60) -> None:
        wait_until(lambda: all(ended(self.ledger, user_id, state) for user_id in user_ids), within_s=within_s)

    def calls(self, method: str = "", ending: str = "") -> list[dict[str, Any]]:
        """Return the requests that the sandbox saw."""
        return [
            entry
            for entry in self.control.journal(limit=100_000)
            if method in ("", entry["method"]) and str(entry["path"]).endswith(ending)
        ]

    def assert_call_ready(self, user_id: str, skills: dict[str, float]) -> None:
        """Fail unless the sandbox has the agent exactly as the rules want it."""
        (user,) = self.control.state(user_id)["users"]
        assert {skill["name"]: skill["proficiency"] for skill in user["skills"]} == skills
        assert len(user["phones"]) == 1
        wait_until(
            lambda: (
                self.control.state(user_id)["users"][0]["default_station_id"]
                == user["phones"][0]["station_id"]
                == self.record(user_id).findings.station_id
            ),
            within_s=5,
        )


@pytest.fixture
def corridor(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Corridor]:
    with SandboxThread(SandboxOptions(time_scale=20)) as sandbox, RealParts(own_redis, sandbox, tmp_path) as parts:
        parts.settings["JITPROV_LEASE_S"] = str(LEASE_S)
        parts.settings["JITPROV_CONNECT_TIMEOUT_S"] = "1"
        parts.settings["JITPROV_READ_TIMEOUT_S"] = "2"
        made = Corridor(parts)
        yield made
        made.ledger.close()


def test_agents_walk_the_corridor_in_order(corridor: Corridor) -> None:
    """Every agent passes all steps in order, each once, under the task ids foretold, and is call-ready in Genesys."""
    users = corridor.sign_in(5)
    corridor.parts.worker()

    corridor.enqueue(*users)
    corridor.wait_until_all(State.READY, *users)

    for user_id in users:
        corridor.assert_call_ready(user_id, RETAIL)
        record = corridor.record(user_id)
        steps = [record.steps[step] for step in CORRIDOR]
        assert [(step.state, step.attempts, step.generation) for step in steps] == [(StepState.DONE, 1, 1)] * 5
        instants = [instant for step in steps for instant in (step.began_at, step.ended_at)]
        assert None not in instants
        assert instants == sorted(instants, key=str)
        assert record.republished == 0
    judged = corridor.control.oracle()
    assert (judged["users_with_other_than_one_phone"], judged["windows_over"], judged["answers_429"]) == ([], 0, 0)
    assert len(corridor.calls("POST", "/phones")) == 5


def test_messages_that_come_again_do_nothing_again(corridor: Corridor) -> None:
    """Chains sent thrice, to two workers, and once more afterwards, cost no call more and make nothing twice."""
    users = corridor.sign_in(4)
    corridor.enqueue(*users, *users, *users)
    corridor.parts.worker()
    corridor.parts.worker()
    corridor.wait_until_all(State.READY, *users)
    before = len(corridor.calls())

    corridor.enqueue(*users)
    (late,) = corridor.sign_in(1)
    corridor.enqueue(late)
    corridor.wait_until_all(State.READY, late)

    for user_id in [*users, late]:
        corridor.assert_call_ready(user_id, RETAIL)
        assert [corridor.record(user_id).steps[step].attempts for step in CORRIDOR] == [1] * 5
    assert len(corridor.calls("POST", "/phones")) == 5
    assert {call["user_id"] for call in corridor.calls()[before:]} <= {"", late}


@pytest.mark.parametrize("phase", ["before_apply", "after_apply"])
def test_a_worker_killed_while_it_makes_a_phone_leaves_one_phone(corridor: Corridor, phase: str) -> None:
    """Kill -9 in the middle of the create, before or after its effect: another worker finishes, with one phone."""
    (user_id,) = corridor.sign_in()
    corridor.control.barrier("phone", {"method": "POST", "path_re": PHONES}, phase=phase, times=1)
    first = corridor.parts.worker()
    corridor.enqueue(user_id)
    wait_until(lambda: any(gate["waiting"] for gate in corridor.control.barriers()), within_s=30)

    with Redis.from_url(corridor.parts.redis.url) as broker:
        assert broker.hlen("unacked") >= 1  # until its step ends, the broker keeps the message
    corridor.parts.end(first)
    corridor.control.release("phone")
    corridor.parts.start("reconciler", until="reconciler_started")
    corridor.parts.worker()
    corridor.wait_until_all(State.READY, user_id, within_s=60)

    corridor.assert_call_ready(user_id, RETAIL)
    record = corridor.record(user_id)
    assert record.steps[Step.CREATE_PHONE].attempts == 2
    assert record.republished >= 1
    assert len(corridor.calls("GET", "/phones")) >= 1  # it looked before it created


def test_a_lost_message_is_made_good(corridor: Corridor) -> None:
    """Agents whose messages never reached the broker become ready all the same."""
    users = corridor.sign_in(3)
    corridor.parts.worker()

    corridor.parts.start("reconciler", until="reconciler_started")
    corridor.wait_until_all(State.READY, *users, within_s=60)

    assert [corridor.record(user_id).republished for user_id in users] == [1, 1, 1]


def test_a_failed_agent_goes_on_by_its_task_id(corridor: Corridor, tmp_path: Path) -> None:
    """A skill that does not exist fails visibly; mended, `retry` with the failed task's id finishes the rest once."""
    rules = tmp_path / "rules.yaml"
    text = "version: 1\nrules:\n  - name: Everybody\n    skills:\n      {}: 2.5\n"
    rules.write_text(text.format("Costumer_Service"))
    corridor.parts.settings["JITPROV_RULES_FILE"] = str(rules)
    (user_id,) = corridor.sign_in()
    worker = corridor.parts.worker()
    corridor.enqueue(user_id)
    corridor.wait_until_all(State.FAILED, user_id)
    failed = corridor.record(user_id)
    assert failed.failure is not None
    assert (failed.step, failed.failure.code) == (Step.RESOLVE_SKILLS, "skill_unknown")
    assert "Customer_Service" in failed.failure.message  # the name that was probably meant

    rules.write_text(text.format("Customer_Service"))
    corridor.parts.end(worker)
    corridor.parts.worker()
    answered = corridor.parts.run("retry", failed.task_id())
    corridor.wait_until_all(State.READY, user_id)

    assert answered.returncode == 0, answered.stderr
    corridor.assert_call_ready(user_id, {"Customer_Service": 2.5})
    record = corridor.record(user_id)
    assert [record.steps[step].generation for step in CORRIDOR] == [1, 2, 2, 2, 2]
    assert corridor.ledger.find(failed.task_id()) == record


def test_messages_of_others_are_let_go(corridor: Corridor) -> None:
    """Messages that are nobody's, or not as jitprov makes them, cost no call and hold no worker up."""
    (user_id,) = corridor.sign_in()
    record = corridor.record(user_id)
    nobody = provisioning_id_from(uuid4())
    corridor.send(Step.FETCH_PROFILE, nobody, task_id=task_id_of(nobody, 1, 1))
    corridor.send(Step.FETCH_PROFILE, record.provisioning_id, task_id=str(uuid4()))
    corridor.send(Step.CREATE_PHONE, record.provisioning_id, task_id=record.task_id(Step.CREATE_PHONE))
    corridor.send(Step.FETCH_PROFILE, {"$ref": "x"}, task_id=record.task_id())
    corridor.send(Step.FETCH_PROFILE, task_id=record.task_id())
    corridor.send(Step.FETCH_PROFILE, record.provisioning_id, "more", task_id=record.task_id())
    corridor.send(Step.FETCH_PROFILE, record.provisioning_id, task_id="../../etc")
    worker = corridor.parts.worker()
    (other,) = corridor.sign_in()

    corridor.enqueue(other)
    corridor.wait_until_all(State.READY, other)

    assert worker.poll() is None
    assert corridor.record(user_id) == record
    assert len(corridor.calls("POST", "/phones")) == 1
    corridor.enqueue(user_id)
    corridor.wait_until_all(State.READY, user_id)
    corridor.assert_call_ready(user_id, RETAIL)
