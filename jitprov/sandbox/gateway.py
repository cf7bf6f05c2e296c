"""The front of the data port: lets a request in or not, has it applied, and answers, misbehaving where rules say so.

Order: path, token, rate limit, method, content type, query, body; then the route. The route runs without awaiting,
so a change has one instant. Refused requests change nothing but counters.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from aiohttp import web

from jitprov.sandbox import breakage
from jitprov.sandbox.answers import ApiError, Reply
from jitprov.sandbox.calls import Call, Route
from jitprov.sandbox.faults import Rule, Subject
from jitprov.sandbox.journal import Entry
from jitprov.sandbox.oauth import Token, unauthenticated
from jitprov.sandbox.organization_routes import REQUEST_BYTES_MAX
from jitprov.sandbox.ratelimit import Verdict
from jitprov.sandbox.routes import ROUTES
from jitprov.sandbox.session import Session

TOKEN_PATH = "/oauth/token"  # noqa: S105  a path
_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_STATUS_TOO_MANY = 429
_STATUS_ERRORS = 400


@dataclass(slots=True)
class Exchange:
    """One request on its way through."""

    request: web.BaseRequest
    entry: Entry
    correlation_id: str
    token: Token | None = None
    verdict: Verdict | None = None
    body: Any = None

    def headers(self) -> dict[str, str]:
        """Return the headers that every answer carries."""
        headers = {"ININ-Correlation-Id": self.correlation_id}
        return headers if self.verdict is None else headers | self.verdict.headers()


class Gateway:
    """Answers the data port for as long as the sandbox lives; the session behind it can be swapped."""

    def __init__(self, session: Session) -> None:
        """Answer from `session` until another one is put in its place."""
        self.session = session

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        session = self.session
        exchange = self._open(session, request)
        try:
            apply = self._admit(session, exchange, await _read(request))
        except ConnectionResetError:  # who breaks off within a request has asked for nothing
            exchange.entry.ended(None)
            return web.Response()
        except ApiError as error:
            return self._answer(session, exchange, error.reply(exchange.correlation_id))
        if session.faults.rules or session.barriers:
            return await self._answer_with_faults(session, exchange, apply)
        return self._answer(session, exchange, _applied(session, exchange, apply))

    def _open(self, session: Session, request: web.BaseRequest) -> Exchange:
        headers, path = request.headers, request.path
        entry = session.journal.open(
            session.clock.now_s(), request.method, path, request.query_string, headers.get("User-Agent", "")
        )
        exchange = Exchange(request, entry, session.world.ids.correlation_id())
        exchange.token = session.desk.recognise(headers.get("Authorization"))
        if exchange.token is not None:
            entry.token = exchange.token.hash
            _watch(session, exchange.token, entry.arrived_s)
        return exchange

    def _admit(self, session: Session, exchange: Exchange, raw: bytes | None) -> Callable[[], Reply]:
        request, entry = exchange.request, exchange.entry
        if entry.path == TOKEN_PATH:
            return _token_request(session, exchange, raw or b"")
        session.oracle.calls += 1
        routes, ids = ROUTES.find(entry.path)
        if not routes:
            session.oracle.unknown_paths += 1
            if exchange.token is not None:
                _meter(session, exchange, exchange.token)
            raise ApiError(404, "not.found", "HTTP 404 Not Found")
        template = next(iter(routes.values())).operation.template
        entry.route, entry.user_id = template, ids.get("userId", "")
        session.oracle.calls_by_route[f"{entry.method} {template}"] += 1
        token = _authenticated(session, exchange)
        _meter(session, exchange, token)
        route = routes.get(entry.method)
        if route is None:
            allow = {"Allow": ", ".join(sorted(routes))}
            raise ApiError(405, "method.not.allowed", "HTTP 405 Method Not Allowed", headers=allow)
        if raw is None:
            raise ApiError(413, "request.entity.too.large", f"The body is larger than {REQUEST_BYTES_MAX} bytes")
        query = route.operation.read_query(request.query)
        if any("*" in value for value in query.values() if isinstance(value, str)):
            session.oracle.wildcard_filters += 1
        exchange.body = _body(route, request, raw)
        entry.user_id = entry.user_id or _phone_user(exchange.body)
        call = Call(session.world, entry.path, ids, query, exchange.body, token.client_id)
        return lambda: route.handler(call)

    def _answer(self, session: Session, exchange: Exchange, reply: Reply) -> web.Response:
        _close_books(session, exchange, reply)
        headers = exchange.headers() | reply.headers
        if reply.body is None:
            return web.Response(status=reply.status, headers=headers)
        body = _JSON(reply.body).encode()
        return web.Response(status=reply.status, headers=headers, body=body, content_type="application/json")

    async def _answer_with_faults(
        self, session: Session, exchange: Exchange, apply: Callable[[], Reply]
    ) -> web.StreamResponse:
        entry = exchange.entry
        subject = Subject(
            entry.method, entry.path, entry.route or entry.path, entry.user_id, entry.token, entry.arrived_s
        )
        await _hold(session, "before_apply", subject, entry)
        rule = session.faults.strike(subject)
        if rule is not None:
            entry.rule = rule.id
            if rule.phase == "before_apply":
                answer = await self._break_before(session, exchange, rule)
                if answer is not None:
                    return answer
        reply = _applied(session, exchange, apply)
        if rule is not None and rule.kind == "dup_apply":
            _applied(session, exchange, apply)
        await _hold(session, "after_apply", subject, entry)
        if rule is None or rule.phase == "before_apply":
            return self._answer(session, exchange, reply)
        return await self._break_after(session, exchange, rule, reply)

    async def _break_before(self, session: Session, exchange: Exchange, rule: Rule) -> web.StreamResponse | None:
        """Do what the rule says in place of applying; None when applying goes on."""
        if rule.kind == "dup_apply":
            return None
        if rule.kind == "delay":
            await asyncio.sleep(float(rule.settings.get("ms", 0)) / 1000)
            return None
        return await self._break_after(session, exchange, rule, Reply(200, {}))

    async def _break_after(self, session: Session, exchange: Exchange, rule: Rule, reply: Reply) -> web.StreamResponse:
        request, kind, settings = exchange.request, rule.kind, rule.settings
        if rule.phase == "mid_body" or kind == "truncate":
            return await self._break_within(exchange, rule, reply)
        if kind in {"reset", "close", "hang"}:
            exchange.entry.ended(None)
            return breakage.cut(request, kind) if kind != "hang" else await breakage.hang(request)
        if kind == "delay":
            await asyncio.sleep(float(settings.get("ms", 0)) / 1000)
        if kind == "expire_token" and exchange.token is not None:
            exchange.token.expires_at_s = session.clock.now_s()
            if rule.phase == "before_apply":
                reply = unauthenticated("Bearer").reply(exchange.correlation_id)
        spoilt = breakage.spoil(kind, settings, reply)
        if spoilt is not None:
            status, body, content_type = spoilt
            _close_books(session, exchange, Reply(status))
            return web.Response(status=status, headers=exchange.headers(), body=body, content_type=content_type)
        return self._answer(session, exchange, breakage.made_up(kind, settings, exchange.correlation_id) or reply)

    async def _break_within(self, exchange: Exchange, rule: Rule, reply: Reply) -> web.StreamResponse:
        request, headers = exchange.request, exchange.headers() | reply.headers
        exchange.entry.ended(None)
        if rule.kind == "truncate":
            await breakage.send_truncated(request, reply, headers, int(rule.settings.get("n", 0)))
        else:
            delay_ms = float(rule.settings.get("ms", 0))
            await breakage.send_half(request, reply, headers, rule.kind, delay_ms)
        return web.Response()


async def _read(request: web.BaseRequest) -> bytes | None:
    """Return the body; None when it is larger than the API takes."""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None
    return raw if len(raw) <= REQUEST_BYTES_MAX else None


def _token_request(session: Session, exchange: Exchange, raw: bytes) -> Callable[[], Reply]:
    exchange.entry.route = TOKEN_PATH
    session.oracle.token_calls += 1
    if exchange.entry.method != "POST":
        raise ApiError(405, "method.not.allowed", "HTTP 405 Method Not Allowed", headers={"Allow": "POST"})
    headers: Mapping[str, str] = exchange.request.headers
    return lambda: session.desk.issue(headers, raw, session.clock.now_s(), session.world.options)


def _authenticated(session: Session, exchange: Exchange) -> Token:
    token = exchange.token
    if token is None:
        session.oracle.requests_without_known_token += 1
        raise unauthenticated(exchange.request.headers.get("Authorization"))
    if token.expires_at_s <= session.clock.now_s():
        session.oracle.requests_with_expired_token += 1
        raise unauthenticated("Bearer")
    return token


def _watch(session: Session, token: Token, now_s: float) -> None:
    token.watch.see(now_s, session.world.options.limit_per_min)
    if now_s < token.paused_until_s:
        session.oracle.requests_inside_retry_after += 1


def _meter(session: Session, exchange: Exchange, token: Token) -> None:
    """Take one request from the token's window.

    Raises:
        ApiError: 429; the window is full.
    """
    verdict = token.meter.take(exchange.entry.arrived_s, session.world.options)
    exchange.verdict = verdict
    if not verdict.admitted:
        _refuse_too_many(verdict)


def _refuse_too_many(verdict: Verdict) -> NoReturn:
    wait_s, allowed = verdict.retry_after_s, verdict.allowed
    message = f"Rate limit exceeded: {allowed} requests a minute are allowed; try again in {wait_s} seconds"
    raise ApiError(
        _STATUS_TOO_MANY,
        "too.many.requests.retry.after",
        message,
        params={"limit": allowed, "retryAfter": wait_s},
        limit={"namespace": "platform.api", "key": "client.credentials.token.rate.per.minute", "value": allowed},
        headers={"Retry-After": str(wait_s)},
    )


def _body(route: Route, request: web.BaseRequest, raw: bytes) -> Any:
    if route.operation.validator is None:
        return None
    if request.content_type != "application/json" or "Content-Type" not in request.headers:
        raise ApiError(415, "unsupported.media.type", "HTTP 415 Unsupported Media Type")
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        message = "The request could not be understood: the body is not JSON"
        raise ApiError(400, "bad.request", message, field_name="body") from None
    route.operation.check_body(body)
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _phone_user(body: Any) -> str:
    user = body.get("webRtcUser") if isinstance(body, dict) else None
    return str(user.get("id", "")) if isinstance(user, dict) else ""


def _applied(session: Session, exchange: Exchange, apply: Callable[[], Reply]) -> Reply:
    """Run the route; this is the one instant at which state changes."""
    try:
        reply = apply()
    except ApiError as error:
        return error.reply(exchange.correlation_id)
    if reply.status < _STATUS_ERRORS:
        exchange.entry.applied(session.clock.now_s())
    return reply


async def _hold(session: Session, phase: str, subject: Subject, entry: Entry) -> None:
    barrier = session.barriers.at(phase, subject)
    if barrier is not None:
        entry.rule = f"barrier {barrier.name}"
        await session.barriers.hold(barrier)


def _close_books(session: Session, exchange: Exchange, reply: Reply) -> None:
    exchange.entry.ended(reply.status)
    session.oracle.answers_by_status[str(reply.status)] += 1
    if reply.status != _STATUS_TOO_MANY:
        return
    session.oracle.answers_429 += 1
    wait = reply.headers.get("Retry-After", "")
    if exchange.token is not None and wait.isdecimal():
        until_s = session.clock.now_s() + int(wait)
        exchange.token.paused_until_s = max(exchange.token.paused_until_s, until_s)
