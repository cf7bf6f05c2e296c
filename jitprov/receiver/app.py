"""The front door's routes, and their run. Opens the rooms behind it first, empties them last.

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
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from jitprov import __version__, logs
from jitprov.errors import DependencyDown
from jitprov.ledger import Ledger
from jitprov.receiver import answers
from jitprov.receiver.auth import Doorkeeper
from jitprov.receiver.body import StartRule
from jitprov.receiver.contract import complete
from jitprov.receiver.group_commit import GroupCommit
from jitprov.receiver.intake import Intake
from jitprov.receiver.measures import Measures
from jitprov.receiver.publisher import Publisher
from jitprov.receiver.quarantine import Quarantine
from jitprov.receiver.readiness import Readiness
from jitprov.receiver.server import listen, make_server, spare_what_stands
from jitprov.receiver.signature import Signatures
from jitprov.sealing import Seals
from jitprov.settings import Settings
from jitprov.strangers import Strangers

_TELL_EVERY_S = 5.0
_log = logging.getLogger(__name__)


def create_app(  # noqa: PLR0913  each is a part that it stands between
    settings: Settings,
    ledger: Ledger,
    publish: Callable[[str], None],
    *,
    keys: Callable[[], Sequence[str]] | None = None,
    signing_secrets: Callable[[], Sequence[str]] | None = None,
    seals: Seals | None = None,
    collectors: Sequence[Collector] = (),
    tell_answers: Callable[[Mapping[int, int]], None] = lambda _: None,
) -> FastAPI:
    """Return the receiver. Its threads start and end with the application's lifespan.

    Args:
        settings: Keys, bounds, and what starts a provisioning.
        ledger: Written to from one thread for openings and one for the quarantine.
        publish: Sends a new provisioning's chain; called on a thread of its own.
        keys: Returns the active webhook keys; those of the settings when None.
        signing_secrets: Returns the active signing secrets; those of the settings when None.
        seals: Seal the text of refused bodies; without a key it is not kept.
        collectors: Shown under `/metrics` beside the receiver's own measures.
        tell_answers: Called every few seconds, on a thread, with the answers of `/events` by status since it last was.

    Raises:
        ConfigurationError: No webhook key and no signing secret, or a key that is too short, or a secret that is none.
    """
    signing_secrets = signing_secrets or (lambda: settings.signing_secrets)
    signatures, keyless = Signatures(signing_secrets), bool(signing_secrets())
    doorkeeper = Doorkeeper(settings.webhook_header, keys or (lambda: settings.webhook_keys), keyless=keyless)

    @asynccontextmanager
    async def rooms(app: FastAPI) -> AsyncIterator[None]:
        measures = Measures()
        for collector in collectors:
            measures.collect(collector)
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
            signatures,
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
        telling = asyncio.create_task(_keep_telling(measures, tell_answers))
        yield
        telling.cancel()
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
        exception_handlers={
            HTTPException: _no_such_route,
            DependencyDown: _part_away,
            RequestValidationError: _not_as_agreed,
        },
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
        complete(document["paths"])
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
    # On a thread: a collector may have to ask Redis, and events must not wait for it.
    return Response(await asyncio.to_thread(measures.text), media_type=CONTENT_TYPE_LATEST)


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


async def _not_as_agreed(_: Request, error: Exception) -> Response:
    """Answer 422 with field and cause; FastAPI's own answer would repeat what was sent."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    field, cause = (".".join(map(str, found[0]["loc"])), str(found[0]["msg"])) if found else ("request", "wrong")
    return answers.refusal(HTTPStatus.UNPROCESSABLE_ENTITY, field, cause, "See /openapi.json")


async def _keep_telling(measures: Measures, tell: Callable[[Mapping[int, int]], None]) -> None:
    while True:
        await asyncio.sleep(_TELL_EVERY_S)
        if answered := measures.take_answers():
            with suppress(DependencyDown):  # the count is lost with the store that would have held it
                await asyncio.to_thread(tell, answered)


def serve(  # noqa: PLR0913  each is a part that it stands between
    settings: Settings,
    ledger: Ledger,
    publish: Callable[[str], None],
    *,
    keys: Callable[[], Sequence[str]] | None = None,
    signing_secrets: Callable[[], Sequence[str]] | None = None,
    seals: Seals | None = None,
    rooms: Sequence[APIRouter] = (),
    collectors: Sequence[Collector] = (),
    tell_answers: Callable[[Mapping[int, int]], None] = lambda _: None,
) -> None:
    """Run the receiver until SIGTERM or SIGINT; then take nothing new, answer and write what is under way, return.

    Args:
        settings: See `create_app`.
        ledger: See `create_app`.
        publish: See `create_app`.
        keys: See `create_app`.
        signing_secrets: See `create_app`.
        seals: See `create_app`.
        rooms: Further routes on the same port, such as the operator's.
        collectors: See `create_app`.
        tell_answers: See `create_app`.

    Raises:
        ConfigurationError: The key or the address is wrong.
    """
    app = create_app(
        settings,
        ledger,
        publish,
        keys=keys,
        signing_secrets=signing_secrets,
        seals=seals,
        collectors=collectors,
        tell_answers=tell_answers,
    )
    for room in rooms:
        app.include_router(room)
    server = make_server(app, settings)
    spare_what_stands()

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
