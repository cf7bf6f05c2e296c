"""The front door's routes, and the server that runs them. Opens the rooms behind it first, empties them last.

    POST /events     one delivery; see `intake`
    GET  /healthz    the process is up
    GET  /readyz     events can be taken: the ledger answers, the writer runs
    GET  /metrics    Prometheus' text format
    GET  /openapi.json   the contract, for machines; no page that loads scripts from elsewhere

The four GET routes ask for no key and tell no ids; a proxy in front should keep all but /events inside.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from jitprov import __version__, logs
from jitprov.errors import ConfigurationError, DependencyDown
from jitprov.ledger import Ledger
from jitprov.receiver import answers
from jitprov.receiver.auth import Doorkeeper
from jitprov.receiver.body import StartRule
from jitprov.receiver.contract import EVENTS_PATH
from jitprov.receiver.group_commit import GroupCommit
from jitprov.receiver.intake import Intake
from jitprov.receiver.measures import Measures
from jitprov.receiver.publisher import Publisher
from jitprov.receiver.quarantine import Quarantine
from jitprov.receiver.readiness import Readiness
from jitprov.receiver.strangers import Strangers
from jitprov.receiver.wire import BoundedHttp
from jitprov.sealing import Seals
from jitprov.settings import Settings

_log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 30
_STOP_WITHIN_S = 10
_BACKLOG = 2048
_QUIET_S = 1.0


def create_app(
    settings: Settings,
    ledger: Ledger,
    publish: Callable[[str], None],
    *,
    keys: Callable[[], Sequence[str]] | None = None,
    seals: Seals | None = None,
) -> FastAPI:
    """Return the receiver. Its threads start and end with the application's lifespan.

    Args:
        settings: Keys, bounds, and what starts a provisioning.
        ledger: Written to from one thread for openings and one for the quarantine.
        publish: Sends a new provisioning's chain; called on a thread of its own.
        keys: Returns the active webhook keys; those of the settings when None.
        seals: Seal the text of refused bodies; without a key it is not kept.

    Raises:
        ConfigurationError: No webhook key, or one that is too short.
    """
    doorkeeper = Doorkeeper(settings.webhook_header, keys or (lambda: settings.webhook_keys))

    @asynccontextmanager
    async def rooms(app: FastAPI) -> AsyncIterator[None]:
        measures = Measures()
        publisher = Publisher(publish, measures.count_publishes)
        wake = asyncio.get_running_loop().call_soon_threadsafe
        commit = GroupCommit(ledger, settings.message_grace_s, publisher.offer, deliver=wake)
        quarantine = Quarantine(ledger)
        measures.show(
            "jitprov_receiver_openings_waiting", "Openings that wait for their write.", lambda: commit.waiting
        )
        measures.show("jitprov_receiver_publishes_waiting", "Chains that wait to be sent.", lambda: publisher.waiting)
        rule = StartRule.from_settings(settings)
        app.state.measures = measures
        app.state.intake = Intake(
            doorkeeper,
            rule,
            commit,
            quarantine,
            seals or Seals(),
            measures,
            Strangers(),
            settings.forwarded_header.lower().encode(),
            settings.body_max_bytes,
        )
        app.state.readiness = Readiness(ledger.trust, lambda: commit.alive)
        yield
        # Requests are answered by now; what a slow ledger left behind is written, then sent, for a bounded time.
        for close in (commit.close, quarantine.close, publisher.close):
            await asyncio.to_thread(close)

    app = FastAPI(
        title="jitprov receiver",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # EventBridge takes a redirect for the end of it
        lifespan=rooms,
        exception_handlers={HTTPException: _no_such_route, DependencyDown: _part_away},
    )
    # For the contract, and for whoever comes with another method; deliveries go by the short way.
    app.add_route("/events", _events, methods=["POST"])
    app.add_middleware(_ShortWay)
    app.get("/healthz")(_healthz)
    app.get("/readyz")(_readyz)
    app.get("/metrics")(_metrics)
    derived = app.openapi

    def contract() -> dict[str, Any]:
        document = derived()
        document["paths"]["/events"] = EVENTS_PATH
        return document

    app.openapi = contract  # type: ignore[method-assign]  # FastAPI's way of adding to it
    return app


class _ShortWay:
    """Hands deliveries to the intake, past the router and what stands around it, which took a fifth of their time.

    The intake never raises and answers everything itself, so nothing that stands there is missed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/events" and scope["method"] == "POST":
            answer = await _events(Request(scope, receive))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _events(request: Request) -> Response:
    intake: Intake = request.app.state.intake
    return await intake.take(request)


