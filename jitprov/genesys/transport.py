"""One request to the API: take a slot → send once → sort the answer. The only place where HTTP leaves; never retries.

The one exception: after a 401 the token is replaced and the request sent once more, with a slot of its own. Every
attempt is counted. Who calls decides what follows from an error; see the tree in `jitprov.errors`.
"""

from __future__ import annotations

import json as jsonlib
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import requests
from requests.adapters import HTTPAdapter

from jitprov import __version__, logs
from jitprov.budget import Budget
from jitprov.domain.clock import Clock
from jitprov.errors import (
    NotYetConsistent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StepError,
    Unavailable,
)
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.reading import (
    PlainSession,
    Unreadable,
    answered_at_s,
    own_authorization,
    read_body,
    retry_after_s,
)
from jitprov.genesys.slot import pause_all, take_slot
from jitprov.settings import Settings

_log = logging.getLogger(__name__)

_UUIDS = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CODE = re.compile(r"[A-Za-z0-9._-]{1,80}")
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}


class NotFound(NotYetConsistent):
    """The API answered 404: for the client to read; where it does not, the step comes again."""


class Conflict(NotYetConsistent):
    """The API answered 409, or a 400 that speaks of a duplicate: someone else, or an earlier try, was first."""


class Transport:
    """Sends requests. Threads may share one: each has a session of its own.

    Args:
        settings: Base URL, timeouts, time scale.
        budget: Pays each attempt.
        clock: Waits for slots.
        tokens: The access token.
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
            about_to_send: Called when the slot has come, right before the request leaves; what it raises keeps the
                request from leaving.

        Raises:
            BudgetDenied: Nothing was sent.
            RateLimited: 429; the token is paused for everyone.
            Unavailable: 5xx, silence or a broken answer; safe to repeat.
            OutcomeUnknown: The same on a request that is not safe: it may have been applied.
            NotYetConsistent: A version conflict, 408 or 409.
            NotFound: 404, for the caller to read.
            Refused: Any other 4xx.
        """
        token = self._tokens.token()
        content = {"params": params, "json": json}
        answer, began_s = self._send(method, path, token, about_to_send, safe=safe, **content)
        if answer.status_code == 401:  # noqa: PLR2004  HTTP
            answer.close()
            token = self._tokens.refresh(token)
            answer, began_s = self._send(method, path, token, about_to_send, safe=safe, **content)
        with answer:
            return self._sort(answer, began_s, safe=safe)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = PlainSession()
            # No retry that the budget and the ledger would not see.
            adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            # Proxies of the environment are for the real region: a sandbox is on this machine.
            session.trust_env = not self._settings.api_url
            self._own.session = session
            base = self._settings.api_base_url
            self._own.surroundings = session.merge_environment_settings(base, {}, True, None, None)
        return session

    def _send(
        self, method: str, path: str, token: str, about_to_send: Callable[[], None], *, safe: bool, **content: Any
    ) -> tuple[requests.Response, float]:
        take_slot(self._budget, self._clock, self._settings, about_to_send)
        actor = getattr(self._own, "actor", None)
        agent = f"jitprov/{__version__}" + (f" (provisioning {actor})" if actor else "")
        began_s, route = self._clock.monotonic_s(), _UUIDS.sub("{id}", path)
        headers = {"Authorization": f"Bearer {token}", "User-Agent": agent, **_HEADERS}
        url = f"{self._settings.api_base_url}{path}"
        try:
            session = self._session()
            # Prepared without the session, which would merge cookies, its own headers and the environment into each
            # request anew, in as much time as sending it takes.
            request = requests.Request(method, url, headers=headers, auth=own_authorization, **content).prepare()
            answer = session.send(
                request,
                timeout=(self._settings.connect_timeout_s, self._settings.read_timeout_s),
                allow_redirects=False,
                **self._own.surroundings,
            )
        except requests.ConnectTimeout:
            self._tell(method, route, 0, began_s, None)
            raise Unavailable("the API could not be reached in time; nothing was sent") from None
        except requests.RequestException as error:
            self._tell(method, route, 0, began_s, None)
            raise _silence(type(error).__name__, safe=safe, refused="refused" in str(error).lower()) from None
        self._tell(method, route, answer.status_code, began_s, answer.headers.get("ININ-Correlation-Id"))
        return answer, began_s

    def _tell(self, method: str, route: str, status: int, began_s: float, trace: str | None) -> None:
        self.attempts[f"{method} {route}", status] += 1
        took_ms = round((self._clock.monotonic_s() - began_s) * 1000)
        logs.event(
            _log, "api_call", level=logging.DEBUG, method=method, route=route, status=status, duration_ms=took_ms,
            correlation_id=trace,
        )  # fmt: skip

    def _sort(self, answer: requests.Response, began_s: float, *, safe: bool) -> Any:
        status, trace = answer.status_code, answer.headers.get("ININ-Correlation-Id")
        try:
            raw = read_body(answer, self._clock, began_s=began_s)
        except Unreadable as error:
            if 200 <= status < 300:  # noqa: PLR2004  HTTP
                raise _broken(str(error), status, trace, safe=safe) from None
            raw = b""  # a refusal speaks by its status
        if not 200 <= status < 300:  # noqa: PLR2004  HTTP
            self._raise_for(answer, raw, status, trace, safe=safe)
        return _parsed(answer, raw, status, trace, safe=safe)

    def _raise_for(
        self, answer: requests.Response, raw: bytes, status: int, trace: str | None, *, safe: bool
    ) -> NoReturn:
        code = _code_of(raw)
        said = {"http_status": status, "correlation_id": trace}
        if status == 429:  # noqa: PLR2004  HTTP
            self._pause(answer.headers, said)
        if status >= 500 or status < 400:  # noqa: PLR2004  a redirect is a broken answer too
            raise _broken(f"{status} {code}".strip(), status, trace, safe=safe)
        if status == 404:  # noqa: PLR2004  HTTP
            raise NotFound(f"the API does not know it ({code})", **said)  # type: ignore[arg-type]
        if status == 408 or (status == 400 and "version" in code.lower()):  # noqa: PLR2004  HTTP
            raise NotYetConsistent(f"the API saw a conflict ({code})", **said)  # type: ignore[arg-type]
        if status == 409 or (status == 400 and _speaks_of_duplicate(raw)):  # noqa: PLR2004  HTTP
            raise Conflict(f"the API has it already ({code})", **said)  # type: ignore[arg-type]
        raise Refused(f"the API refused the request ({code or 'no code'})", **said)  # type: ignore[arg-type]

    def _pause(self, headers: Mapping[str, str], said: Mapping[str, Any]) -> NoReturn:
        wait_s = retry_after_s(headers.get("Retry-After"), now_s=answered_at_s(headers, self._clock))
        pause_all(self._budget, wait_s / self._settings.time_scale, "the API answered 429")
        raise RateLimited("the API answered 429", wait_s=wait_s, **said)


