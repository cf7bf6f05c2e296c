"""The meter in Redis, shared by all workers on all machines: one script and one round trip per slot.

    key (after the prefix)   type   unit                    lifetime                        who writes
    budget:{client}          hash   µs, see reserve.lua     for ever                        reserve, pause
    budget:{client}:slots    zset   slot's number → µs      an API minute after the last    reserve

`{client}` is a digest of the OAuth client's id, since the API counts per token: two integrations on one Redis do not
share an allowance. Never gives a slot on its own account: when Redis cannot be asked, nothing may be sent.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from jitprov import logs
from jitprov.budget.port import BudgetState, Permit, Refusal
from jitprov.budget.rate import MICROSECONDS, BudgetRate, to_us
from jitprov.errors import DependencyDown
from jitprov.settings import Settings

_HERE = Path(__file__).parent
_log = logging.getLogger(__name__)


class RedisBudget:
    """See `Budget`. Threads may share one; make it after a fork.

    Args:
        client: With decoded answers and a bounded timeout.
        key_prefix: Of every key.
        owner: Whose allowance it is: the OAuth client's id. Only a digest of it is stored.
        rate: How fast slots are given; the same for all that share the meter.
        monotonic_s: A steady count of real seconds, to tell how long an answer took.
    """

    def __init__(
        self,
        client: Redis,
        key_prefix: str,
        *,
        owner: str,
        rate: BudgetRate,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = client
        self._rate = rate
        self._monotonic_s = monotonic_s
        meter = f"{key_prefix}budget:{hashlib.sha256(owner.encode()).hexdigest()[:12]}"
        self._keys = (meter, f"{meter}:slots")
        self._made = ""
        self._reserve, self._pause, self._look = (
            client.register_script((_HERE / f"{name}.lua").read_text()) for name in ("reserve", "pause", "state")
        )

    @classmethod
    def connect(cls, url: str, key_prefix: str, *, owner: str, rate: BudgetRate, timeout_s: float = 2.0) -> Self:
        """Return a meter over its own connection pool; connects at the first use.

        Args:
            url: `redis://` or `rediss://`.
            key_prefix: Of every key.
            owner: The OAuth client's id.
            rate: How fast slots are given.
            timeout_s: Longest silence of the server. Each call is repeated once; a slot may be wasted by that,
                never given twice.
        """
        client = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            health_check_interval=30,
            retry=Retry(NoBackoff(), 1),
        )
        return cls(client, key_prefix, owner=owner, rate=rate)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the meter of this integration.

        Raises:
            ConfigurationError: Limit, headroom and burst leave no rate.
        """
        rate = BudgetRate.of(
            settings.api_limit_per_min,
            headroom=settings.api_headroom,
            burst=settings.api_burst,
            time_scale=settings.time_scale,
        )
        url = settings.redis_url.get_secret_value()
        return cls.connect(url, settings.key_prefix, owner=settings.client_id, rate=rate)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def reserve(self, *, wait_max_s: float) -> Permit | Refusal:
        """See `Budget.reserve`.

        The permit counts from the return of this call: how long the answer took is taken off `good_for_s`. When it
        took longer than that, the slot is given up and the answer is a refusal.
        """
        rate, wait_max_us = self._rate, to_us(wait_max_s)
        asked_s = self._monotonic_s()
        args: list[int | str] = [rate.interval_us, rate.burst_us, wait_max_us, rate.window_us, self._made]
        verdict, wait_us, made = self._ask(self._reserve, self._keys, args)
        took_s = self._monotonic_s() - asked_s
        if self._made and made != self._made:
            logs.event(_log, "meter_lost", level=logging.ERROR, held_s=wait_max_s)
        self._made = made
        if verdict == "paused":
            return Refusal(wait_us / MICROSECONDS, "paused")
        if verdict == "busy":
            return Refusal(rate.ask_again_us(wait_us=wait_us, wait_max_us=wait_max_us) / MICROSECONDS, "busy")
        # The slot was counted from some instant of the round trip: to be never early it is waited for from its end,
        # to be never late it is good for from its beginning.
        good_for_s = rate.good_for_us / MICROSECONDS - took_s
        if good_for_s <= 0:
            return Refusal(took_s, "busy")
        return Permit(wait_us / MICROSECONDS, good_for_s)

    def pause(self, *, for_s: float, reason: str) -> None:
        """See `Budget.pause`."""
        self._ask(self._pause, self._keys[:1], [to_us(for_s), reason])

    def state(self) -> BudgetState:
        """See `Budget.state`."""
        args = [self._rate.burst_us, self._rate.window_us]
        spent, total, next_us, paused_us, reason = self._ask(self._look, self._keys, args)
        return BudgetState(
            limit_per_min=self._rate.limit_per_min,
            spent_last_min=spent,
            spent_total=total,
            next_slot_s=next_us / MICROSECONDS,
            paused_s=paused_us / MICROSECONDS,
            pause_reason=reason,
        )

    def _ask(self, script: Callable[..., Any], keys: tuple[str, ...], args: Sequence[int | str]) -> Any:
        try:
            return script(keys=keys, args=args)
        except RedisError as error:
            msg = f"the meter's Redis does not answer ({type(error).__name__}). Check JITPROV_REDIS_URL and the server"
            raise DependencyDown(msg) from error
