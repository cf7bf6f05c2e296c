"""The board's pages: each looks, and shows; each form does one thing and sends the browser on.

Without script every page works and comes again every few seconds by itself; with it, only what changed is exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException
from fastapi.requests import Request
from fastapi.responses import Response

from jitprov.budget import ENDLESS_S
from jitprov.desk import chart
from jitprov.desk.answers import PageRoute, page, see_other
from jitprov.desk.asked import GROUPS, address, asked
from jitprov.desk.desk import Desk
from jitprov.desk.guard import Guard, field_of, reason_of, visitor_of
from jitprov.desk.lookout import DEFAULT_PERIOD, PERIODS, Scene
from jitprov.desk.session import Visitor
from jitprov.desk.words import Times
from jitprov.domain.provisioning import Provisioning, State
from jitprov.ledger.overview import Filter
from jitprov.pipeline.operations import Verdict

Wanted = Annotated[Filter, Depends(asked)]
By = Annotated[Visitor, Depends(visitor_of)]
Why = Annotated[str, Depends(reason_of)]
Minutes = Annotated[str, Depends(field_of("minutes"))]

# How long people may hold the budget from the board: the field's word, and real seconds.
PAUSES = {"5": 300.0, "15": 900.0, "": ENDLESS_S}

_ROWS = 50
_ACTS = 100
_NAMES = 20

# What a page says after a form, by the word in its address: never the words of an address themselves.
_SAYINGS = {
    "retry-done": "It goes on where it stopped.",
    "retry-nothing_to_do": "There was nothing to retry.",
    "retry-refused": "It was retried too often: mend the cause first.",
    "cancel-done": "It is cancelled. A retry takes it up again.",
    "cancel-asked": "A worker holds it; it ends when that step does.",
    "cancel-nothing_to_do": "It had ended already.",
}


class Pages:
    """The handlers.

    Args:
        desk: What they work with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def board(self, request: Request, by: By, period: str = DEFAULT_PERIOD) -> Response:
        """GET /: everybody, at a glance."""
        if period not in PERIODS:
            raise HTTPException(400, f"period: one of {', '.join(PERIODS)}")
        scene = self._desk.lookout.scene(period)
        times = Times(by.zone, scene.standing.now)
        curve = self._curve(scene, times) if scene.marks else None
        return self._show("board.html", request, by, times, scene=scene, curve=curve, period=period)

    def _curve(self, scene: Scene, times: Times) -> chart.Chart:
        failed = scene.standing.counts[State.FAILED] + scene.standing.counts[State.CANCELLED]
        paused_s = scene.budget.paused_s
        resumes_at = scene.standing.now + timedelta(seconds=paused_s) if paused_s else None
        return chart.draw(
            scene.marks, last_at=scene.last_at, goal=scene.arrived - failed, resumes_at=resumes_at, times=times
        )

    def agents(self, request: Request, by: By, wanted: Wanted, after: str = "") -> Response:
        """GET /agents: a list by filter, page by page."""
        if exact := self._exact(wanted):
            return see_other(f"/agents/{quote(exact)}")
        try:
            found = self._desk.ledger.search(wanted, after=after or None, limit=_ROWS)
        except ValueError:
            raise HTTPException(400, "after: the place where the page before ended") from None
        now = self._desk.ledger.ping()
        return self._show(
            "agents.html",
            request,
            by,
            Times(by.zone, now),
            now=now,
            wanted=wanted,
            groups=GROUPS,
            group=next((name for name, states in GROUPS.items() if set(states) == set(wanted.states)), ""),
            found=found,
            here=address(wanted),
            following=address(wanted, after=found.following) if found.following else "",
            first=not after,
            departments=self._desk.ledger.departments(),
            retryable=State.FAILED in wanted.states or State.CANCELLED in wanted.states,
        )

    def _exact(self, wanted: Filter) -> str:
        """Return the provisioning that the text means by itself: a whole id or address, and nothing else asked."""
        if wanted != Filter(text=wanted.text) or len(wanted.words) != 1:
            return ""
        record = self._desk.ledger.find(wanted.text)
        return record.provisioning_id if record else ""

    def agent(self, request: Request, by: By, any_id: str, said: str = "") -> Response:
        """GET /agents/{any_id}: one agent, its steps done and to come."""
        record = self._desk.known(any_id)
        now = self._desk.ledger.ping()
        return self._show(
            "agent.html",
            request,
            by,
            Times(by.zone, now),
            record=record,
            now=now,
            ready_at=self._desk.ready_at(record, now),
            flower=self._desk.flower_url,
            said=_SAYINGS.get(said, ""),
        )

    def whether_ready(self, request: Request, by: By, q: str = "") -> Response:
        """GET /ready: is this agent ready, and if not, when? By address, name or any id."""
        now = self._desk.ledger.ping()
        records: Sequence[Provisioning] = ()
        if q.strip():
            exact = self._desk.ledger.find(q)
            records = (exact,) if exact else self._desk.ledger.search(Filter(text=q), limit=_NAMES).records
        answers = [(record, self._desk.ready_at(record, now)) for record in records]
        return self._show("ready.html", request, by, Times(by.zone, now), q=q, answers=answers, now=now, most=_NAMES)

    def preview(self, request: Request, by: By, wanted: Wanted) -> Response:
        """GET /retry: what retrying all that match would do."""
        seen = self._desk.preview(wanted)
        return self._show("retry.html", request, by, Times(by.zone, seen.at), seen=seen, here=address(seen.wanted))

    def retry_all(self, by: By, wanted: Wanted, why: Why) -> Response:
        """POST /retry: retry them; the log of acts shows how far it is."""
        self._desk.crowd.begin(wanted, who=by.who, why=why)
        return see_other("/log")

    def retry(self, by: By, any_id: str, why: Why) -> Response:
        """POST /agents/{any_id}/retry."""
        return _back(any_id, "retry", self._desk.retry(any_id, who=by.who, why=why).verdict)

    def cancel(self, by: By, any_id: str, why: Why) -> Response:
        """POST /agents/{any_id}/cancel."""
        return _back(any_id, "cancel", self._desk.cancel(any_id, who=by.who, why=why).verdict)

    def pause(self, by: By, why: Why, minutes: Minutes) -> Response:
        """POST /budget/pause: hold all calls, for some minutes or until resumed."""
        if minutes not in PAUSES:
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"minutes: one of {', '.join(PAUSES)}")
        self._desk.pause(for_s=PAUSES[minutes], who=by.who, why=why)
        return see_other("/")

    def resume(self, by: By) -> Response:
        """POST /budget/resume."""
        self._desk.resume(who=by.who)
        return see_other("/")

    def log(self, request: Request, by: By) -> Response:
        """GET /log: what operators did."""
        acts = self._desk.ledger.acts(limit=_ACTS)
        times = Times(by.zone, self._desk.ledger.ping())
        return self._show("log.html", request, by, times, acts=acts, working=any(not act.finished for act in acts))

    def _show(self, template: str, request: Request, by: Visitor, times: Times, **shown: Any) -> Response:
        return page(template, path=request.url.path, visitor=by, times=times, **({"refresh": True} | shown))


