"""Who may enter the operator's room: whoever has one of its keys, or a session that one of them opened."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl, urlsplit

from fastapi import HTTPException
from fastapi.requests import Request

from jitprov.desk.session import COOKIE, Keys, Role, Sessions, Visitor
from jitprov.errors import ConfigurationError
from jitprov.settings import KEY_CHARS_MIN
from jitprov.strangers import Strangers, source_of

_FORM_BYTES_MAX = 16_384
_REASON_CHARS_MAX = 200
_OWN = {"same-origin", "none"}
_KEY, _AUTHORIZATION = b"x-operator-key", b"authorization"


class Guard:
    """Knows visitors by their key, in constant time, or by their session.

    Reading takes a key as `X-Operator-Key`, as a bearer token, or as the password of Basic. Acting takes it only as
    `X-Operator-Key`, which a browser never adds by itself. A session acts with what only its own forms know, and only
    when the browser does not say that another site asked.

    `X-Operator-Key` counts alone where it is given, since a proxy in front may use `Authorization` for its own ends;
    a header that comes twice is one too many. Whoever offers a key is held to it: a wrong one is not made good by a
    session. Wrong keys are slowed down per source; a right one always enters.

    Args:
        keys: Returns the active keys of each role, so that they can change while running; must be quick. Empty ones,
            and what is too short to be one, as in a file that is being written, let nobody in.
        wall_s: Seconds since the epoch.
        forwarded_header: See `strangers.source_of`.

    Raises:
        ConfigurationError: A key is too short.
    """

    def __init__(
        self, keys: Callable[[], Keys], *, wall_s: Callable[[], float] = time.time, forwarded_header: str = ""
    ) -> None:
        for role, configured in keys().items():
            if any(0 < len(key) < KEY_CHARS_MIN for key in configured):
                msg = f"JITPROV_{role.upper()}_KEY: shorter than {KEY_CHARS_MIN} characters. Make it of random ones"
                raise ConfigurationError(msg)
        self._configured = keys
        self._wall_s = wall_s
        self._forwarded_header = forwarded_header.lower().encode()
        self._strangers = Strangers(at_once=5, every_s=12.0)
        self.sessions = Sessions(self.keys)

    def keys(self) -> Keys:
        """Return the active keys of each role, without those that are too short."""
        return {
            role: [key for key in active if len(key) >= KEY_CHARS_MIN] for role, active in self._configured().items()
        }

    def opened_by(self, given: bytes) -> tuple[Role, str] | None:
        """Return what a key opens, and the key; all keys are compared, so that the time tells nothing."""
        matching = [
            (role, key)
            for role, active in self.keys().items()
            for key in active
            if hmac.compare_digest(given, key.encode())
        ]
        return matching[0] if matching else None

    def visitor(self, request: Request) -> Visitor | None:
        """Return who asks, for reading; None for a stranger."""
        if offered := _offered(request.scope["headers"]):
            opened = self.opened_by(offered[0]) if len(offered) == 1 else None
            return Visitor(opened[0], _named(request) or f"{opened[0]} key") if opened else None
        cookie = request.cookies.get(COOKIE, "")
        return self.sessions.read(cookie, now_s=self._wall_s()) if cookie else None

    def may_read(self, request: Request) -> Visitor:
        """Let a visitor in, or answer 401; 429 to a source that brings one wrong key after the other."""
        visitor = self.visitor(request)
        if visitor is None:
            wait_s = self.wrong_key(request) if _offered(request.scope["headers"]) else 0.0
            if wait_s:
                raise HTTPException(429, "too many wrong keys", {"Retry-After": str(round(wait_s) + 1)})
            raise HTTPException(401, "operator key")
        request.state.visitor = visitor
        return visitor

    def may_open(self, request: Request) -> Visitor:
        """Let an operator see what a viewer need not; 403 to the viewer."""
        visitor = self.may_read(request)
        if not visitor.may_act:
            raise HTTPException(403, "this key may not open what was refused")
        return visitor

    async def may_act(self, request: Request) -> Visitor:
        """Let an act through: 401 for a stranger, 403 for one who may only look, and for what another site sent."""
        visitor = self.may_read(request)
        key = any(name == _KEY for name, _ in request.scope["headers"])
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
        """Count a wrong key; return the seconds that its source must wait, 0.0 within the allowance."""
        return self._strangers.met(self._source(request), time.monotonic())

    def _source(self, request: Request) -> str:
        peer = request.client.host if request.client else ""
        return source_of(peer, request.scope["headers"], self._forwarded_header)


def _is_foreign(request: Request) -> bool:
    """Tell whether a browser says that another site sent it; one that names no site names the page's origin."""
    sites, origin = request.headers.getlist("sec-fetch-site"), request.headers.get("origin")
    if not sites and origin is not None:
        return urlsplit(origin).netloc != request.headers.get("host")
    return not _OWN.issuperset(sites)


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
    said = request.headers.get("x-operator-name", "").encode("latin-1").decode(errors="replace")
    return "".join(letter for letter in said if letter.isprintable())[:60]


def _offered(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Return the keys that headers bring, as bytes: an empty one, or one that cannot be read, was offered as well."""
    given = list(headers)
    own = [value for name, value in given if name == _KEY]
    return own or [_from_authorization(value) for name, value in given if name == _AUTHORIZATION]


def _from_authorization(value: bytes) -> bytes:
    scheme, _, rest = value.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(rest, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
