"""The control port: how tests, demo and benchmarks steer the sandbox and look inside.

A separate port on purpose; nothing here is reachable from the data port, and the client under test never learns of it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from jitprov.sandbox.answers import Json
from jitprov.sandbox.audits import Audit
from jitprov.sandbox.directory import User
from jitprov.sandbox.events import event_of, told_changes
from jitprov.sandbox.faults import RuleError
from jitprov.sandbox.gateway import Gateway
from jitprov.sandbox.options import OptionError
from jitprov.sandbox.people_routes import render_user
from jitprov.sandbox.session import Session
from jitprov.sandbox.signins import sign_in
from jitprov.sandbox.state_report import report_state
from jitprov.sandbox.webhook import Webhook

_BODY_BYTES_MAX = 64 * 1024 * 1024
_LIMIT_DEFAULT = 1000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The routes of the control port, over a gateway and a webhook."""

    def __init__(self, gateway: Gateway, webhook: Webhook) -> None:
        """Steer `gateway`, whose session a reset replaces, and `webhook`."""
        self._gateway = gateway
        self.webhook = webhook
        self._session.world.tell = self._announce

    @property
    def _session(self) -> Session:
        return self._gateway.session

    def application(self) -> web.Application:
        """Return the application that serves the control port."""
        app = web.Application(client_max_size=_BODY_BYTES_MAX, middlewares=[_explained])
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.post("/sign-in", self._sign_in),
                web.post("/join-by-group", self._join_by_group),
                web.post("/events", self._post_events),
                web.get("/deliveries", self._deliveries),
                web.get("/state", self._state),
                web.get("/journal", self._journal),
                web.get("/oracle", self._oracle),
                web.get("/faults", self._faults),
                web.put("/faults", self._put_faults),
                web.delete("/faults", self._delete_faults),
                web.get("/coverage", self._coverage),
                web.get("/options", self._options),
                web.patch("/options", self._patch_options),
                web.post("/reset", self._reset),
                web.get("/barriers", self._barriers),
                web.post("/barriers/{name}", self._put_barrier),
                web.post("/barriers/{name}/release", self._release_barrier),
                web.post("/clock/advance", self._advance_clock),
            ]
        )
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "now_s": self._session.clock.now_s()})

    async def _sign_in(self, request: web.Request) -> web.Response:
        asked, world = await _object(request), self._session.world
        users = sign_in(world, asked)
        events = [
            event_of(world, world.record(user, "Create", world.ids.new("directory client"), told_changes(user)))
            for user in users
        ]
        if asked.get("announce", True):
            self.webhook.post(events)
        answer: Json = {"users": [render_user(world, user, ()) for user in users]}
        if asked.get("return_events"):
            answer["events"] = events
        return web.json_response(answer)

    async def _join_by_group(self, request: web.Request) -> web.Response:
        asked, world = await _object(request), self._session.world
        [queue] = [queue for queue in world.access.queues.values() if queue.name == asked["queue"]]
        queue.by_group.add(world.user(asked["user_id"]).id)
        return web.json_response({"queue_id": queue.id})

    async def _post_events(self, request: web.Request) -> web.Response:
        given = await _value(request)
        events = given if isinstance(given, list) else [given]
        self.webhook.post(events)
        return web.json_response({"posted": len(events)})

    async def _deliveries(self, _: web.Request) -> web.Response:
        return web.json_response(self.webhook.report())

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(report_state(self._session.world, request.query.get("user")))

    async def _journal(self, request: web.Request) -> web.Response:
        since, limit = int(request.query.get("since", 0)), int(request.query.get("limit", _LIMIT_DEFAULT))
        return web.json_response(self._session.journal.read(max(since, 0), max(limit, 0)))

    async def _oracle(self, _: web.Request) -> web.Response:
        return web.json_response(self._session.oracle.report(self._session.world, self._session.desk))

    async def _faults(self, _: web.Request) -> web.Response:
        return web.json_response([rule.to_json() for rule in self._session.faults.rules])

    async def _put_faults(self, request: web.Request) -> web.Response:
        given = await _value(request)
        if not isinstance(given, list):
            message = "a list of rules is needed"
            raise RuleError(message)
        self._session.faults.put(given)
        return await self._faults(request)

    async def _delete_faults(self, _: web.Request) -> web.Response:
        self._session.faults.put([])
        return web.Response(status=204)

    async def _coverage(self, _: web.Request) -> web.Response:
        return web.json_response(self._session.faults.coverage_json())

    async def _options(self, _: web.Request) -> web.Response:
        return web.json_response(self._session.world.options.to_json())

    async def _patch_options(self, request: web.Request) -> web.Response:
        session = self._session
        options = session.world.options.changed(await _object(request))
        if options.time_scale != session.world.options.time_scale:
            session.clock.set_scale(options.time_scale)
        session.world.options = options
        return web.json_response(options.to_json())

    async def _reset(self, request: web.Request) -> web.Response:
        asked, session = await _object(request), self._session
        seed = asked.get("seed", session.world.options.seed)
        if asked.keys() - {"seed"} or not isinstance(seed, int):
            message = "reset takes a whole seed and nothing else"
            raise OptionError(message)
        session.barriers.release_all()
        await self.webhook.close()
        options = replace(session.world.options, seed=seed)
        self._gateway.session = Session.begin(options, seed)
        self._session.world.tell = self._announce
        self.webhook = Webhook(lambda: self._session.world.options, seed)
        return web.json_response({"seed": seed})

    def _announce(self, _: User, audit: Audit) -> None:
        """Post what the API's own clients did to users, as Genesys Cloud does, when the options say so."""
        if self._session.world.options.announce_changes:
            self.webhook.post([event_of(self._session.world, audit)])

    async def _barriers(self, _: web.Request) -> web.Response:
        return web.json_response(self._session.barriers.to_json())

    async def _put_barrier(self, request: web.Request) -> web.Response:
        self._session.barriers.put(request.match_info["name"], await _object(request))
        return web.json_response(self._session.barriers.to_json())

    async def _release_barrier(self, request: web.Request) -> web.Response:
        return web.json_response({"released": self._session.barriers.release(request.match_info["name"])})

    async def _advance_clock(self, request: web.Request) -> web.Response:
        by_s = (await _object(request)).get("by_s", 0)
        if not isinstance(by_s, int | float) or by_s < 0:
            message = "by_s must be 0 or more"
            raise OptionError(message)
        self._session.clock.advance(by_s)
        return web.json_response({"now_s": self._session.clock.now_s()})


@web.middleware
async def _explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a request that makes no sense into a 400 that says why."""
    try:
        return await handler(request)
    except ValueError as error:  # options, rules, sign-ins, JSON and numbers alike
        return web.json_response({"error": str(error)}, status=400)


async def _value(request: web.Request) -> Any:
    raw = await request.read()
    return json.loads(raw) if raw else {}


async def _object(request: web.Request) -> Json:
    value = await _value(request)
    if not isinstance(value, dict):
        message = "a JSON object is needed"
        raise OptionError(message)
    return value
