"""The operator's room as JSON, under `/api/`: list, show, retry one or all that match, cancel, acts, budget."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import JSONResponse

from jitprov.budget import ENDLESS_S
from jitprov.desk.answers import JsonRoute
from jitprov.desk.asked import asked
from jitprov.desk.desk import Desk
from jitprov.desk.guard import Guard, visitor_of
from jitprov.desk.session import Visitor
from jitprov.domain.view import describe
from jitprov.errors import ConfigurationError
from jitprov.ledger.overview import Filter
from jitprov.pipeline.names import VALVED
from jitprov.pipeline.operations import Answer, Verdict

_STATUS_OF = {Verdict.UNKNOWN: HTTPStatus.NOT_FOUND, Verdict.REFUSED: HTTPStatus.CONFLICT}
_PAGE_MAX = 500


def _told(answer: Answer) -> dict[str, Any]:
    if answer.verdict in _STATUS_OF:
        raise HTTPException(_STATUS_OF[answer.verdict], answer.text)
    record = describe(answer.record) if answer.record else None
    return {"verdict": answer.verdict, "text": answer.text, "provisioning": record}


Wanted = Annotated[Filter, Depends(asked)]
By = Annotated[Visitor, Depends(visitor_of)]
Reason = Annotated[str, Query(max_length=200)]
Seconds = Annotated[float, Query(gt=0, le=ENDLESS_S)]
WorkerName = Annotated[str, Query(min_length=1, max_length=200)]
Rate = Annotated[str, Query(min_length=1, max_length=30)]
Limit = Annotated[int, Query(ge=1, le=_PAGE_MAX)]


class Api:
    """The handlers.

    Args:
        desk: What they work with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def list_all(self, wanted: Wanted, limit: Limit = 100, after: str | None = None) -> dict[str, Any]:
        """Counts of all, and a page of what matches, first accepted first; `following` is the next page's `after`."""
        try:
            found = self._desk.ledger.search(wanted, after=after, limit=limit)
        except ValueError:
            raise HTTPException(400, "after: `following` of the page before") from None
        content = [describe(record) for record in found.records]
        return {"counts": self._desk.ledger.count(), "provisionings": content, "following": found.following}

    def show(self, any_id: str) -> dict[str, Any]:
        """One, by any id; with the instant at which it will be ready, while it is under way."""
        record = self._desk.known(any_id)
        return {**describe(record), "ready_at": self._desk.ready_at(record, self._desk.ledger.ping())}

    def retry(self, any_id: str, by: By, why: str = "") -> dict[str, Any]:
        """Resume one at the step where it ended."""
        return _told(self._desk.retry(any_id, who=by.who, why=why))

    def cancel(self, any_id: str, by: By, why: str = "") -> dict[str, Any]:
        """End one on purpose."""
        return _told(self._desk.cancel(any_id, who=by.who, why=why))

    def preview(self, wanted: Wanted) -> dict[str, Any]:
        """What retrying all that match would do: agents, calls, minutes, and why they failed."""
        seen = self._desk.preview(wanted)
        return {
            "agents": seen.agents,
            "calls": seen.calls,
            "minutes": round((seen.last_at - seen.at).total_seconds() / 60, 1),
            "last_at": seen.last_at,
            "hopeless": seen.hopeless,
            "causes": [asdict(cause) for cause in seen.causes],
        }

    def retry_all(self, wanted: Wanted, by: By, why: str = "") -> JSONResponse:
        """Retry all that match; 202 with the act, whose progress stands in `/api/acts`."""
        act = self._desk.crowd.begin(wanted, who=by.who, why=why)
        return JSONResponse({"act_id": act.act_id, "whom": act.whom}, HTTPStatus.ACCEPTED)

    def causes(self, wanted: Wanted) -> dict[str, Any]:
        """Failures and waits, grouped by what befell them."""
        return {"causes": [asdict(cause) for cause in self._desk.ledger.causes(wanted)]}

    def acts(self, limit: Limit = 100) -> dict[str, Any]:
        """What operators did, newest first."""
        return {"acts": [asdict(act) for act in self._desk.ledger.acts(limit=limit)]}

    def budget(self) -> dict[str, Any]:
        """The meter."""
        return asdict(self._desk.budget.state())

    def pause_budget(self, reason: Reason = "paused by an operator", for_s: Seconds = ENDLESS_S) -> dict[str, Any]:
        """Send nothing to the API until the time is over or it is resumed."""
        self._desk.budget.hold(for_s=for_s, reason=reason)
        return self.budget()

    def resume_budget(self) -> dict[str, Any]:
        """End the operators' pause, and let an open circuit be probed at once."""
        self._desk.budget.resume()
        return self.budget()

    def slow_budget(self, per_min: int) -> dict[str, Any]:
        """Lower the limit in force; the setting's limit lifts that."""
        try:
            self._desk.budget.set_rate(per_min)
        except ConfigurationError as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from None
        return self.budget()

    def note_valve(self, task: str, by: By, worker: WorkerName, rate: Rate) -> dict[str, Any]:
        """Note that somebody has turned the valve of a step, which Flower does: the receiver speaks to no worker."""
        if task not in VALVED:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no valve of this name. These have one: {', '.join(VALVED)}")
        outcome = f"{rate} on {worker}, until it starts again."
        self._desk.note("turn", f"the valve of {task}", who=by.who, outcome=outcome)
        return {"task": task, "worker": worker, "rate": rate}


def make_api(desk: Desk, guard: Guard) -> APIRouter:
    """Return the routes; an act takes its key as `X-Operator-Key`, and a name for the log as `X-Operator-Name`."""
    routes, api = APIRouter(prefix="/api", route_class=JsonRoute), Api(desk)
    reading, acting = [Depends(guard.may_read)], [Depends(guard.may_act)]
    routes.get("/provisionings", dependencies=reading)(api.list_all)
    routes.get("/provisionings/{any_id}", dependencies=reading)(api.show)
    routes.post("/provisionings/{any_id}/retry", dependencies=acting)(api.retry)
    routes.post("/provisionings/{any_id}/cancel", dependencies=acting)(api.cancel)
    routes.get("/retry", dependencies=reading)(api.preview)
    routes.post("/retry", dependencies=acting)(api.retry_all)
    routes.get("/causes", dependencies=reading)(api.causes)
    routes.get("/acts", dependencies=reading)(api.acts)
    routes.get("/budget", dependencies=reading)(api.budget)
    routes.post("/budget/pause", dependencies=acting)(api.pause_budget)
    routes.post("/budget/resume", dependencies=acting)(api.resume_budget)
    routes.post("/budget/rate", dependencies=acting)(api.slow_budget)
    routes.post("/valves/{task}/turned", dependencies=acting)(api.note_valve)
    return routes
