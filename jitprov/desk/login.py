"""Login and logout of the board, and the few files that its pages load."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.requests import Request
from fastapi.responses import Response

from jitprov.desk.answers import HEADERS, PageRoute, page, see_other
from jitprov.desk.guard import Guard, read_form
from jitprov.desk.session import COOKIE, LASTS_S, Role

_STATIC = Path(__file__).parent / "static"
_TYPES = {"board.css": "text/css", "board.js": "text/javascript", "icon.svg": "image/svg+xml"}
_A_DAY = "public, max-age=86400"


@dataclass(frozen=True, slots=True)
class Login:
    """The handlers.

    Attributes:
        guard: Knows keys and sessions.
        wall_s: Seconds since the epoch.
    """

    guard: Guard
    wall_s: Callable[[], float] = time.time

    def form(self, request: Request, back: str = "/") -> Response:
        """GET /login."""
        if self.guard.visitor(request):
            return see_other(_own_path(back))
        return page("login.html", path="/login", wrong="", back=_own_path(back))

    async def enter(self, request: Request) -> Response:
        """POST /login: a key opens a session; a wrong one is counted."""
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            raise HTTPException(HTTPStatus.FORBIDDEN, "not from another site")
        form = await read_form(request)
        back = _own_path(form.get("back", ""))
        opened = self.guard.opened_by(form.get("key", "").strip().encode())
        if opened is None:
            wait_s = self.guard.wrong_key(request)
            status = HTTPStatus.TOO_MANY_REQUESTS if wait_s else HTTPStatus.UNAUTHORIZED
            wrong = f"Too many wrong keys. Wait {round(wait_s) + 1} s." if wait_s else "This key opens nothing."
            refused = page("login.html", status, path="/login", wrong=wrong, back=back)
            if wait_s:
                refused.headers["Retry-After"] = str(round(wait_s) + 1)
            return refused
        role, key = opened
        cookie = self.guard.sessions.open(role, key, form.get("who", ""), form.get("zone", ""), now_s=self.wall_s())
        if back == "/" and role is Role.VIEWER:
            back = "/ready"
        entered = see_other(back)
        entered.set_cookie(
            COOKIE, cookie, max_age=LASTS_S, httponly=True, samesite="strict", secure=_is_https(request), path="/"
        )
        return entered

    async def leave(self, request: Request) -> Response:
        """POST /logout: the browser drops the session."""
        left = see_other("/login")
        left.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_is_https(request), path="/")
        return left


def _own_path(back: str) -> str:
    """Return a path of this room; `/` for anything that could lead elsewhere."""
    own = back.startswith("/") and not back.startswith("//") and "\\" not in back and back.isprintable()
    return back if own else "/"


def _is_https(request: Request) -> bool:
    # A proxy in front says so. Who lies about it only hides the cookie from himself.
    return "https" in {request.url.scheme, request.headers.get("x-forwarded-proto", "")}


@cache
def _file(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


def static(name: str) -> Response:
    """GET /static/{name}: style, script and icon; there is nothing else, and no path to climb."""
    if name not in _TYPES:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such file")
    return Response(_file(name), headers={**HEADERS, "Cache-Control": _A_DAY}, media_type=_TYPES[name])


def make_login(guard: Guard) -> APIRouter:
    """Return the routes that ask for no session."""
    routes, login = APIRouter(route_class=PageRoute, include_in_schema=False), Login(guard)
    routes.get("/login")(login.form)
    routes.post("/login")(login.enter)
    routes.post("/logout")(login.leave)
    routes.get("/static/{name}")(static)
    return routes
