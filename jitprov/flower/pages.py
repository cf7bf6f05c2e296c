"""Flower's task page, with the agent above it; and the page that retries the agent's chain, asked for and confirmed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flower.utils.tasks import get_task_by_id
from flower.views import BaseHandler
from flower.views.tasks import TaskView
from tornado.web import HTTPError, RequestHandler

from jitprov.desk.session import Visitor
from jitprov.domain.ids import parse_task_id
from jitprov.errors import DependencyDown
from jitprov.flower.board import Agent, Board

_LOOK_AGAIN_S = "3"
_WHY_CHARS_MAX = 200

# What a page says after the button, by the word in its address: never the words of an address themselves.
_SAYINGS = {
    "done": "It goes on where it stopped.",
    "nothing_to_do": "There was nothing to retry.",
    "refused": "It was retried too often: mend the cause first.",
}


class TaskPage(TaskView):
    """GET /task/{id}: Flower's page of a task; above it its agent, as the ledger has it at this moment.

    A task that Flower has not seen, or has forgotten, is shown as far as the ledger knows it.
    """

    board: Board
    board_url: str
    visitor: Visitor

    async def get(self, task_id: str) -> None:
        """Show it."""
        self._shown = await _look(self.board, task_id, self.visitor)
        agent = self._shown.get("agent")
        if agent is not None and agent.moves:
            self.set_header("Refresh", _LOOK_AGAIN_S)
        if agent is not None and get_task_by_id(self.application.events, task_id) is None:
            self.render("jitprov_unseen.html", task_id=task_id)
            return
        super().get(task_id)

    def render(self, template_name: str, **kwargs: Any) -> Any:
        """See `RequestHandler`: Flower's own template, extended by the agent."""
        shown = getattr(self, "_shown", None)
        if shown is None or template_name not in {"task.html", "jitprov_unseen.html"}:
            return super().render(template_name, **kwargs)
        said = _SAYINGS.get(self.get_query_argument("said", ""), "")
        more = {"board_url": self.board_url, "visitor": self.visitor, "said": said, **shown}
        return super().render("jitprov_task.html" if template_name == "task.html" else template_name, **kwargs, **more)


class RetryPage(BaseHandler):
    """GET and POST /task/{id}/retry-chain: what a retry of this agent would do, and to do it."""

    board: Board
    board_url: str
    visitor: Visitor

    def check_xsrf_cookie(self) -> None:
        """See `RequestHandler`: always asked, where Flower lets Basic authentication pass without."""
        RequestHandler.check_xsrf_cookie(self)

    async def get(self, task_id: str) -> None:
        """Show what it would do."""
        shown = await _look(self.board, task_id, self.visitor)
        agent: Agent | None = shown["agent"]
        if agent is None:
            raise HTTPError(HTTPStatus.NOT_FOUND, shown["away"] or "the ledger knows no agent by this task")
        try:
            preview = await self.board.preview(agent, self.visitor) if agent.can_be_retried else None
        except DependencyDown:
            preview = None  # it is a help, not a condition
        self.render(
            "jitprov_retry.html",
            task_id=task_id,
            agent=agent,
            preview=preview,
            board_url=self.board_url,
            visitor=self.visitor,
            why_chars_max=_WHY_CHARS_MAX,
        )

    async def post(self, task_id: str) -> None:
        """Retry it, and show the task that goes on."""
        why = self.get_body_argument("why", "")[:_WHY_CHARS_MAX]
        try:
            verdict, _ = await self.board.retry(task_id, self.visitor, why)
            agent = await self.board.agent(task_id, self.visitor)
        except DependencyDown as error:
            why = f"{error}. `jitprov retry {task_id}` does the same"
            raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, why) from None
        if agent is None:
            raise HTTPError(HTTPStatus.NOT_FOUND, "the ledger knows no agent by this task")
        said = verdict if verdict in _SAYINGS else "refused"
        self.redirect(f"{self.reverse_url('task', agent.task_id)}?said={said}", status=HTTPStatus.SEE_OTHER)


async def _look(board: Board, task_id: str, visitor: Visitor) -> dict[str, Any]:
    """Return what a page shows of a task's agent: `agent`, or why there is none in `away`."""
    if parse_task_id(task_id) is None:
        return {"agent": None, "away": ""}
    try:
        return {"agent": await board.agent(task_id, visitor), "away": ""}
    except DependencyDown as error:
        return {"agent": None, "away": str(error)}
