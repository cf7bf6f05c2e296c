"""Ids and drawn numbers that are the same in every run with the same seed.

Hands out nothing that depends on the machine or the time of day.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections import Counter


class Identifiers:
    """The one source of ids of a sandbox."""

    def __init__(self, seed: int) -> None:
        """Begin every series anew.

        Args:
            seed: Decides all that follows.
        """
        self._namespace = uuid.uuid5(uuid.NAMESPACE_OID, f"sandbox-{seed}")
        self._seed = seed
        self._made: Counter[str] = Counter()
        self._correlation = random.Random(f"correlation-{seed}")  # noqa: S311  repeatable on purpose

    def new(self, kind: str) -> str:
        """Return the next id of a kind, a UUID string."""
        self._made[kind] += 1
        return str(uuid.uuid5(self._namespace, f"{kind}:{self._made[kind]}"))

    def correlation_id(self) -> str:
        """Return a fresh id for one request."""
        return str(uuid.UUID(int=self._correlation.getrandbits(128), version=4))

    def drawn(self, kind: str) -> random.Random:
        """Return a random source of its own for one purpose, seeded by the sandbox's seed and that purpose."""
        return random.Random(f"{kind}-{self._seed}")  # noqa: S311  repeatable on purpose


def token_hash(token: str) -> str:
    """Return the short name under which a token appears in journal and oracle; the token itself never does."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]
