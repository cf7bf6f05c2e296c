"""The operator's room: closed without its key, read-only for a browser, and the same answers as the command line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from builders import a_failure, a_profile, an_opening
from fixed_clock import FixedClock
from jitprov.budget import BudgetState
from jitprov.desk.room import Desk, make_room
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import Findings, Provisioning
from jitprov.ledger import Claim
from jitprov.ledger.memory import MemoryLedger

KEY = "k" * 40
HEADERS = {"X-Operator-Key": KEY}


class QuietBudget:
    """A meter that nothing is asked of but its state."""

    def state(self) -> BudgetState:
        return BudgetState(300, 12, 34, 0.0, 7.0, "the API answered 429")


@dataclass
class Room:
    ledger: MemoryLedger
    sent: list[Provisioning] = field(default_factory=list)

    def client(self, key: str = KEY) -> TestClient:
        app = FastAPI()
        desk = Desk(self.ledger, QuietBudget(), self.sent.append, grace_s=1)  # type: ignore[arg-type]
        app.include_router(make_room(desk, operator_key=key))
        return TestClient(app)


@pytest.fixture
def room(clock: FixedClock) -> Room:
    return Room(MemoryLedger(clock.now))


def failed(room: Room) -> Provisioning:
    opening = an_opening()
    room.ledger.accept([opening], look_after_s=1)
    record = room.ledger.get(opening.provisioning_id)
    assert record is not None
    claim = room.ledger.claim(record.provisioning_id, record.step, 1, token="t", lease_s=10)
    assert isinstance(claim, Claim)
    known = replace(claim.record, findings=Findings(profile=a_profile(name="<b>Robin</b>")))
    room.ledger.record(claim, moves.fail(known, claim.now, a_failure()), look_after_s=1)
    return record


@pytest.mark.parametrize("path", ["/", "/api/provisionings", "/api/budget", "/agents/x", "/api/provisionings/x"])
@pytest.mark.parametrize(
    "headers", [{}, {"X-Operator-Key": ""}, {"X-Operator-Key": "wrong"}, {"Authorization": "Bearer "}]
)
def test_the_room_is_closed(room: Room, path: str, headers: dict[str, str]) -> None:
    """Without the right key every page and answer is 401, and tells nothing."""
    answer = room.client().get(path, headers=headers)

    assert answer.status_code == 401
    assert "Robin" not in answer.text


def test_without_a_key_set_nobody_enters(room: Room) -> None:
    """An empty operator key lets nobody in, not even with an empty one."""
    client = room.client(key="")

    assert client.get("/", headers={"X-Operator-Key": ""}).status_code == 401
    assert client.get("/", auth=("anyone", "")).status_code == 401


def test_a_browser_may_read(room: Room) -> None:
    """Basic with the key as password opens the board, which shows counts, causes and the paused budget, escaped."""
    failed(room)
    page = room.client().get("/", auth=("anyone", KEY))

    assert page.status_code == 200
    assert "unavailable 1" in page.text
    assert "the API answered 429" in page.text
    assert "&lt;b&gt;Robin" in page.text
    assert "<b>Robin" not in page.text


def test_an_agents_page_shows_every_step_and_the_remedy(room: Room) -> None:
    """All steps are there, also those to come, with task ids, and why it failed with the command that retries it."""
    record = failed(room)
    page = room.client().get(f"/agents/{record.user_id}", headers=HEADERS)

    assert page.status_code == 200
    assert all(record.task_id(step) in page.text for step in record.steps)
    assert "Retry it." in page.text
    assert f"jitprov retry {record.task_id()}" in page.text


def test_a_change_needs_the_key_as_a_header(room: Room) -> None:
    """What a browser adds by itself never changes anything: Basic is refused, and so is another site's request."""
    record = failed(room)
    path = f"/api/provisionings/{record.provisioning_id}/retry"

    assert room.client().post(path, auth=("anyone", KEY)).status_code == 401
    assert room.client().post(path, headers={**HEADERS, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert room.sent == []
    assert room.client().post(path, headers=HEADERS).json()["verdict"] == "done"
    assert [each.provisioning_id for each in room.sent] == [record.provisioning_id]


def test_answers_match_the_state(room: Room) -> None:
    """Unknown ids are 404, a list says how many there are, cancel and retry answer in words."""
    record = failed(room)
    client = room.client()

    assert client.get("/api/provisionings/nobody", headers=HEADERS).status_code == 404
    assert client.post("/api/provisionings/nobody/retry", headers=HEADERS).status_code == 404
    listed = client.get("/api/provisionings?state=failed", headers=HEADERS).json()
    assert (listed["counts"]["failed"], len(listed["provisionings"])) == (1, 1)
    assert client.post(f"/api/provisionings/{record.user_id}/cancel", headers=HEADERS).json()["verdict"] == "done"
    assert client.get("/api/budget", headers=HEADERS).json()["limit_per_min"] == 300
