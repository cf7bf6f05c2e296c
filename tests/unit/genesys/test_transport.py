"""One request: charged, sent once, sorted; and nothing told that nobody may read."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import pytest
from urllib3 import HTTPResponse
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProtocolError, ProxyError, ReadTimeoutError

from fixed_clock import FixedClock
from jitprov.budget import Permit
from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.cache.memory import MemoryCache
from jitprov.errors import NotYetConsistent, OutcomeUnknown, RateLimited, Refused, Unavailable
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.connection import ApiConnection
from jitprov.genesys.reading import retry_after_s
from jitprov.genesys.sorting import NotFound
from jitprov.genesys.transport import Transport
from jitprov.settings import read_settings

NOW_S = 1_795_424_400.0
NO_ANSWER = ReadTimeoutError(cast("Any", None), "/", "Read timed out.")


class Tokens:
    """Hands out numbered tokens."""

    def __init__(self) -> None:
        self.number = 1

    def lanes(self) -> tuple[int, ...]:
        return (0,)

    def at_hand(self, lane: int) -> str:
        return f"token-{self.number}"

    def refresh(self, stale: str, lane: int = 0) -> str:
        assert stale == self.at_hand(lane)
        self.number += 1
        return self.at_hand(lane)


@dataclass(frozen=True)
class Sent:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    how: Mapping[str, Any]


class Api:
    """Stands where the network stands: gives the answers it was made with, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Any] = [(200, b"{}")]
        self.sent: list[Sent] = []

    def open_one(self, timeout_s: float) -> None:
        pass

    def urlopen(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes | None, **how: Any
    ) -> HTTPResponse:
        self.sent.append(Sent(method, target, headers, body, how))
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        status, content, *more = given
        said = {"Content-Type": "application/json", "ININ-Correlation-Id": "trace-1"} | (more[0] if more else {})
        return HTTPResponse(io.BytesIO(content), headers=said, status=status, preload_content=False)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def budget(clock: FixedClock) -> MemoryBudget:
    return MemoryBudget(BudgetRate.of(60_000, headroom=0.02), clock.monotonic_s)


@pytest.fixture
def transport(api: Api, budget: MemoryBudget, clock: FixedClock) -> Transport:
    settings = read_settings(_env_file=None)
    made = Transport(settings, budget, clock, cast("TokenSource", Tokens()))
    made._connection().pool = cast("Any", api)
    return made


@pytest.fixture
def ask(transport: Transport) -> Callable[..., Any]:
    def request(**how: Any) -> Any:
        given: dict[str, Any] = {"method": "GET", "path": f"/api/v2/users/{uuid4()}", "safe": True}
        return transport.request(**(given | how))

    return request


def test_a_success_is_its_json(ask: Callable[..., Any], api: Api) -> None:
    """The parsed answer comes back; an answer without a body is None."""
    api.answers = [(200, b'{"a": [1]}'), (202, b"")]

    assert ask() == {"a": [1]}
    assert ask() is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused),
        (403, Refused),
        (404, NotFound),
        (408, NotYetConsistent),
        (409, NotYetConsistent),
        (413, Refused),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
        (307, Unavailable),
    ],
)
def test_an_answer_is_sorted_by_its_status(
    ask: Callable[..., Any], api: Api, status: int, expected: type[Exception]
) -> None:
    """Each status means one thing, was sent once, and keeps the API's trace."""
    api.answers = [(status, b'{"code": "some.code"}')]

    with pytest.raises(expected) as caught:
        ask()

    assert cast("Any", caught.value).correlation_id == "trace-1"
    assert len(api.sent) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"{}"),
        (302, b"", {"Location": "https://elsewhere.test/"}),
        (200, b"<html></html>", {"Content-Type": "text/html"}),
        (200, b"{}", {"Content-Type": "text/plain"}),
        (200, b'{"a":'),
        NO_ANSWER,
        ProtocolError("Connection aborted.", ConnectionResetError()),
        OSError("no route"),
        ValueError("a header that cannot be sent"),
    ],
)
def test_what_may_have_been_applied_is_told_apart(ask: Callable[..., Any], api: Api, answer: Any) -> None:
    """The same silence is worth a repetition for a read, and a look for a create; neither is repeated here."""
    api.answers = [answer]

    with pytest.raises(Unavailable):
        ask(safe=True)
    with pytest.raises(OutcomeUnknown):
        ask(method="POST", safe=False, json={})

    assert len(api.sent) == 2


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(cast("Any", None), "timed out"),
        NewConnectionError(cast("Any", None), "no such host"),
        ProxyError("Cannot connect to proxy.", ConnectionRefusedError("Connection refused")),
    ],
)
def test_what_was_never_sent_is_safe_to_repeat(ask: Callable[..., Any], api: Api, error: Exception) -> None:
    """No connection, no effect: a create may be tried again without looking."""
    api.answers = [error]

    with pytest.raises(Unavailable):
        ask(method="POST", safe=False, json={})


