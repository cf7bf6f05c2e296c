"""Every page and every call of Flower behind one door: by a key, and for looking only.

Flower asks for its password handler by handler, and each act of its own looks at `read_only`. Here both are turned
round: each handler is wrapped, so what a next version adds is shut until somebody opens it here. Flower's own acts stay
shut but for a step's valve (`valve`), since they go past the ledger: a task sent again runs alone and shows SUCCESS.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from tornado.web import HTTPError, RequestHandler

from jitprov.desk.session import COOKIE, Role, Visitor
from jitprov.flower.doorkeeper import Doorkeeper, is_foreign

_LOOKING = {"GET", "HEAD", "OPTIONS"}


class Guarded(RequestHandler):
    """What every wrapped handler has first in its line of ancestors.

    Attributes:
        door: Knows visitors.
        looks_by_post: Whether its POST only looks.
        acts_as: Who may send it anything but a look.
        visitor: Who asks, once `prepare` has let them in.
    """

    door: Doorkeeper
    looks_by_post = False
    acts_as: frozenset[Role] = frozenset()
    visitor: Visitor

    def set_default_headers(self) -> None:
        """See `RequestHandler`: nobody frames a page with a button, and no cache keeps what only a key opens."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", "frame-ancestors 'none'; form-action 'self'; base-uri 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    async def prepare(self) -> None:
        """Let the visitor in, or answer 401, 403 or 429; then what Flower prepares."""
        headers = self.request.headers
        visitor = self.door.visitor(headers.get("Authorization", ""), self.get_cookie(COOKIE, "") or "")
        if visitor is None:
            raise self._refusal()
        looks = self.request.method in _LOOKING or (self.looks_by_post and self.request.method == "POST")
        if is_foreign(headers, host=self.request.host or "") and not self._is_a_link():
            raise HTTPError(HTTPStatus.FORBIDDEN, "not from another site")
        if not looks and visitor.role not in self.acts_as:
            why = "this key may look, not act" if self.acts_as else "nothing is changed from here"
            raise HTTPError(HTTPStatus.FORBIDDEN, why)
        self.visitor = visitor
        prepared = super().prepare()
        if prepared is not None:
            await prepared

    def get_current_user(self) -> Any:
        """See `RequestHandler`: whom `prepare` has let in."""
        visitor: Visitor | None = getattr(self, "visitor", None)
        return visitor.who if visitor else None

    def _is_a_link(self) -> bool:
        """Tell whether a foreign page merely links here; no page links to a call of the API."""
        navigates = self.request.headers.get("Sec-Fetch-Mode") == "navigate" and self.request.method == "GET"
        return navigates and "/api/" not in (self.request.path or "")

    def _refusal(self) -> HTTPError:
        given = self.request.headers.get("Authorization")
        raw = [(name.lower().encode(), value.encode()) for name, value in self.request.headers.get_all()]
        wait_s = self.door.wrong_key(self.request.remote_ip or "", raw) if given else 0.0
        if wait_s:
            return HTTPError(HTTPStatus.TOO_MANY_REQUESTS, f"Too many wrong keys. Wait {round(wait_s) + 1} s.")
        return HTTPError(HTTPStatus.UNAUTHORIZED)


def guarded(handler: type[RequestHandler], door: Doorkeeper, **more: object) -> type[RequestHandler]:
    """Return a handler behind the door.

    Args:
        handler: Flower's or ours.
        door: Knows visitors.
        **more: Attributes of `Guarded` that differ, and the handler's own.
    """
    return type(handler.__name__, (Guarded, handler), {"door": door, "__module__": __name__, **more})
