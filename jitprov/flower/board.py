"""What Flower asks of the board's API, with the visitor's role: how an agent stands, and to retry it.

Flower itself sees no ledger and sends no message: as a user of Redis it may read events and the lengths of queues. So a
retry from its page is the board's own act, in the same log, by the same meter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from jitprov.desk.session import Role, Visitor
from jitprov.errors import DependencyDown

_CONNECT_WITHIN_S = 2.0
_ANSWER_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as the ledger has it; ids and states only, no name.

    Attributes:
        record: As the board's API shows it; see `domain.view`.
    """

    record: Mapping[str, Any]

    @property
    def task_id(self) -> str:
        """Of the step at which it stands."""
        return str(self.record["task_id"])

    @property
    def can_be_retried(self) -> bool:
        """True when it ended without being ready."""
        return self.record["state"] in {"failed", "cancelled"}

    @property
    def moves(self) -> bool:
        """True when another look would show something else."""
        return self.record["state"] not in {"ready", "failed", "cancelled"}

    @property
    def remedy(self) -> str:
        """What to do about its failure, with the command that retries it; empty without one."""
        failure = self.record["failure"]
        return str(failure["remedy"]).replace("jitprov retry ID", f"jitprov retry {self.task_id}") if failure else ""

    @property
    def steps_left(self) -> list[str]:
        """The steps that a retry runs."""
        return [step["step"] for step in self.record["steps"] if step["state"] != "done"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a retry would do.

    Attributes:
        calls: API calls, from the shared budget.
        minutes: Until it is ready, those under way included; None when nobody can tell.
    """

    calls: int
    minutes: float | None


class Board:
    """Asks the board.

    Args:
        api_url: Where its API is reached from here, without a trailing slash.
        key_of: Returns the key of a role.
    """

    def __init__(self, api_url: str, key_of: Callable[[Role], str]) -> None:
        self._api_url = api_url
        self._key_of = key_of

    async def agent(self, task_id: str, visitor: Visitor) -> Agent | None:
        """Return the agent of a task; None when the ledger knows none.

        Raises:
            DependencyDown: The board does not answer, or not as it should.
        """
        status, told = await self._ask("GET", f"/api/provisionings/{quote(task_id, safe='')}", visitor)
        if status == HTTPStatus.NOT_FOUND:
            return None
        return Agent(self._good(status, told))

    async def preview(self, agent: Agent, visitor: Visitor) -> Preview:
        """Return what retrying it would cost, as the board reckons.

        Raises:
            DependencyDown: The board does not answer.
        """
        query = urlencode({"state": agent.record["state"], "q": agent.record["user_id"]})
        told = self._good(*await self._ask("GET", f"/api/retry?{query}", visitor))
        return Preview(told["calls"], told["minutes"] if told["agents"] else None)

    async def retry(self, task_id: str, visitor: Visitor, why: str) -> tuple[str, str]:
        """Retry an agent; return the board's verdict and its sentence.

        Raises:
            DependencyDown: The board does not answer; nothing was changed, or it is asked again without harm.
        """
        query = urlencode({"why": why})
        path = f"/api/provisionings/{quote(task_id, safe='')}/retry?{query}"
        status, told = await self._ask("POST", path, visitor)
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            return "refused", str(told.get("detail", ""))
        done = self._good(status, told)
        return str(done["verdict"]), str(done["text"])

    async def note_valve(self, task: str, worker: str, rate: str, visitor: Visitor) -> None:
        """Have it noted in the log of acts that a step's valve was turned.

        Args:
            task: Whose valve: `jitprov.create_phone`.
            worker: On which worker.
            rate: As Celery writes it: `120/m`.
            visitor: Who turned it.

        Raises:
            DependencyDown: The board does not answer, or not as it should; nothing was noted, as far as is known.
        """
        path = f"/api/valves/{quote(task, safe='')}/turned?{urlencode({'worker': worker, 'rate': rate})}"
        self._good(*await self._ask("POST", path, visitor))

    async def _ask(self, method: str, path: str, visitor: Visitor) -> tuple[int, dict[str, Any]]:
        headers = {"X-Operator-Key": self._key_of(visitor.role), "X-Operator-Name": _latin(visitor.who)}
        request = HTTPRequest(
            f"{self._api_url}{path}",
            method,
            headers=headers,
            body=b"" if method == "POST" else None,
            connect_timeout=_CONNECT_WITHIN_S,
            request_timeout=_ANSWER_WITHIN_S,
            follow_redirects=False,
        )
        try:
            answer = await AsyncHTTPClient().fetch(request, raise_error=False)
            told = json.loads(answer.body or b"null")
        except (HTTPClientError, OSError) as error:
            raise DependencyDown(f"the board at {self._api_url} does not answer ({type(error).__name__})") from error
        except ValueError as error:
            raise DependencyDown(f"the board at {self._api_url} does not answer in JSON") from error
        return answer.code, told if isinstance(told, dict) else {}

    def _good(self, status: int, told: dict[str, Any]) -> dict[str, Any]:
        if status != HTTPStatus.OK:
            raise DependencyDown(f"the board at {self._api_url} answers {status}: {told.get('detail', 'no reason')}")
        return told


def _latin(who: str) -> str:
    """Return a name as a header can carry it."""
    return who.encode("latin-1", "replace").decode("latin-1")