def _silence(kind: str, *, safe: bool, refused: bool) -> StepError:
    if safe or refused:
        return Unavailable(f"the API did not answer ({kind})")
    return OutcomeUnknown(f"the API did not answer ({kind}); it may have acted all the same")


def _broken(what: str, status: int, trace: str | None, *, safe: bool) -> StepError:
    kind = Unavailable if safe else OutcomeUnknown
    return kind(f"the API's answer is unusable: {what}", http_status=status, correlation_id=trace)


def _parsed(answer: requests.Response, raw: bytes, status: int, trace: str | None, *, safe: bool) -> Any:
    if not raw.strip():
        return None
    if "json" not in answer.headers.get("Content-Type", ""):
        raise _broken("not JSON", status, trace, safe=safe)
    try:
        return jsonlib.loads(raw)
    except (ValueError, RecursionError):
        raise _broken("broken JSON", status, trace, safe=safe) from None


def _error_body(raw: bytes) -> Mapping[str, Any]:
    try:
        content = jsonlib.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, Mapping) else {}


def _code_of(raw: bytes) -> str:
    # The code is a word of the API's; its message may quote names and addresses and is not repeated.
    code = str(_error_body(raw).get("code") or "")
    return code if _CODE.fullmatch(code) else ""


def _speaks_of_duplicate(raw: bytes) -> bool:
    content = _error_body(raw)
    words = f"{content.get('code')} {content.get('message')}".lower()
    return any(word in words for word in ("duplicate", "already", "unique", "exists", "webrtc.user.has.phone"))
