"""Signatures of Standard Webhooks 1.0.0, for senders that sign: HMAC-SHA256 over `{id}.{timestamp}.{body}`.

EventBridge cannot sign; a relay of one's own can. Nothing is set by default, and then nothing here is looked at.

    webhook-id          no `.`, which would let one signature fit two texts
    webhook-timestamp   seconds, at most `TOLERANCE_S` from now, both ways
    webhook-signature   `v1,<base64>`, several apart by spaces; other versions are passed over

A delivery sent again within the tolerance is found by its event's id, as each is: the ledger keeps ids for weeks.

Source: standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from jitprov.errors import ConfigurationError

TOLERANCE_S = 300
_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
_ID = re.compile(rb"[!-\-/-~]{1,256}")  # visible ASCII without a dot
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_HEADERS = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signed request says of itself; to be held against its body.

    Attributes:
        signed: What stands before the body in the signed text.
        signatures: The `v1` ones, as they came.
    """

    signed: bytes
    signatures: tuple[bytes, ...]


class Signatures:
    """Checks signed deliveries.

    Args:
        secrets: Returns the active secrets (`whsec_…`), none when senders do not sign; asked at each request.

    Raises:
        ConfigurationError: A secret is none.
    """

    def __init__(self, secrets: Callable[[], Sequence[str]]) -> None:
        self._secrets = secrets
        for secret in secrets():
            _decode(secret)

    def wanted(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Tell whether a request claims to be signed and somebody may sign."""
        return bool(self._secrets()) and any(name == b"webhook-signature" for name, _ in headers)

    def claim(self, headers: Iterable[tuple[bytes, bytes]], now_s: float) -> Claim | None:
        """Return what a request claims, before its body is read; None when it cannot be right, whatever the body.

        Args:
            headers: Name in lower case and value, as they came.
            now_s: Since the epoch.
        """
        found = [[value for name, value in headers if name == wanted] for wanted in _HEADERS]
        if any(len(values) != 1 for values in found):
            return None
        (message_id,), (timestamp,), (listed,) = found
        if not _ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
            return None
        if abs(now_s - int(timestamp)) > TOLERANCE_S:
            return None
        signatures = tuple(each[3:] for each in listed.split(b" ") if each.startswith(b"v1,"))
        return Claim(message_id + b"." + timestamp + b".", signatures)

    def holds(self, claim: Claim, raw: bytes) -> bool:
        """Tell whether one of the active secrets made one of the signatures over these very bytes.

        Every secret is held against every signature, so the time taken does not tell which came close.
        """
        made = [_sign(secret, claim.signed + raw) for secret in map(_usable, self._secrets()) if secret]
        matches = [hmac.compare_digest(mine, theirs) for mine in made for theirs in claim.signatures]
        return any(matches)


def _sign(secret: bytes, text: bytes) -> bytes:
    return base64.b64encode(hmac.new(secret, text, sha256).digest())


def _usable(secret: str) -> bytes:
    """Return a secret's bytes; none while its file is being written."""
    try:
        return _decode(secret)
    except ConfigurationError:
        return b""


def _decode(secret: str) -> bytes:
    remedy = "set JITPROV_WEBHOOK_SIGNING_SECRET (and _NEXT) to whsec_ and the base64 of 24 to 64 random bytes"
    try:
        raw = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"a signing secret is not base64: {remedy}") from None
    if len(raw) not in _SECRET_BYTES:
        raise ConfigurationError(f"a signing secret has not 24 to 64 bytes: {remedy}")
    return raw
