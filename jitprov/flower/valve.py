"""Flower's worker page with the valve of each step, and the one act of Flower's own that is open: to turn it.

A valve is Celery's `rate_limit` of a step, per worker (docs/decisions/0012). Turning one goes past no ledger: a step
that waits for it waits as a message, and the shared meter alone keeps the API's limit.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from celery.utils.time import rate
from flower.api.control import ControlHandler
from flower.views.workers import WorkerView
from tornado.web import HTTPError

from jitprov.desk.session import Visitor
from jitprov.errors import DependencyDown
from jitprov.flower.board import Board
from jitprov.pipeline.names import VALVED

_REMEDY = "Give starts per worker as a number with /s, /m or /h, such as 120/m, at least 1/h; 0 lifts the limit"
_SLOWEST_PER_S = 1 / 3600
_RATE_CHARS_MAX = 30


class WorkerPage(WorkerView):
    """GET /worker/{name}: Flower's page of a worker; for who may act, above it the valves."""

    visitor: Visitor

    def render(self, template_name: str, **kwargs: Any) -> Any:
        """See `RequestHandler`: Flower's own template, extended by the valves."""
        if template_name != "worker.html":
            return super().render(template_name, **kwargs)
        return super().render("jitprov_worker.html", visitor=self.visitor, valved=VALVED, **kwargs)


class ValveAct(ControlHandler):
    """POST /api/task/rate-limit/{task}: Flower's act by its own address and form, for our valves alone.

    Not by inheriting Flower's: that one asks `read_only`, which stays set as the lock of all the others.
    """

    board: Board
    visitor: Visitor

    async def post(self, task: str) -> None:
        """Turn it on one worker, and note it on the board.

        Form: `workername`, as Flower knows it, and `ratelimit`, as Celery writes it: `120/m`.
        """
        worker = self.get_argument("workername", "", escape=False)
        limit = self.get_argument("ratelimit", "", escape=False)
        if task not in VALVED:
            raise HTTPError(HTTPStatus.NOT_FOUND, "%s", f"no valve of this name. These have one: {', '.join(VALVED)}")
        if not is_rate(limit):
            raise HTTPError(HTTPStatus.BAD_REQUEST, "%s", f"ratelimit: not a rate. {_REMEDY}")
        if not self.is_worker(worker):
            why = "workername: no worker that Flower knows. Take the name from its page of workers"
            raise HTTPError(HTTPStatus.NOT_FOUND, "%s", why)
        answers = await self.run_blocking(
            *("task.rate_limit", task, self.capp.control.rate_limit, task, limit),
            reply=True,
            destination=[worker],
        )
        told: dict[str, str] = next((answer[worker] for answer in answers or [] if worker in answer), {})
        if "ok" not in told:
            why = (
                f"the worker did not turn it ({told.get('error', 'no answer')}). Look whether it is up, then try again"
            )
            raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, "%s", why)
        self.write({"message": f"{told['ok']}{await self._noted(task, worker, limit)}"})

    async def _noted(self, task: str, worker: str, limit: str) -> str:
        """Note it; return what to add to the answer when it could not be: what must be slowed now does not wait."""
        try:
            await self.board.note_valve(task, worker, limit, self.visitor)
        except DependencyDown as error:
            return f", but not noted in the log of acts: {error}"
        return ""


def is_rate(text: str) -> bool:
    """Tell whether Celery's own parser reads a rate that a valve can keep."""
    try:
        per_s = float(rate(text))
    except (ValueError, KeyError, OverflowError):
        return False
    return 0 < len(text) <= _RATE_CHARS_MAX and (per_s == 0 or _SLOWEST_PER_S <= per_s < math.inf)
