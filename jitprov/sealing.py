"""Personal data at rest: what Redis, its files and its backups may not tell. Knows keys and bytes, nothing of agents.

    sealed text   base64url of: version 1 · key's name, 4 bytes · nonce, 12 bytes · AES-256-GCM ciphertext and tag
    digest        32 hex digits of HMAC-SHA256

A sealed text is bound to what it is about, so that it cannot be moved to another record. Keys are derived from the
operator's secret by HKDF, one for each purpose (docs/decisions/0013).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jitprov.errors import ConfigurationError

_VERSION = b"\x01"
_NAME_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + _NAME_BYTES + _NONCE_BYTES
_DIGEST_CHARS = 32


class SealBroken(Exception):  # noqa: N818  says what it is
    """A sealed text cannot be opened: another key's, somebody else's, or damaged."""


@dataclass(frozen=True, slots=True)
class _Key:
    """One secret's keys."""

    name: bytes
    cipher: AESGCM
    for_digests: bytes

    @classmethod
    def of(cls, secret: str) -> _Key:
        def derived(purpose: bytes, length: int) -> bytes:
            return HKDF(SHA256(), length, salt=None, info=b"jitprov " + purpose).derive(secret.encode())

        return cls(derived(b"key's name", _NAME_BYTES), AESGCM(derived(b"data at rest", 32)), derived(b"digests", 32))


class Seals:
    """Seals and opens; threads may share one.

    Args:
        secrets: The first seals, all open; none: this process seals and opens nothing.
    """

    def __init__(self, *secrets: str) -> None:
        self._keys = tuple(_Key.of(secret) for secret in secrets if secret)

    def __bool__(self) -> bool:
        """True when there is a key."""
        return bool(self._keys)

    @property
    def rotating(self) -> bool:
        """True while another key than the one that seals opens, too."""
        return len(self._keys) > 1

    def seal(self, plain: bytes, *, about: str) -> str:
        """Return a sealed text; another one each time.

        Args:
            plain: What is to be kept.
            about: What it belongs to; the same must be named to open it.

        Raises:
            ConfigurationError: There is no key.
        """
        if not self._keys:
            raise ConfigurationError("no key for personal data: set JITPROV_DATA_KEY, 32 random characters or more")
        key = self._keys[0]
        nonce = os.urandom(_NONCE_BYTES)
        head = _VERSION + key.name
        return base64.urlsafe_b64encode(head + nonce + key.cipher.encrypt(nonce, plain, head + about.encode())).decode()

    def open(self, sealed: str | bytes, *, about: str) -> bytes:
        """Return what was sealed.

        Raises:
            SealBroken: None of the keys opens it.
        """
        try:
            raw = base64.urlsafe_b64decode(sealed)
        except (binascii.Error, ValueError):
            raise SealBroken("it is no sealed text") from None
        named = _HEAD_BYTES - _NONCE_BYTES
        head, nonce, rest = raw[:named], raw[named:_HEAD_BYTES], raw[_HEAD_BYTES:]
        for key in self._keys:
            if head == _VERSION + key.name:
                try:
                    return key.cipher.decrypt(nonce, rest, head + about.encode())
                except (InvalidTag, ValueError):
                    raise SealBroken("it is damaged, or about something else") from None
        raise SealBroken("it was sealed with a key that is neither JITPROV_DATA_KEY nor JITPROV_DATA_KEY_OLD")

    def seals_like(self, sealed: str) -> bool:
        """Tell whether a sealed text is of the key that seals, and not of one that only opens."""
        return base64.urlsafe_b64decode(sealed)[1 : 1 + _NAME_BYTES] == self._keys[0].name

    def digests(self, text: str) -> tuple[str, ...]:
        """Return what a text is looked up by: one digest for each key, the sealing key's first."""
        return tuple(hmac.new(key.for_digests, text.encode(), sha256).hexdigest()[:_DIGEST_CHARS] for key in self._keys)
