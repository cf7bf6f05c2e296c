"""Who may enter the operator's room: whoever has one of its keys, or a session that one of them opened."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from fastapi import HTTPException
from fastapi.requests import Request

from jitprov.desk.session import COOKIE, Role, Sessions, Visitor
from jitprov.strangers import Strangers, source_of

_FORM_BYTES_MAX = 16_384
_REASON_CHARS_MAX = 200
_OWN = {"same-origin", "none"}


class Guard:
    """Knows visitors by their key, in constant time, or by their session.

    Reading takes a key as `X-Operator-Key`, as a bearer token, or as the password of Basic. Acting takes it only as
    `X-Operator-Key`, which a browser never adds by itself. A session acts with what only its own forms know, and only
    when the browser does not say that another site asked.

    Args:
        keys: The key of each role; an empty one lets nobody in.
        wall_s: Seconds since the epoch.
        forwarded_header: See `strangers.source_of`.
    """

    def __init__(
        self, keys: Mapping[Role, str], *, wall_s: Callable[[], float] = time.time, forwarded_header: bytes = b""
    ) -> None:
        self._keys = {role: key.encode() for role, key in keys.items()}
        self._wall_s = wall_s
        self._forwarded_header = forwarded_header
        self._strangers = Strangers(at_once=5, every_s=12.0)
        self.sessions = Sessions(keys)

    def role_of(self, given: str) -> Role | None:
        """Return what a key opens; all keys are compared, so that the time tells nothing."""
        matching = [role for role, key in self._keys.items() if hmac.compare_digest(given.encode(), key) and key]
        return matching[0] if matching else None

    def visitor(self, request: Request) -> Visitor | None:
        """Return who asks, for reading; None for a stranger."""
        given = request.headers.get("x-operator-key") or _from_authorization(request.headers.get("authorization", ""))
        if given:
            role = self.role_of(given)
            return Visitor(role, _named(request) or f"{role} key") if role else None
        cookie = request.cookies.get(COOKIE, "")
        return self.sessions.read(cookie, now_s=self._wall_s()) if cookie else None

    def may_read(self, request: Request) -> Visitor:
        """Let a visitor in, or answer 401."""
        visitor = self.visitor(request)
        if visitor is None:
            raise HTTPException(401, "operator key")
        request.state.visitor = visitor
        return visitor

    async def may_act(self, request: Request) -> Visitor:
        """Let an act through: 401 for a stranger, 403 for one who may only look, and for what another site sent."""
        key = request.headers.get("x-operator-key")
        visitor = self.may_read(request)
        if _is_foreign(request):
            raise HTTPException(403, "not from another site")
        form = {} if key else await read_form(request)
        request.state.form = form
        if not key:
            if not visitor.csrf:
                raise HTTPException(401, "operator key, as X-Operator-Key")
            if not hmac.compare_digest(form.get("csrf", "").encode(), visitor.csrf.encode()):
                raise HTTPException(403, "this form is of an earlier session: load the page again")
        if not visitor.may_act:
            raise HTTPException(403, "this key may look, not act")
        return visitor

    def wrong_key(self, request: Request) -> float:
        """Count a wrong key at the login; return the seconds that its source must wait, 0.0 within the allowance."""
        return self._strangers.met(self._source(request), time.monotonic())

    def _source(self, request: Request) -> str:
        peer = request.client.host if request.client else ""
        return source_of(peer, request.scope["headers"], self._forwarded_header)


def _is_foreign(request: Request) -> bool:
    """Tell whether a browser says that another site sent it; one that names no site names the page's origin."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None and origin is not None:
        return urlsplit(origin).netloc != request.headers.get("host")
    return (site or "none") not in _OWN


def visitor_of(request: Request) -> Visitor:
    """Return whom the guard has let in."""
    visitor: Visitor = request.state.visitor
    return visitor


def reason_of(request: Request) -> str:
    """Return why an act is done, as its form says."""
    form: dict[str, str] = request.state.form
    return form.get("why", "").strip()[:_REASON_CHARS_MAX]


def field_of(name: str) -> Callable[[Request], str]:
    """Return what reads one field of an act's form; empty when it is not there."""

    def field(request: Request) -> str:
        form: dict[str, str] = request.state.form
        return form.get(name, "").strip()

    return field


async def read_form(request: Request) -> dict[str, str]:
    """Return a posted form; 413 above 16 KiB. The first of two fields with one name counts."""
    if int(request.headers.get("content-length") or 0) > _FORM_BYTES_MAX:
        raise HTTPException(413, "a form of at most 16 KiB")
    body = await request.body()
    if len(body) > _FORM_BYTES_MAX:
        raise HTTPException(413, "a form of at most 16 KiB")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise HTTPException(400, "not a form") from None
    return dict(reversed(pairs))


def _named(request: Request) -> str:
    """Return who says to ask, with a key in a header: for the log of acts."""
    said = request.headers.get("x-operator-name", "")
    return "".join(letter for letter in said if letter.isprintable())[:60]


def _from_authorization(value: str) -> str:
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
