"""An agent's later life with real parts: events as Genesys posts them, the receiver, the ledger, steps over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from in_process import InProcess, in_process
from jitprov.domain.events import Kind
from jitprov.domain.provisioning import State
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.reconciler import InBroker, Reconciler
from jitprov.pipeline.tasks import make_runner
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.sealing import Seals
from running_receiver import KEY, RunningReceiver

pytestmark = pytest.mark.integration

RULES = """\
version: 1
release_phone: true
rules:
  - name: Retail
    when: {department: Retail}
    skills: {Customer_Service: 2, Order_Tracking: 1}
    languages: {French: 3}
    utilization: {chat: {capacity: 2}}
    division: Seasonal
    roles: [Agent]
    groups: [Retail Floor]
    queues: [Retail Calls]
  - name: Support
    when: {department: Support}
    skills: {Customer_Service: 2, Basic_Troubleshooting: 3}
    roles: [Agent]
"""
ROBIN = {"name": "Robin Reed", "email": "robin@example.test", "department": "Retail"}


@dataclass
class Life:
    """The parts, and an administrator who changes users with a client of their own."""

    parts: InProcess
    receiver: RunningReceiver
    ledger: RedisLedger
    admin: requests.Session

    @property
    def control(self) -> Any:
        return self.parts.sandbox.control

    def sign_in(self, **changes: str) -> str:
        """Let one sign in, announced; return the user's id once the receiver has it."""
        [user] = self.control.sign_in(agents=[ROBIN | changes])
        self.control.wait_delivered()
        return str(user["id"])

    def user(self, user_id: str) -> dict[str, Any]:
        [user] = self.control.state(user_id)["users"]
        return dict(user)

    def held(self, user_id: str) -> dict[str, Any]:
        user = self.user(user_id)
        return {
            "skills": {skill["name"]: skill["proficiency"] for skill in user["skills"]},
            "languages": {language["name"] for language in user["languages"]},
            "roles": {role["name"] for role in user["roles"]},
            "groups": set(user["groups"]),
            "queues": set(user["queues"]),
            "phones": [phone["id"] for phone in user["phones"]],
            "own_utilization": user["utilization"] is not None,
            "division_id": user["division_id"],
        }

    def act(self, method: str, path: str, **content: Any) -> Any:
        answer = self.admin.request(method, f"{self.parts.sandbox.base_url}/api/v2{path}", timeout=10, **content)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def change(self, user_id: str, **changes: Any) -> None:
        """Let the administrator change a user, and Genesys post that."""
        query = "?state=deleted" if self.user(user_id)["state"] == "deleted" else ""
        version = self.act("GET", f"/users/{user_id}{query}")["version"]
        self.act("PATCH", f"/users/{user_id}", json=changes | {"version": version})
        self.control.wait_delivered()

    def opened(self) -> list[str]:
        return [f"{each.kind} {each.state}" for each in self.ledger.page()]

    def take_steps(self, user_id: str, count: int) -> None:
        """Walk an agent a few steps."""
        runner = make_runner(self.parts.services())
        for _ in range(count):
            record = self.ledger.find(user_id)
            assert record is not None
            runner.run(record.provisioning_id, record.step, record.generation, token=uuid4().hex)

    def finish(self, provisioning_id: str) -> None:
        """Walk one provisioning to its end, whatever the newest of its agent is."""
        kept = self.parts.services()
        record = kept.ledger.get(provisioning_id)
        assert record is not None
        self.parts._walked(make_runner(kept), kept, record)

    def start_what_is_due(self) -> list[str]:
        """Let the reconciler look once; return what it sent."""
        sent: list[str] = []
        nothing = InBroker(frozenset(), frozenset())
        Reconciler(self.ledger, lambda: nothing, lambda record: sent.append(record.provisioning_id), grace_s=60).look()
        return sent


@contextmanager
def another_client(sandbox: SandboxThread) -> Iterator[requests.Session]:
    """Yield a session under the token of another OAuth client than jitprov's."""
    own = sandbox.control.options()
    sandbox.control.patch_options(client_id="administrators-client")
    answer = requests.post(
        f"{sandbox.base_url}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=("administrators-client", own["client_secret"]),
        timeout=10,
    )
    sandbox.control.patch_options(client_id=own["client_id"])
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield session