def test_a_401_brings_one_new_token(ask: Callable[..., Any], api: Api, budget: MemoryBudget) -> None:
    """The same request goes out once more with the new token, and both are paid."""
    api.answers = [(401, b"{}"), (200, b'{"ok": true}')]

    assert ask() == {"ok": True}
    assert [request.headers["Authorization"] for request in api.sent] == ["Bearer token-1", "Bearer token-2"]
    assert budget.state().spent_total == 2


def test_a_429_is_paused_for_by_everyone(ask: Callable[..., Any], api: Api, budget: MemoryBudget) -> None:
    """The meter pauses before the error is raised."""
    api.answers = [(429, b"{}", {"Retry-After": "12"})]

    with pytest.raises(RateLimited) as caught:
        ask()

    assert caught.value.wait_s == 12
    assert budget.state().paused_s == pytest.approx(12)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("12", 12.0),
        ("0.2", 1.0),
        ("0", 1.0),
        ("86400", 300.0),
        ("1e9", 300.0),
        ("-5", 15.0),
        ("nan", 15.0),
        ("soon", 15.0),
        ("", 15.0),
        (None, 15.0),
        ("Mon, 23 Nov 2026 09:00:40 GMT", 40.0),
        ("Mon, 23 Nov 2026 08:00:00 GMT", 15.0),
        ("Tue, 24 Nov 2026 09:00:00 GMT", 300.0),
    ],
)
def test_a_wait_is_bounded_whatever_is_asked(header: str | None, wait_s: float) -> None:
    """Seconds, dates and nonsense all become a wait between one second and five minutes."""
    assert retry_after_s(header, now_s=NOW_S) == wait_s


def test_a_refusal_shows_code_and_trace_only(ask: Callable[..., Any], api: Api) -> None:
    """The API's message may name people; an odd code is not repeated either."""
    api.answers = [(400, b'{"code": "bad.request", "message": "no robin@example.test"}'), (400, b'{"code": "a b\\n"}')]

    with pytest.raises(Refused) as first:
        ask()
    with pytest.raises(Refused) as second:
        ask()

    assert "bad.request" in str(first.value)
    assert "robin" not in str(first.value)
    assert "a b" not in str(second.value)


