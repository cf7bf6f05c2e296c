"""Profiles read ahead: one call serves up to 100 agents that wait for theirs. No delay is added to collect them.

They lie sealed in the cache (docs/decisions/0013).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from jitprov.cache import Cache
from jitprov.domain.agent import Profile
from jitprov.domain.clock import Clock
from jitprov.genesys.client import USERS_PER_GET, GenesysClient
from jitprov.ledger import Ledger
from jitprov.sealing import SealBroken, Seals

_HOLD_S = 45.0


@dataclass(frozen=True, slots=True)
class _Read:
    """A profile, and the ledger's instant before it was asked for."""

    profile: Profile
    at: datetime


_READ: TypeAdapter[_Read] = TypeAdapter(_Read)


class ProfileReader:
    """Reads profiles for all workers at once.

    Args:
        genesys: Where profiles come from.
        cache: Where those read ahead wait for their agents.
        ledger: Tells who waits.
        clock: How to wait for another worker's read.
        seals: Seal what is kept; without a key nothing is read ahead.
        time_scale: API seconds per real second.
        keep_s: How long a profile read ahead may wait, in API seconds; older ones are read again.
    """

    def __init__(
        self,
        genesys: GenesysClient,
        cache: Cache,
        ledger: Ledger,
        clock: Clock,
        seals: Seals,
        *,
        time_scale: float = 1.0,
        keep_s: float = 300.0,
    ) -> None:
        self._genesys = genesys
        self._cache = cache
        self._ledger = ledger
        self._clock = clock
        self._seals = seals
        self._time_scale = time_scale
        self._keep_s = keep_s / time_scale

    def of(self, user_id: str, *, since: datetime | None = None) -> Profile:
        """Return the profile of an agent, at most `keep_s` old.

        Args:
            user_id: Whose.
            since: An event said then that something changed: what was read before that does not count.

        Raises:
            NotYetConsistent: The API does not know the user (yet).
            StepError: The read failed; for this agent only, the others read again when it is their turn.
        """
        kept = self._kept(user_id, since)
        if kept is None:
            with self._cache.single_flight("profiles", hold_s=_HOLD_S, wait=self._wait, wait_max_s=_HOLD_S) as waited:
                kept = self._kept(user_id, since) if waited else None
                if kept is None:
                    return self._read_with_others(user_id)
        return kept

    def read_ahead(self, user_ids: Sequence[str]) -> dict[str, Profile]:
        """Return the profiles that were read ahead for agents who wait; nothing is read. Others are absent."""
        found = {user_id: self._opened(user_id, sealed) for user_id, sealed in self._sealed(user_ids)}
        return {user_id: read.profile for user_id, read in found.items() if read is not None}

    def fresh(self, user_id: str) -> Profile:
        """Return the profile as it is now."""
        self._cache.drop(_key(user_id))
        return self._genesys.get_user(user_id)

    def _read_with_others(self, user_id: str) -> Profile:
        waiting = self._who_waits(user_id)
        at = self._ledger.ping()
        profiles = self._genesys.get_users([user_id, *waiting[: USERS_PER_GET - 1]])
        self._cache.put_many(
            {
                _key(other): self._seals.seal(_READ.dump_json(_Read(profile, at)), about=_key(other)).encode()
                for other, profile in profiles.items()
                if other != user_id
            },
            ttl_s=self._keep_s,
        )
        # The API may leave a user out of a list that it knows alone.
        return profiles.get(user_id) or self._genesys.get_user(user_id)

    def _who_waits(self, user_id: str) -> list[str]:
        if not self._seals:
            return []
        waiting = [other for other in self._ledger.waiting_users(limit=2 * USERS_PER_GET) if other != user_id]
        kept = self._cache.get_many([_key(other) for other in waiting])
        return [other for other, held in zip(waiting, kept, strict=True) if held is None]

    def _kept(self, user_id: str, since: datetime | None) -> Profile | None:
        read = self._opened(user_id, self._cache.get(_key(user_id)))
        return read.profile if read and (since is None or read.at >= since) else None

    def _sealed(self, user_ids: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
        return zip(user_ids, self._cache.get_many([_key(user_id) for user_id in user_ids]), strict=True)

    def _opened(self, user_id: str, sealed: bytes | None) -> _Read | None:
        try:
            return _READ.validate_json(self._seals.open(sealed, about=_key(user_id))) if sealed else None
        except (SealBroken, ValidationError):
            return None  # sealed with another key, or by another version: read anew

    def _wait(self, real_s: float) -> None:
        self._clock.wait(real_s * self._time_scale)


def _key(user_id: str) -> str:
    return f"profile:{user_id}"
