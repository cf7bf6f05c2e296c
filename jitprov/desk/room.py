"""The operator's room over HTTP: the board at `/`, and the same as JSON with retry and cancel under `/api/`.

It reads the ledger and the meter and moves provisionings by `pipeline.operations`, like the command line does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
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
from jitprov.pipeline.operations import Answer, Verdict, cancel, retry

_HERE = Path(__file__).parent
_STATUS_OF = {Verdict.UNKNOWN: 404, Verdict.REFUSED: 409}
_PAGE_MAX = 500


def make_room(
    ledger: Ledger,
    budget: Budget,
    enqueue_again: Callable[[Provisioning], None],
    *,
    operator_key: str,
    grace_s: float,
) -> APIRouter:
    """Return the routes of the room.

    Args:
        ledger: The truth.
        budget: The meter.
        enqueue_again: Sends a provisioning's chain from its recorded step.
        operator_key: Lets people in; empty keeps the room closed.
        grace_s: How long a message may be on its way, in real seconds.
    """
    guard = Guard(operator_key)
    reading, changing = [Depends(guard.may_read)], [Depends(guard.may_change)]
    pages = Jinja2Templates(directory=_HERE / "templates")
    room = APIRouter()

    def known(any_id: str) -> Provisioning:
        record = ledger.find(any_id)
        if record is None:
            raise HTTPException(404, "nothing is known by this id")
        return record

    def told(answer: Answer) -> dict[str, Any]:
        if answer.verdict in _STATUS_OF:
            raise HTTPException(_STATUS_OF[answer.verdict], answer.text)
        record = describe(answer.record) if answer.record else None
        return {"verdict": answer.verdict, "text": answer.text, "provisioning": record}

    @room.get("/api/provisionings", dependencies=reading)
    def list_all(
        state: Annotated[list[State] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> dict[str, Any]:
        records = ledger.page(tuple(state or ()), offset=offset, limit=limit)
        return {"counts": ledger.count(), "provisionings": [describe(record) for record in records]}

    @room.get("/api/provisionings/{any_id}", dependencies=reading)
    def show(any_id: str) -> dict[str, Any]:
        return describe(known(any_id))

    @room.post("/api/provisionings/{any_id}/retry", dependencies=changing)
    def do_retry(any_id: str) -> dict[str, Any]:
        return told(retry(ledger, enqueue_again, any_id, grace_s=grace_s))

    @room.post("/api/provisionings/{any_id}/cancel", dependencies=changing)
    def do_cancel(any_id: str) -> dict[str, Any]:
        return told(cancel(ledger, any_id, grace_s=grace_s))

    @room.get("/api/budget", dependencies=reading)
    def show_budget() -> dict[str, Any]:
        return asdict(budget.state())

    @room.get("/", dependencies=reading, response_class=HTMLResponse)
    def board(request: Request, state: Annotated[State | None, Query()] = None) -> HTMLResponse:
        failed = ledger.page((State.FAILED,), limit=10_000)
        return pages.TemplateResponse(
            request,
            "board.html",
            {
                "counts": ledger.count(),
                "budget": budget.state(),
                "causes": Counter(record.failure.code for record in failed if record.failure).most_common(),
                "records": ledger.page((state,) if state else (), limit=100),
                "chosen": state,
            },
        )

    @room.get("/agents/{any_id}", dependencies=reading, response_class=HTMLResponse)
    def agent(request: Request, any_id: str) -> HTMLResponse:
        return pages.TemplateResponse(request, "agent.html", {"record": known(any_id), "corridor": CORRIDOR})

    return room
