"""Who may hand in events: whoever sends the webhook key. Reads headers only; knows nothing of bodies.

EventBridge can send an API key header, Basic or a bearer token; the key may come as any of them. Two keys can be
active, so that it can be changed while events come in: EventBridge never repeats what was answered with 401.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Sequence

from jitprov.errors import ConfigurationError, DependencyDown
from jitprov.settings import KEY_CHARS_MIN

Headers = Iterable[tuple[bytes, bytes]]


class Doorkeeper:
    """Compares what a request brings with the active keys.

    Args:
        header: Name of the header that carries the key.
        keys: Returns the active keys; asked at each request, so that keys can change while running. Must be quick.
        keyless: True when all senders may sign instead, so that there need be no key.

    Raises:
        ConfigurationError: No key, or one that is too short.
    """

    def __init__(self, header: str, keys: Callable[[], Sequence[str]], *, keyless: bool = False) -> None:
        self._header = header.lower().encode("ascii")
        self._keys = keys
        self._keyless = keyless
        configured = keys()
        if not configured and not keyless:
            msg = f"no webhook key: set JITPROV_WEBHOOK_KEY to at least {KEY_CHARS_MIN} random characters"
            raise ConfigurationError(msg)
        if any(len(key) < KEY_CHARS_MIN for key in configured):
            msg = (
                f"a webhook key is shorter than {KEY_CHARS_MIN} characters: "
                "set JITPROV_WEBHOOK_KEY and JITPROV_WEBHOOK_KEY_NEXT to longer ones"
            )
            raise ConfigurationError(msg)

    def lets_in(self, headers: Headers) -> bool:
        """Tell whether the headers bring exactly one credential, and it is an active key.

        Every key is compared, so the time taken tells neither which one nor how much of it was right.

        Args:
            headers: Name in lower case and value, as they came.

        Raises:
            DependencyDown: No usable key is left, as when a key file is being written. A 401 would lose the event.
        """
        keys = [key.encode() for key in self._keys() if len(key) >= KEY_CHARS_MIN]
        if not keys and self._keyless:
            return False
        if not keys:
            msg = "no usable webhook key at the moment"
            raise DependencyDown(msg)
        offered = [credential for name, value in headers for credential in self._credentials(name, value)]
        # Two credentials are one too many: which of them counts would be anybody's guess.
        candidate = offered[0] if len(offered) == 1 else b""
        matches = [hmac.compare_digest(candidate, key) for key in keys]
        return any(matches)

    def sees_any(self, headers: Headers) -> bool:
        """Tell whether the headers bring any credential at all, right or wrong."""
        return any(name in {b"authorization", self._header} for name, _ in headers)

    def _credentials(self, name: bytes, value: bytes) -> list[bytes]:
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return [rest]
            if scheme.lower() == b"basic":
                return [_password(rest)]
            return [value if self._header == name else b""]
        return [value] if name == self._header else []


def _password(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
