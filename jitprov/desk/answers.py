"""Pages and refusals of the room: strict headers on each, and an error that a browser or a program can read.

Nothing is loaded from elsewhere, nothing runs but the room's own script, nobody may frame it, and no cache keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jitprov import __version__
from jitprov.desk import words
from jitprov.domain.provisioning import CORRIDOR, EVERY_STEP, State, Step, StepState
from jitprov.errors import DependencyDown

_HERE = Path(__file__).parent
_RETRY_AFTER_S = "2"

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_JSON_HEADERS = {name: value for name, value in HEADERS.items() if name != "Content-Security-Policy"}

_MEANINGS = {
    HTTPStatus.FORBIDDEN: ("Not with this key", ""),
    HTTPStatus.NOT_FOUND: ("Nothing is known by this id", ""),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Redis does not answer",
        (
            "The board has nothing to show without it. What was accepted is kept, and workers wait meanwhile. "
            "This page tries again by itself; `jitprov doctor` tells more."
        ),
    ),
}

_pages = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.filters.update(number=words.number, span=words.span, agents=words.agents)


def _asset(name: str) -> str:
    """Return the address of a file of the room; another one for other contents, so that a browser may keep it."""
    return f"/static/{name}?{sha256((_HERE / 'static' / name).read_bytes()).hexdigest()[:8]}"


_pages.globals.update(
    asset=cache(_asset),
    version=__version__,
    State=State,
    Step=Step,
    StepState=StepState,
    CORRIDOR=CORRIDOR,
    EVERY_STEP=EVERY_STEP,
    STATES=words.STATES,
    STEPS=words.STEPS,
    STEP_STATES=words.STEP_STATES,
    name_of=words.name_of,
    waits_for=words.waits_for,
)


def page(template: str, status: int = HTTPStatus.OK, **shown: Any) -> HTMLResponse:
    """Return a page; what it shows is escaped."""
    shown = {"visitor": None, "path": "/", "refresh": False} | shown
    return HTMLResponse(_pages.get_template(template).render(shown), status, dict(HEADERS))


def see_other(path: str) -> RedirectResponse:
    """Send a browser to a page of the room after a form."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, dict(HEADERS))


def _on_error(answer: Callable[[Request, int, str, Mapping[str, str]], Response], route: APIRoute) -> Any:
    handler: Callable[[Request], Coroutine[Any, Any, Response]] = APIRoute.get_route_handler(route)

    async def handled(request: Request) -> Response:
        try:
            return await handler(request)
        except HTTPException as error:
            return answer(request, error.status_code, str(error.detail), error.headers or {})
        except RequestValidationError as error:
            wrong = ", ".join(str(item["loc"][-1]) for item in error.errors())
            return answer(request, HTTPStatus.BAD_REQUEST, f"not understood: {wrong}", {})
        except DependencyDown as error:
            return answer(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": _RETRY_AFTER_S})

    return handled


class PageRoute(APIRoute):
    """A route whose errors are pages; a stranger is sent to the login and comes back from there."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        return _on_error(_error_page, self)  # type: ignore[no-any-return]


class JsonRoute(APIRoute):
    """A route whose errors are JSON; its answers name people, so no cache keeps them either."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        handler = _on_error(_error_json, self)

        async def handled(request: Request) -> Response:
            answer: Response = await handler(request)
            for name, value in _JSON_HEADERS.items():
                answer.headers.setdefault(name, value)
            return answer

        return handled


def _error_page(request: Request, status: int, detail: str, headers: Mapping[str, str]) -> Response:
    if status == HTTPStatus.UNAUTHORIZED:
        return _to_login(request)
    title, text = _MEANINGS.get(HTTPStatus(status), (HTTPStatus(status).phrase, ""))
    shown = page(
        "error.html",
        status,
        title=title,
        text=text,
        detail="" if status == HTTPStatus.SERVICE_UNAVAILABLE else detail,
        path=request.url.path,
        refresh=status == HTTPStatus.SERVICE_UNAVAILABLE,
    )
    shown.headers.update(headers)
    return shown


def _to_login(request: Request) -> Response:
    # A link in a mail or chat comes without the cookie, which is for our own pages alone: come once more, from here.
    if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
        return page("again.html", path=request.url.path)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return see_other(f"/login?{urlencode({'back': back})}" if request.method == "GET" and back != "/" else "/login")


def _error_json(_request: Request, status: int, detail: str, headers: Mapping[str, str]) -> Response:
    more = {"WWW-Authenticate": 'Bearer realm="jitprov"'} if status == HTTPStatus.UNAUTHORIZED else {}
    return JSONResponse({"detail": detail}, status, {**more, **headers})
