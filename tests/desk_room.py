"""A room over the memory ledger, with its own clock, and agents in every state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from fastapi.testclient import TestClient

from builders import a_failure, a_profile, an_opening
from fixed_clock import FixedClock
from jitprov.budget import BudgetState
from jitprov.desk.room import Desk, Guard, make_room
from jitprov.desk.session import Role
from jitprov.domain import provisioning as moves
from jitprov.domain.forecast import Allowance
from jitprov.domain.provisioning import Findings, Provisioning, State
from jitprov.domain.rehearsal import Stations
from jitprov.ledger import Claim
from jitprov.ledger.memory_overview import MemoryOverview
from jitprov.pipeline.outlook import Pace

KEY, VIEWER_KEY = "k" * 40, "v" * 40


def guard_of(key: str, viewer_key: str = "") -> Guard:
    """Return who lets in with these keys, which do not change."""
    return Guard(lambda: {Role.OPERATOR: [key], Role.VIEWER: [viewer_key]})


class QuietBudget:
    """A meter that nothing is asked of but its state."""

    def __init__(self) -> None:
        self.now = BudgetState(300, 12, 34, 0.0, 0.0, "")

    def state(self) -> BudgetState:
        return self.now

    def hold(self, *, for_s: float, reason: str) -> None:
        self.now = replace(self.now, paused_s=for_s, pause_reason=reason, paused_by="people")

    def resume(self) -> None:
        self.now = replace(self.now, paused_s=0.0, pause_reason="", paused_by="")


@dataclass
class Room:
    clock: FixedClock
    ledger: MemoryOverview
    budget: QuietBudget = field(default_factory=QuietBudget)
    sent: list[Provisioning] = field(default_factory=list)

    def client(self, key: str = KEY, viewer_key: str = VIEWER_KEY, **how: Any) -> TestClient:
        app = FastAPI()
        pace = Pace(Allowance(), Stations())
        desk = Desk(self.ledger, self.budget, self.sent.append, lambda: pace, grace_s=1)  # type: ignore[arg-type]
        app.include_router(make_room(desk, guard_of(key, viewer_key)))
        return TestClient(app, **how)

    def opened(self) -> Provisioning:
        opening = an_opening()
        self.ledger.accept([opening], look_after_s=1)
        record = self.ledger.get(opening.provisioning_id)
        assert record is not None
        return record

    def moved(
        self, record: Provisioning, move: Callable[[Claim], Provisioning], profile: dict[str, str] | None = None
    ) -> Provisioning:
        claim = self.ledger.claim(record.provisioning_id, record.step, record.generation, token=uuid4().hex, lease_s=10)
        assert isinstance(claim, Claim)
        if profile is not None:
            findings = Findings(profile=a_profile(user_id=record.user_id, **profile))
            claim = replace(claim, record=replace(claim.record, findings=findings))
        assert self.ledger.record(claim, move(claim), look_after_s=1)
        seen = self.ledger.get(record.provisioning_id)
        assert seen is not None
        return seen

    def failed(self, profile: dict[str, str] | None = None, **failure: Any) -> Provisioning:
        return self.moved(
            self.opened(), lambda claim: moves.fail(claim.record, claim.now, a_failure(**failure)), profile or {}
        )

    def waiting(self, profile: dict[str, str] | None = None, **failure: Any) -> Provisioning:
        return self.moved(
            self.opened(),
            lambda claim: moves.wait(claim.record, claim.now, 30, a_failure(**failure), spends=False, counted_s=30),
            profile or {},
        )

    def ready(self, profile: dict[str, str] | None = None) -> Provisioning:
        record = self.opened()
        while record.state is not State.READY:
            record = self.moved(
                record, lambda claim: moves.advance(claim.record, claim.now, claim.record.findings), profile or {}
            )
        return record


def signed_in(client: TestClient, key: str = KEY, who: str = "Kim") -> TestClient:
    """Sign a client in, as a browser does."""
    answer = client.post("/login", data={"key": key, "who": who, "zone": "Europe/Berlin"}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return client


def csrf(page: str) -> str:
    """Return what the forms of a page bring along."""
    return page.split('name="csrf" value="')[1].split('"', maxsplit=1)[0]