@pytest.fixture
def life(redis_url: str, key_prefix: str, tmp_path: Path) -> Iterator[Life]:
    options = SandboxOptions(time_scale=60, limit_per_min=100_000, announce_changes=True, webhook_key=KEY)
    ledger = RedisLedger.connect(redis_url, key_prefix, seals=Seals("d" * 40))
    with (
        SandboxThread(options) as sandbox,
        another_client(sandbox) as admin,
        in_process(sandbox, redis_url, key_prefix, tmp_path) as parts,
        RunningReceiver(ledger, client_id="sandbox-client") as receiver,
    ):
        sandbox.control.patch_options(webhook_url=f"{receiver.url}/events")
        parts.rules(RULES)
        yield Life(parts, receiver, ledger, admin)
    ledger.close()


def test_a_moved_agent_gets_the_difference_and_keeps_what_was_made_by_hand(life: Life) -> None:
    """Moved elsewhere: new skills come, jitprov's own go, a supervisor's stay; own writes open nothing."""
    user_id = life.sign_in()
    life.parts.walk(user_id)
    before = life.held(user_id)
    skills = {each["name"]: each["id"] for each in life.act("GET", "/routing/skills?pageSize=100")["entities"]}
    by_hand = {"id": skills["Complaints"], "proficiency": 4.0}
    life.act("POST", f"/users/{user_id}/routingskills", json=by_hand)
    life.change(user_id, department="Support")
    life.parts.walk(user_id)
    after = life.held(user_id)
    seen = life.parts.so_far()
    life.change(user_id, title="Senior Agent")
    life.parts.walk(user_id)

    assert before["skills"] == {"Customer_Service": 2.0, "Order_Tracking": 1.0}
    assert after["skills"] == {"Customer_Service": 2.0, "Basic_Troubleshooting": 3.0, "Complaints": 4.0}
    assert (after["languages"], after["groups"], after["queues"]) == (set(), set(), set())
    assert after["roles"] == before["roles"]
    assert "Agent" in after["roles"]
    assert after["phones"] == before["phones"]
    assert len(after["phones"]) == 1
    assert before["own_utilization"]
    assert not after["own_utilization"]
    assert after["division_id"] != before["division_id"]
    assert life.opened() == ["new ready", "change ready", "change ready"]
    assert [call for call in life.parts.sent(seen) if not call.startswith("PATCH /api/v2/users/{userId}")] == []


def test_an_agent_who_is_deleted_gives_up_the_phone_and_gets_another_when_restored(life: Life) -> None:
    """Deleted: the phone that jitprov made goes, as the rules say. Restored: provisioned anew, with one phone."""
    user_id = life.sign_in()
    life.parts.walk(user_id)
    [first] = life.held(user_id)["phones"]
    life.act("DELETE", f"/users/{user_id}")
    life.control.wait_delivered()
    life.parts.walk(user_id)
    gone = life.held(user_id)["phones"]
    life.change(user_id, state="active")
    life.parts.walk(user_id)

    assert gone == []
    assert len(life.held(user_id)["phones"]) == 1
    assert life.held(user_id)["phones"] != [first]
    assert life.opened() == ["new ready", "change ready", "return ready"]


def test_updates_during_a_run_become_one_that_follows_it(life: Life) -> None:
    """Three updates while one is under way: one more provisioning, begun when that has ended, by the last profile."""
    user_id = life.sign_in()
    record = life.ledger.find(user_id)
    assert record is not None
    life.take_steps(user_id, 1)
    for title in ("A", "B"):
        life.change(user_id, title=title)
    life.change(user_id, department="Support")
    assert life.start_what_is_due() == []
    life.finish(record.provisioning_id)
    later = life.ledger.find(user_id)
    assert later is not None

    assert life.start_what_is_due() == [later.provisioning_id]
    life.parts.walk(user_id)
    assert life.opened() == ["new ready", "change ready"]
    assert set(life.held(user_id)["skills"]) == {"Customer_Service", "Basic_Troubleshooting"}