def _back(any_id: str, act: str, verdict: Verdict) -> Response:
    if verdict is Verdict.UNKNOWN:
        raise HTTPException(HTTPStatus.NOT_FOUND, "nothing is known by this id")
    return see_other(f"/agents/{quote(any_id)}?said={act}-{verdict}")


def make_pages(desk: Desk, guard: Guard) -> APIRouter:
    """Return the routes of the pages."""
    routes, pages = APIRouter(route_class=PageRoute, include_in_schema=False), Pages(desk)
    reading, acting = [Depends(guard.may_read)], [Depends(guard.may_act)]
    routes.get("/", dependencies=reading)(pages.board)
    routes.get("/agents", dependencies=reading)(pages.agents)
    routes.get("/agents/{any_id}", dependencies=reading)(pages.agent)
    routes.post("/agents/{any_id}/retry", dependencies=acting)(pages.retry)
    routes.post("/agents/{any_id}/cancel", dependencies=acting)(pages.cancel)
    routes.get("/ready", dependencies=reading)(pages.whether_ready)
    routes.get("/retry", dependencies=reading)(pages.preview)
    routes.post("/retry", dependencies=acting)(pages.retry_all)
    routes.post("/budget/pause", dependencies=acting)(pages.pause)
    routes.post("/budget/resume", dependencies=acting)(pages.resume)
    routes.get("/log", dependencies=reading)(pages.log)
    return routes
