"""Who may enter Flower: whoever has one of the board's keys, or a session that the board has opened with one.

Basic authentication takes any user name, which is whose name stands in the log of acts, and a key as the password.
A browser brings the board's session along to every port of its host, so a link from the board leads in unasked; its
lifetime and its end are the board's (`desk.session`).
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from jitprov.desk.guard import Guard
from jitprov.desk.session import Keys, Role, Visitor
from jitprov.errors import ConfigurationError
from jitprov.settings import Settings
from jitprov.strangers import Strangers, source_of

_WHO_CHARS_MAX = 60
# Sec-Fetch-Site of our own pages, and of an address that was typed.
_OWN = {"same-origin", "none"}


def keys_of(settings: Settings) -> Keys:
    """Return the active keys of each role.

    Raises:
        ConfigurationError: There is no operator key, without which Flower would be shut for everybody.
    """
    if not settings.operator_key.get_secret_value():
        raise ConfigurationError(
            "flower: no key to open it with. Set JITPROV_OPERATOR_KEY (or the file jitprov_operator_key) to the key "
            "that opens the board"
        )
    return {
        Role.OPERATOR: [settings.operator_key.get_secret_value()],
        Role.VIEWER: [settings.viewer_key.get_secret_value()],
    }


class Doorkeeper:
    """Knows visitors of Flower, as the board's guard does.

    Args:
        keys: See `Guard`: they may change while running.
        forwarded_header: See `strangers.source_of`.
        wall_s: Seconds since the epoch.
        monotonic_s: Seconds that only grow.

    Raises:
        ConfigurationError: A key is too short to be one.
    """

    def __init__(
        self,
        keys: Callable[[], Keys],
        *,
        forwarded_header: str = "",
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = Guard(keys, wall_s=wall_s)
        self._forwarded_header = forwarded_header.lower().encode()
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._strangers = Strangers(at_once=5, every_s=12.0)

    def key_of(self, role: Role) -> str:
        """Return the first active key of a role; empty when it has none."""
        return next(iter(self._guard.keys().get(role, ())), "")

    def visitor(self, authorization: str, cookie: str) -> Visitor | None:
        """Return who asks; None for a stranger. Whoever offers a key is held to it: a session does not make it good.

        Args:
            authorization: The header `Authorization`, empty without one.
            cookie: The board's cookie, empty without one.
        """
        if authorization:
            who, key = _basic(authorization)
            opened = self._guard.opened_by(key.encode())
            return Visitor(opened[0], who or f"{opened[0]} key") if opened else None
        return self._guard.sessions.read(cookie, now_s=self._wall_s()) if cookie else None

    def wrong_key(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> float:
        """Count a wrong key; return the seconds that its source must wait, 0.0 within the allowance."""
        return self._strangers.met(source_of(peer, headers, self._forwarded_header), self._monotonic_s())


def is_foreign(headers: Mapping[str, str], *, host: str) -> bool:
    """Tell whether a browser says that another site sent a request.

    Args:
        headers: Of the request; names in any case when the mapping reads them so.
        host: The request's own host and port.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is None and origin is not None:
        return urlsplit(origin).netloc != host
    return (site or "none") not in _OWN


def _basic(authorization: str) -> tuple[str, str]:
    """Return name and password of Basic; two empty words for anything else."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        who, _, key = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return "".join(letter for letter in who if letter.isprintable()).strip()[:_WHO_CHARS_MAX], key
