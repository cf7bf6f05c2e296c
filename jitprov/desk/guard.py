"""Who may enter the operator's room: whoever has the operator key. Without a key set, nobody."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Annotated

from fastapi import Header, HTTPException
from fastapi.requests import Request


class Guard:
    """Checks the operator key, in constant time.

    Reading takes the key as `X-Operator-Key`, as a bearer token, or as the password of Basic (for browsers). A
    change takes it only as `X-Operator-Key`, which a browser never adds by itself: a foreign page can't ride on it.
    """

    def __init__(self, operator_key: str) -> None:
        self._key = operator_key.encode()

    def may_read(
        self,
        x_operator_key: Annotated[str | None, Header()] = None,
        authorization: Annotated[str | None, Header()] = None,
    ) -> None:
        """Let a reader in, or answer 401."""
        given = x_operator_key or _from_authorization(authorization or "")
        if not self._matches(given):
            raise HTTPException(401, "operator key", {"WWW-Authenticate": 'Basic realm="jitprov", charset="UTF-8"'})

    def may_change(self, request: Request, x_operator_key: Annotated[str | None, Header()] = None) -> None:
        """Let a change through, or answer 401; 403 when a browser says that it comes from elsewhere."""
        if not self._matches(x_operator_key or ""):
            raise HTTPException(401, "operator key, as X-Operator-Key")
        if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            raise HTTPException(403, "not from another site")

    def _matches(self, given: str) -> bool:
        equal = hmac.compare_digest(given.encode(), self._key)
        return equal and len(self._key) > 0


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
