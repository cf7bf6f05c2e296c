"""Signed sessions of the operator's room: who asks, without a store and without a key in the browser.

    cookie   base64url of JSON {role, who, zone, until} · "." · HMAC-SHA256 under a key derived from the role's key

A session ends when its time is over, or when the key that opened it is changed. It cannot be taken back singly: the
cookie is dropped from the browser, and twelve hours bound what a stolen one is worth.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

COOKIE = "jitprov_session"
LASTS_S = 12 * 3600
_WHO_CHARS_MAX = 60


class Role(StrEnum):
    """What a key opens."""

    OPERATOR = "operator"  # sees and acts
    VIEWER = "viewer"  # sees


# The active keys of each role.
Keys = Mapping[Role, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks.

    Attributes:
        role: What the key opens.
        who: The name given at the login, for the log of acts; or whose key it was.
        zone: Time zone of the browser, an IANA name; empty when it did not say.
        csrf: What a form of this session must bring along; empty for a key in a header, which no foreign page can send.
    """

    role: Role
    who: str
    zone: str = ""
    csrf: str = ""

    @property
    def may_act(self) -> bool:
        """True for an operator."""
        return self.role is Role.OPERATOR


class Sessions:
    """Opens and reads sessions.

    Args:
        keys: Returns the active keys of each role, none of them empty; asked each time.
    """

    def __init__(self, keys: Callable[[], Keys]) -> None:
        self._keys = keys

    def open(self, role: Role, key: str, who: str, zone: str, *, now_s: float) -> str:
        """Return the cookie of a new session.

        Args:
            role: What the key opens.
            key: By which it was opened, and with which it ends.
            who: As typed; cut to sixty characters, control characters left out.
            zone: As the browser says.
            now_s: Seconds since the epoch.
        """
        name = "".join(letter for letter in who if letter.isprintable()).strip()[:_WHO_CHARS_MAX]
        content = {"role": role, "who": name or str(role), "zone": zone[:_WHO_CHARS_MAX], "until": int(now_s) + LASTS_S}
        told = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return f"{told}.{_mac(key, told)}"

    def read(self, cookie: str, *, now_s: float) -> Visitor | None:
        """Return whose session it is; None when it is none, forged, over, or of a key that is no longer active."""
        told, _, mac = cookie.rpartition(".")
        try:
            content = json.loads(base64.urlsafe_b64decode(told))
            role = Role(content["role"])
            until_s, who, zone = float(content["until"]), str(content["who"]), str(content["zone"])
        except (binascii.Error, ValueError, LookupError, TypeError):
            return None
        active = self._keys().get(role, ())
        opened_by = [key for key in active if hmac.compare_digest(_mac(key, told).encode(), mac.encode())]
        if not opened_by or now_s >= until_s:
            return None
        return Visitor(role, who, zone, _mac(opened_by[0], f"form {cookie}"))


def _mac(key: str, text: str) -> str:
    derived = hmac.new(key.encode(), b"jitprov session", sha256).digest()
    return hmac.new(derived, text.encode(), sha256).hexdigest()