def test_an_attempt_is_logged_without_its_content(
    ask: Callable[..., Any], api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Method, route, status, duration and trace; no id, no query, no body, no token."""
    caplog.set_level(logging.DEBUG)
    user_id = str(uuid4())

    ask(path=f"/api/v2/users/{user_id}", params={"name": "Robin"}, json={"secret": "word"})

    fields = next(record.__dict__["fields"] for record in caplog.records if record.getMessage() == "api_call")
    assert fields["route"] == "/api/v2/users/{id}"
    assert (fields["method"], fields["status"], fields["correlation_id"]) == ("GET", 200, "trace-1")
    assert not [word for word in (user_id, "Robin", "word", "token-1") if word in str(fields)]


def test_attempts_are_counted_by_route_and_status(ask: Callable[..., Any], api: Api, transport: Transport) -> None:
    """Every attempt counts, refused and unanswered ones too."""
    api.answers = [(200, b"{}"), (404, b"{}"), NO_ANSWER]
    ask()
    with pytest.raises(NotFound):
        ask()
    with pytest.raises(Unavailable):
        ask()

    assert transport.attempts == {
        ("GET /api/v2/users/{id}", 200): 1,
        ("GET /api/v2/users/{id}", 404): 1,
        ("GET /api/v2/users/{id}", 0): 1,
    }


def test_each_thread_has_its_own_connection(transport: Transport) -> None:
    """Connections are not made to be shared."""
    others: list[ApiConnection] = []
    thread = threading.Thread(target=lambda: others.append(transport._connection()))
    thread.start()
    thread.join()

    assert transport._connection() is transport._connection()
    assert others[0] is not transport._connection()
    others[0].close()


def test_who_acts_is_named_only_meanwhile(ask: Callable[..., Any], api: Api, transport: Transport) -> None:
    """The provisioning is in the User-Agent inside the block, after an error in it too, and not afterwards."""
    api.answers = [(503, b""), (200, b"{}")]
    with pytest.raises(Unavailable), transport.acting_for("p-1"):
        ask()
    ask()

    assert [str(request.headers["User-Agent"]).endswith("(provisioning p-1)") for request in api.sent] == [True, False]


def test_what_the_budget_does_not_see_is_not_sent(ask: Callable[..., Any], api: Api) -> None:
    """Below, nothing is repeated and nothing is followed: it would break the budget's promise."""
    api.answers = [(503, b"", {"Retry-After": "1", "Location": "https://elsewhere.test/"})]

    with pytest.raises(Unavailable):
        ask()

    (sent,) = api.sent
    assert not sent.how["retries"].is_retry("GET", 503, has_retry_after=True)
    with pytest.raises(ProtocolError):
        sent.how["retries"].increment("GET", "/", error=ProtocolError("reset"))
    assert sent.how["redirect"] is False


def test_json_nested_beyond_reason_is_no_answer(ask: Callable[..., Any], api: Api) -> None:
    """It ends as a broken answer, in a success and in a refusal."""
    api.answers = [(200, b"[" * 200_000), (400, b"[" * 200_000)]

    with pytest.raises(Unavailable):
        ask()
    with pytest.raises(Refused):
        ask()


def test_a_dates_wait_does_not_ask_this_clock(ask: Callable[..., Any], api: Api) -> None:
    """A Retry-After date counts from the answer's own Date, however wrong the clock here is."""
    headers = {"Retry-After": "Mon, 23 Nov 2099 09:00:40 GMT", "Date": "Mon, 23 Nov 2099 09:00:00 GMT"}
    api.answers = [(429, b"{}", headers)]

    with pytest.raises(RateLimited) as caught:
        ask()

    assert caught.value.wait_s == 40.0


def test_a_slot_that_has_come_waits_for_no_token(api: Api, clock: FixedClock) -> None:
    """A token that grows old while its slot is waited for is used all the same: another would make the slot late."""
    settings = read_settings(
        _env_file=None, api_url="http://127.0.0.1:9", client_id="client", client_secret="secret-of-the-client"
    )
    budget, cache = MemoryBudget(BudgetRate.of(6, headroom=0.02), clock.monotonic_s), MemoryCache(clock.monotonic_s)
    tokens = TokenSource(settings, cache, clock, budget)
    tokens._keep(0, "token-of-old", lifetime_s=65.0)  # asked for anew 32.5 s from now
    transport = Transport(settings, budget, clock, tokens)
    transport._connection().pool = cast("Any", api)
    clock.advance(25.0)
    assert isinstance(budget.reserve(wait_max_s=0.0), Permit)

    transport.request("POST", "/api/v2/telephony/providers/edges/phones", safe=False)

    assert [request.headers["Authorization"] for request in api.sent] == ["Bearer token-of-old"]
