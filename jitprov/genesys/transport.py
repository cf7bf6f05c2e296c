"""One request to the API: take a slot → send once → sort the answer. The only place where HTTP leaves; never retries.

The one exception: after a 401 the token is replaced and the request sent once more, with a slot of its own. Every
attempt is counted, and the meter hears what became of it: what the answer says of the allowance, a wish for a pause, a
failure. Who calls decides what follows from an error; see the tree in `jitprov.errors`.

A request that its slot has passed by when its first byte should leave does not leave; it takes another slot.

While the circuit is open, the meter lets one request through to find out. One that is safe to repeat is its own probe,
and its failure spends no attempt; before any other, a read that everybody may make is sent in its place.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NoReturn

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ConnectTimeoutError

from jitprov import __version__
from jitprov.budget import Budget, Permit
from jitprov.domain.clock import Clock
from jitprov.errors import (
    BudgetDenied,
    NotLetIn,
    OutcomeUnknown,
    RateLimited,
    StepError,
    StoodStill,
    Unavailable,
)
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.connection import SILENCES, ApiConnection
from jitprov.genesys.last_moment import held_body, leaving_with
from jitprov.genesys.punctual import leaving_by, until_in_time
from jitprov.genesys.reading import (
    Unreadable,
    allowance,
    answered_at_s,
    read_body,
    retry_after_s,
)
from jitprov.genesys.slot import pause_all, take_slot, tell_failure, tell_success
from jitprov.genesys.sorting import broken, parsed, raise_for, silence
from jitprov.genesys.told_call import telling
from jitprov.settings import Settings
from jitprov.tracing.attempt import spending
from jitprov.tracing.spans import span

_UUIDS = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
# Servers let a connection idle for longer than this, in real seconds.
_STAYS_OPEN_S = 1.0
# Everybody may read it: no permission, no side effect.
_PROBE_PATH = "/api/v2/organizations/me"


class Transport:
    """Sends requests. Threads may share one: each has a connection of its own.

    Args:
        settings: Base URL, timeouts, time scale.
        budget: Pays each attempt, and hears what became of it.
        clock: Waits for slots.
        tokens: The access tokens, one per lane.
    """

    def __init__(self, settings: Settings, budget: Budget, clock: Clock, tokens: TokenSource) -> None:
        self._settings = settings
        self._budget = budget
        self._clock = clock
        self._tokens = tokens
        self._own = threading.local()
        self.attempts: Counter[tuple[str, int]] = Counter()

    @contextmanager
    def acting_for(self, provisioning_id: str) -> Iterator[None]:
        """Name the provisioning in the User-Agent of this thread's requests, so that every effect can be traced."""
        self._own.actor = provisioning_id
        try:
            yield
        finally:
            self._own.actor = None

    def request(
        self,
        method: str,
        path: str,
        *,
        safe: bool,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        about_to_send: Callable[[], None] = lambda: None,
    ) -> Any:
        """Send one request and return the parsed answer; None for an answer without a body.

        Args:
            method: HTTP method.
            path: From `/api/v2` on, ids already checked.
            safe: True when sending it twice does no harm; then a missing answer is `Unavailable`, else
                `OutcomeUnknown`.
            params: Query.
            json: Body.
            about_to_send: Called when the slot is about to come, right before the request leaves; what it raises keeps
                the request from leaving. Called again for each slot that was missed. What is not safe to repeat leaves
                within `Settings.leave_within_s` of that call.

        Raises:
            StoodStill: Nothing was sent, since it would have left too late.
            BudgetDenied: Nothing was sent, or what was sent found the API still down; it was safe to repeat.
            NotLetIn: The OAuth client is refused, or a fresh token is.
            RateLimited: 429; the token is paused for everyone.
            Unavailable: 5xx, silence or a broken answer; safe to repeat.
            OutcomeUnknown: The same on a request that is not safe: it may have been applied.
            NotYetConsistent: A version conflict, 408 or 409.
            NotFound: 404, for the caller to read.
            Refused: Any other 4xx.
        """
        return until_in_time(
            lambda: self._once(method, path, about_to_send, safe=safe, params=params, json=json), self._settings
        )

    def _once(self, method: str, path: str, about_to_send: Callable[[], None], *, safe: bool, **content: Any) -> Any:
        lanes = self._tokens.lanes()
        if not safe:
            about_to_send, content = held_body(about_to_send, content, self._clock, self._settings.leave_within_s)
        permit = self._slot(about_to_send, lanes)
        if permit.probe and not safe:
            self._find_out(permit)
            permit = self._slot(about_to_send, lanes)
        try:
            answer = self._exchange(method, path, permit, about_to_send, safe=safe, **content)
        except (Unavailable, OutcomeUnknown) as error:
            open_s = tell_failure(self._budget, permit, error.message)
            if permit.probe and isinstance(error, Unavailable):
                raise self._still_down(error, open_s) from None
            raise
        except (NotLetIn, StoodStill):
            raise
        except StepError:
            tell_success(self._budget, permit)
            raise
        tell_success(self._budget, permit)
        return answer

    def _exchange(
        self, method: str, path: str, permit: Permit, about_to_send: Callable[[], None], *, safe: bool, **content: Any
    ) -> Any:
        token = self._tokens.at_hand(permit.lane)
        answer, began_s = self._send(method, path, permit, token, safe=safe, **content)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            answer.close()
            tell_success(self._budget, permit)  # it answered; were this the probe, the next slot would wait for it
            token = self._tokens.refresh(token, permit.lane)

            def again() -> tuple[Permit, BaseHTTPResponse, float]:
                own = self._slot(about_to_send, (permit.lane,))
                return own, *self._send(method, path, own, token, safe=safe, **content)

            permit, answer, began_s = until_in_time(again, self._settings)
        with answer:
            if answer.status == HTTPStatus.UNAUTHORIZED:
                self._refused_again(answer, permit)
            return self._sort(answer, began_s, permit, safe=safe)

    def _slot(self, about_to_send: Callable[[], None], lanes: Sequence[int]) -> Permit:
        connection = self._connection()
        reached, looked_s = connection.open_ahead(), self._clock.monotonic_s()

        def ready() -> None:
            # Once more when the slot is near, since a server closes what lies idle; not if it cannot be reached anyway.
            if reached and self._clock.monotonic_s() - looked_s > _STAYS_OPEN_S:
                connection.open_ahead()
            about_to_send()

        with span("wait for slot") as waiting, spending("slot", self._clock.monotonic_s):
            permit = take_slot(self._budget, self._clock, self._settings, ready, lanes=lanes)
            waiting.note(lane=permit.lane, probe=permit.probe or None)
            return permit

    def _find_out(self, permit: Permit) -> None:
        token = self._tokens.at_hand(permit.lane)
        try:
            answer, began_s = self._send("GET", _PROBE_PATH, permit, token, safe=True)
            with answer:
                if answer.status != HTTPStatus.UNAUTHORIZED:
                    self._sort(answer, began_s, permit, safe=True)
        except Unavailable as error:
            raise self._still_down(error, tell_failure(self._budget, permit, error.message)) from None
        except RateLimited:
            tell_success(self._budget, permit)
            raise
        except StepError:
            pass  # it answered: what it has against this read is nothing against the request that waits
        tell_success(self._budget, permit)

    def _still_down(self, error: Unavailable, open_s: float) -> BudgetDenied:
        return BudgetDenied(
            f"the API is still down: {error.message}",
            wait_s=open_s * self._settings.time_scale,
            http_status=error.http_status,
            correlation_id=error.correlation_id,
        )

    def _refused_again(self, answer: BaseHTTPResponse, permit: Permit) -> NoReturn:
        # Revoked again while the slot was waited for, or no token is good any more: a look a little later tells.
        why = "the API refused a fresh token (401)"
        open_s = tell_failure(self._budget, permit, why, final=True)
        raise NotLetIn(
            why,
            wait_s=open_s * self._settings.time_scale,
            http_status=answer.status,
            correlation_id=answer.headers.get("ININ-Correlation-Id"),
        )

    def _connection(self) -> ApiConnection:
        connection: ApiConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = ApiConnection(self._settings)
        return connection

    def _send(
        self, method: str, path: str, permit: Permit, token: str, *, safe: bool, **content: Any
    ) -> tuple[BaseHTTPResponse, float]:
        actor = getattr(self._own, "actor", None)
        agent = f"jitprov/{__version__}" + (f" (provisioning {actor})" if actor else "")
        began_s, route = self._clock.monotonic_s(), _UUIDS.sub("{id}", path)
        headers = {"Authorization": f"Bearer {token}", "User-Agent": agent, **_HEADERS, **content.pop("headers", {})}
        try:
            with (
                telling(method, route, self._clock.monotonic_s, self.attempts) as answered,
                leaving_by(permit.leave_by_s, self._clock.monotonic_s),
                leaving_with(content),
            ):
                answer = self._connection().send(method, path, headers, **content)
                answered(answer)
        except ConnectTimeoutError as error:
            raise Unavailable(f"the API could not be reached ({type(error).__name__}); nothing was sent") from None
        except SILENCES as error:
            raise silence(type(error).__name__, safe=safe, refused="refused" in str(error).lower()) from None
        reading = allowance(answer.headers, sent_s=began_s, heard_s=self._clock.monotonic_s())
        if reading is not None:
            self._budget.heard(permit, reading)
        return answer, began_s

    def _sort(self, answer: BaseHTTPResponse, began_s: float, permit: Permit, *, safe: bool) -> Any:
        status, trace = answer.status, answer.headers.get("ININ-Correlation-Id")
        try:
            raw = read_body(answer, self._clock, began_s=began_s)
        except Unreadable as error:
            if 200 <= status < 300:  # noqa: PLR2004  HTTP
                raise broken(str(error), status, trace, safe=safe) from None
            raw = b""  # a refusal speaks by its status
        if not 200 <= status < 300:  # noqa: PLR2004  HTTP
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                self._pause(answer, permit)
            raise_for(raw, status, trace, safe=safe)
        return parsed(answer, raw, status, trace, safe=safe)

    def _pause(self, answer: BaseHTTPResponse, permit: Permit) -> NoReturn:
        headers, why = answer.headers, "the API answered 429"
        wait_s = retry_after_s(headers.get("Retry-After"), now_s=answered_at_s(headers, self._clock))
        pause_all(self._budget, permit, wait_s / self._settings.time_scale, why)
        raise RateLimited(
            why, wait_s=wait_s, http_status=answer.status, correlation_id=headers.get("ININ-Correlation-Id")
        )
