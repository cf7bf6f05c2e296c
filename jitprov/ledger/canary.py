"""One sealed word in the store: whoever cannot open it has another key for personal data than everybody else.

A process with a wrong key would do harm twice: it leaves waiting whatever others found, and seals what it finds so that
nobody else can read it. So it asks for the word before it begins (docs/decisions/0013).
"""

from __future__ import annotations

from typing import cast

from redis import Redis

from jitprov.errors import ConfigurationError
from jitprov.ledger.port import Keep
from jitprov.sealing import SealBroken, Seals

_WORD = b"the key for personal data"
_ABOUT = "canary"
_FIELD = "word"


class Canary:
    """The word.

    Args:
        client: With decoded answers.
        key: Where it lies.
    """

    def __init__(self, client: Redis, key: str) -> None:
        self._redis = client
        self._key = key

    def match(self, seals: Seals, *, keep: Keep = "the first") -> None:
        """See `Ledger.match_key`."""
        if not seals:
            return
        own = seals.seal(_WORD, about=_ABOUT)
        if keep == "whatever was":
            self._redis.hset(self._key, _FIELD, own)
            return
        held = cast("str | None", self._redis.hget(self._key, _FIELD))
        if held is None and keep == "the first":
            self._redis.hsetnx(self._key, _FIELD, own)  # of two who begin at once one is the first
            held = cast("str | None", self._redis.hget(self._key, _FIELD))
        if held is None:
            return
        try:
            seals.open(held, about=_ABOUT)
        except SealBroken:
            raise ConfigurationError(
                "JITPROV_DATA_KEY: what lies sealed in this ledger is another key's. Give this process the key of the "
                "other workers, receivers and operators; after a rotation the one before as JITPROV_DATA_KEY_OLD. If "
                "the key is lost for good: jitprov doctor --accept-data-key"
            ) from None
        if keep == "the first" and not seals.seals_like(held):
            self._redis.hset(self._key, _FIELD, own)