def test_an_unfilled_profile_waits_for_its_update_and_spends_no_attempt(life: Life) -> None:
    """Created without department and title: it waits, says for what, and goes on at the update; nothing was spent."""
    [user] = life.control.sign_in(agents=[{"name": "Bare", "email": "bare@example.test", "title": " "}])
    user_id = str(user["id"])
    life.control.wait_delivered()
    life.take_steps(user_id, 2)
    waiting = life.ledger.find(user_id)
    assert waiting is not None
    asleep = life.start_what_is_due()
    life.change(user_id, department="Support")
    awake = life.start_what_is_due()
    life.parts.walk(user_id)

    ready = life.ledger.find(user_id)
    assert ready is not None
    assert (waiting.state, waiting.waiting_for, waiting.steps[waiting.step].attempts) == (
        State.WAITING,
        "profile_incomplete",
        0,
    )
    assert asleep == []
    assert awake == [waiting.provisioning_id]
    assert (ready.provisioning_id, ready.kind) == (waiting.provisioning_id, Kind.NEW)
    assert set(life.held(user_id)["skills"]) == {"Customer_Service", "Basic_Troubleshooting"}


def test_a_change_of_somebody_elses_agent_opens_nothing(life: Life) -> None:
    """A user whom jitprov never provisioned is not touched when they are changed."""
    life.control.patch_options(webhook_url=None)
    [user] = life.control.sign_in(agents=[ROBIN])
    life.control.patch_options(webhook_url=f"{life.receiver.url}/events")
    life.change(str(user["id"]), department="Support")

    assert life.opened() == []
    assert life.control.deliveries()["delivered"] == 1


REPLACING = """\
version: 1
rules:
  - name: Retail
    when: {department: Retail}
    mode: replace
    skills: {Customer_Service: 2}
    roles: [Agent]
    groups: [Retail Floor]
    queues: [Retail Calls]
  - name: Support
    when: {department: Support}
    mode: %s
    skills: {Customer_Service: 2}
    roles: [Agent]
    groups: [Tech Support Floor]
    queues: [Tech Support Calls]
"""


def join_by_hand(life: Life, user_id: str) -> None:
    """Let a supervisor put an agent in a group and two queues, in one of these by a group alone."""
    groups = {each["name"]: each["id"] for each in life.act("GET", "/groups")["entities"]}
    queues = {each["name"]: each["id"] for each in life.act("GET", "/routing/queues")["entities"]}
    life.act("POST", f"/groups/{groups['Announcements']}/members", json={"memberIds": [user_id]})
    life.act("POST", f"/routing/queues/{queues['Overflow']}/members", json=[{"id": user_id}])
    life.control.join_by_group(user_id, "Retail Chat")


def test_replacing_takes_queues_made_by_hand_and_leaves_roles_groups_and_queues_by_group(life: Life) -> None:
    """`plan` tells each queue that goes; it goes though the worker dies in between, and nothing more is found after."""
    life.parts.rules(REPLACING % "replace")
    user_id = life.sign_in()
    life.parts.walk(user_id)
    before = life.held(user_id)
    join_by_hand(life, user_id)

    [told] = life.parts.told("plan", user_id)["agents"]
    life.change(user_id, department="Support")
    life.take_steps(user_id, 2)
    record = life.ledger.find(user_id)
    assert record is not None
    spare = [queue.place_id for queue in record.findings.to_take.queues if queue.name == "Overflow"]
    life.act("DELETE", f"/routing/queues/{spare[0]}/members/{user_id}")  # as by a worker who died before it said so
    life.parts.walk(user_id)
    after = life.held(user_id)
    [settled] = life.parts.told("plan", user_id)["agents"]

    assert [(each["what"], each["name"], each["how"], each["rule"]) for each in told["changes"]] == [
        ("queue", "Overflow", "take", "Retail")
    ]
    assert [(each["method"], each["route"]) for each in told["calls"]] == [
        ("DELETE", "/api/v2/routing/queues/{queueId}/members/{memberId}")
    ]
    assert before["queues"] == {"Retail Calls"}
    assert after["queues"] == {"Tech Support Calls", "Retail Chat"}
    assert after["groups"] == {"Tech Support Floor", "Announcements"}
    assert after["roles"] == before["roles"]
    assert (settled["changes"], settled["unseen"]) == ([], [])


def test_merging_leaves_queues_made_by_hand(life: Life) -> None:
    """In merge mode only the queue that jitprov gave goes with the move; what a supervisor added stays."""
    life.parts.rules(REPLACING % "merge")
    user_id = life.sign_in()
    life.parts.walk(user_id)
    join_by_hand(life, user_id)
    life.change(user_id, department="Support")
    life.parts.walk(user_id)

    assert life.held(user_id)["queues"] == {"Tech Support Calls", "Retail Chat", "Overflow"}