async def _healthz() -> Response:
    return answers.as_json(HTTPStatus.OK, {"status": "up"})


async def _readyz(request: Request) -> Response:
    readiness: Readiness = request.app.state.readiness
    if missing := await readiness.missing():
        return answers.come_again(missing)
    return answers.as_json(HTTPStatus.OK, {"status": "ready"})


async def _metrics(request: Request) -> Response:
    measures: Measures = request.app.state.measures
    return Response(measures.text(), media_type=CONTENT_TYPE_LATEST)


async def _part_away(_request: Request, error: Exception) -> Response:
    """Answer 503 when another room on this port asked a part that is away."""
    return answers.come_again(str(error))


async def _no_such_route(request: Request, error: Exception) -> Response:
    """Answer 404 and 405 of the routing in the shape of all refusals; what a route says itself stays as it is."""
    if not isinstance(error, HTTPException) or error.detail != HTTPStatus(error.status_code).phrase:
        return await http_exception_handler(request, error)  # type: ignore[arg-type]  # registered for HTTPException
    field = "method" if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else "path"
    remedy = "POST events to /events"
    return answers.refusal(error.status_code, field, error.detail.lower(), remedy, error.headers)


class _Seldom(logging.Filter):
    """Lets each text through once a second: uvicorn warns at each request that is not HTTP, and strangers send them."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log it; what is worse than a warning always."""
        text = str(record.msg)
        if record.levelno > logging.WARNING:
            return True
        if record.created - self._told_at_s.get(text, 0.0) < _QUIET_S:
            return False
        self._told_at_s[text] = record.created
        return True


_SELDOM = _Seldom()  # one: added twice it is the same


def make_server(app: FastAPI, settings: Settings, http: type[BoundedHttp] = BoundedHttp) -> uvicorn.Server:
    """Return the server that runs the receiver, with every bound set; it listens on the sockets given to its `run`.

    Args:
        app: The receiver.
        settings: Where it listens, for uvicorn's own lines.
        http: The protocol, for other bounds.
    """
    logging.getLogger("uvicorn.error").addFilter(_SELDOM)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.receiver_host,
            port=settings.receiver_port,
            loop="uvloop",
            http=http,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_STOP_WITHIN_S,
        )
    )


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        ConfigurationError: The address is taken, or not this machine's.
    """
    where = (settings.receiver_host, settings.receiver_port)
    family = socket.AF_INET6 if ":" in settings.receiver_host else socket.AF_INET
    try:
        return socket.create_server(where, family=family, backlog=_BACKLOG)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        msg = f"cannot listen on {where[0]} port {where[1]} ({cause}): change JITPROV_RECEIVER_HOST or _PORT"
        raise ConfigurationError(msg) from error


def serve(
    settings: Settings,
    ledger: Ledger,
    publish: Callable[[str], None],
    *,
    keys: Callable[[], Sequence[str]] | None = None,
    seals: Seals | None = None,
    rooms: Sequence[APIRouter] = (),
) -> None:
    """Run the receiver until SIGTERM or SIGINT; then take nothing new, answer and write what is under way, return.

    Args:
        settings: See `create_app`.
        ledger: See `create_app`.
        publish: See `create_app`.
        keys: See `create_app`.
        seals: See `create_app`.
        rooms: Further routes on the same port, such as the operator's.

    Raises:
        ConfigurationError: The key or the address is wrong.
    """
    app = create_app(settings, ledger, publish, keys=keys, seals=seals)
    for room in rooms:
        app.include_router(room)
    server = make_server(app, settings)

    def stop(_number: int, _frame: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal once more when it is done: here that must not end the process with an error.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with listen(settings) as door:
        host, port = door.getsockname()[:2]
        logs.event(_log, "receiver_listening", host=host, port=port)
        server.run(sockets=[door])
    logs.event(_log, "receiver_stopped")
