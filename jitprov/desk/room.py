"""The operator's room over HTTP: the board at `/`, and the same as JSON with retry and cancel under `/api/`.

It reads the ledger and the meter and moves provisionings by `pipeline.operations`, like the command line does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.requests import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from jitprov.budget import Budget
from jitprov.desk.guard import Guard
from jitprov.domain.provisioning import CORRIDOR, Provisioning, State
from jitprov.domain.view import describe
from jitprov.ledger import Ledger
from jitprov.pipeline.operations import SETTLE_S, Answer, Verdict, cancel, retry

_HERE = Path(__file__).parent
_STATUS_OF = {Verdict.UNKNOWN: 404, Verdict.REFUSED: 409}
_PAGE_MAX = 500
_CAUSES_OF = 10_000


@dataclass(frozen=True, slots=True)
class Desk:
    """What the room's handlers work with.

    Attributes:
        ledger: The truth.
        budget: The meter.
        enqueue_again: Sends a provisioning's chain from its recorded step.
        grace_s: How long a message may be on its way, in real seconds.
        settle_s: See `operations.retry`.
        pages: The templates.
    """

    ledger: Ledger
    budget: Budget
    enqueue_again: Callable[[Provisioning], None]
    grace_s: float
    settle_s: float = SETTLE_S
    pages: Jinja2Templates = field(default_factory=lambda: Jinja2Templates(directory=_HERE / "templates"))

    def list_all(
        self,
        state: Annotated[list[State] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> dict[str, Any]:
        """GET /api/provisionings: counts, and a page of provisionings, first accepted first."""
        records = self.ledger.page(tuple(state or ()), offset=offset, limit=limit)
        return {"counts": self.ledger.count(), "provisionings": [describe(record) for record in records]}

    def show(self, any_id: str) -> dict[str, Any]:
        """GET /api/provisionings/{any_id}: one, by any id."""
        return describe(self._known(any_id))

    def retry(self, any_id: str) -> dict[str, Any]:
        """POST /api/provisionings/{any_id}/retry."""
        return _told(retry(self.ledger, self.enqueue_again, any_id, grace_s=self.grace_s, settle_s=self.settle_s))

    def cancel(self, any_id: str) -> dict[str, Any]:
        """POST /api/provisionings/{any_id}/cancel."""
        return _told(cancel(self.ledger, any_id, grace_s=self.grace_s))

    def show_budget(self) -> dict[str, Any]:
        """GET /api/budget: the meter."""
        return asdict(self.budget.state())

    def board(self, request: Request, state: Annotated[State | None, Query()] = None) -> HTMLResponse:
        """GET /: all agents."""
        failed = self.ledger.page((State.FAILED,), limit=_CAUSES_OF)
        shown = {
            "counts": self.ledger.count(),
            "budget": self.budget.state(),
            "causes": Counter(record.failure.code for record in failed if record.failure).most_common(),
            "records": self.ledger.page((state,) if state else (), limit=100),
            "chosen": state,
        }
        return self.pages.TemplateResponse(request, "board.html", shown)

    def agent(self, request: Request, any_id: str) -> HTMLResponse:
        """GET /agents/{any_id}: one agent."""
        shown = {"record": self._known(any_id), "corridor": CORRIDOR}
        return self.pages.TemplateResponse(request, "agent.html", shown)

    def _known(self, any_id: str) -> Provisioning:
        record = self.ledger.find(any_id)
        if record is None:
            raise HTTPException(404, "nothing is known by this id")
        return record


def _told(answer: Answer) -> dict[str, Any]:
    if answer.verdict in _STATUS_OF:
        raise HTTPException(_STATUS_OF[answer.verdict], answer.text)
    record = describe(answer.record) if answer.record else None
    return {"verdict": answer.verdict, "text": answer.text, "provisioning": record}


def make_room(desk: Desk, *, operator_key: str) -> APIRouter:
    """Return the routes of the room; an empty key keeps all of them closed."""
    guard = Guard(operator_key)
    reading, changing = [Depends(guard.may_read)], [Depends(guard.may_change)]
    room = APIRouter()
    room.get("/api/provisionings", dependencies=reading)(desk.list_all)
    room.get("/api/provisionings/{any_id}", dependencies=reading)(desk.show)
    room.post("/api/provisionings/{any_id}/retry", dependencies=changing)(desk.retry)
    room.post("/api/provisionings/{any_id}/cancel", dependencies=changing)(desk.cancel)
    room.get("/api/budget", dependencies=reading)(desk.show_budget)
    room.get("/", dependencies=reading, response_class=HTMLResponse)(desk.board)
    room.get("/agents/{any_id}", dependencies=reading, response_class=HTMLResponse)(desk.agent)
    return room
