"""The meter in Redis, shared by all workers on all machines: one script and one round trip per slot.

    key (after the prefix)          type   unit                    lifetime                        who writes
    budget:{client}                 hash   see meter.lua         for ever                        people, outcome
    budget:{client}:{lane}          hash   µs, see meter.lua     for ever                        reserve, confirm, pause
    budget:{client}:{lane}:slots    zset   slot's number → µs    an API minute after the last    reserve, confirm

`{client}` is a digest of the OAuth client's id: two integrations on one Redis do not share an allowance. `{lane}` is an
access token of it, from 0, since the API counts per token. Never gives a slot on its own account: when Redis cannot be
asked, nothing may be sent. What people chose lies here too, so it holds across restarts of everything but an emptied
Redis.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from jitprov import logs
from jitprov.budget.circuit import DOUBLINGS_MAX, LOOK_US, PROBE_US, first_open_us
from jitprov.budget.port import ASK_AHEAD_S, ENDLESS_S, BudgetState, LaneState, Permit, Reading, Refusal
from jitprov.budget.rate import MICROSECONDS, BudgetRate, to_us
from jitprov.budget.words import HOLD_LOOK_US, checked_rate, heard_by_the_meter, summed_up
from jitprov.errors import DependencyDown
from jitprov.redis_client import RedisClient
from jitprov.settings import Settings

_HERE = Path(__file__).parent
_SCRIPTS = ("reserve", "confirm", "pause", "outcome", "people", "state")
_SWITCH_FIELDS, _LANE_FIELDS = 8, 7
_NOTHING_HEARD = ("",) * 6
_log = logging.getLogger(__name__)

Words = Sequence[int | float | str]


class RedisBudget:
    """See `Budget`. Threads may share one; make it after a fork.

    Args:
        client: With decoded answers and a bounded timeout.
        key_prefix: Of every key.
        owner: Whose allowance it is: the OAuth client's id. Only a digest of it is stored.
        rate: How fast slots are given, per lane; the same for all that share the meter.
        lanes: Access tokens; the same for all that share the meter.
        failures_max: Failures in a row that open the circuit.
        monotonic_s: A steady count of real seconds, to tell how long an answer took.
    """

    def __init__(
        self,
        client: Redis,
        key_prefix: str,
        *,
        owner: str,
        rate: BudgetRate,
        lanes: int = 1,
        failures_max: int = 10,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = client
        self._rate = rate
        self._failures_max = failures_max
        self._monotonic_s = monotonic_s
        self._switch = f"{key_prefix}budget:{hashlib.sha256(owner.encode()).hexdigest()[:12]}"
        meters = [f"{self._switch}:{lane}" for lane in range(lanes)]
        self._lanes = [(meter, f"{meter}:slots") for meter in meters]
        self._made = [""] * lanes
        self._lock = threading.Lock()
        self._unread: dict[int, tuple[int, ...]] = {}
        shared = (_HERE / "meter.lua").read_text()
        self._scripts = {
            name: client.register_script(shared + (_HERE / f"{name}.lua").read_text()) for name in _SCRIPTS
        }

    @classmethod
    def connect(cls, url: str, key_prefix: str, *, timeout_s: float = 2.0, **meter: Any) -> Self:
        """Return a meter over its own connection pool; connects at the first use.

        Args:
            url: `redis://` or `rediss://`.
            key_prefix: Of every key.
            timeout_s: Longest silence of the server. Each call is repeated once; a slot may be wasted by that,
                never given twice.
            **meter: See the class.
        """
        client = RedisClient.connect(url, timeout_s=timeout_s)
        return cls(client, key_prefix, **meter)

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
        return cls.connect(
            settings.redis_url.get_secret_value(),
            settings.key_prefix,
            owner=settings.client_id,
            rate=rate,
            lanes=settings.api_tokens,
            failures_max=settings.breaker_failures,
        )

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def reserve(self, *, wait_max_s: float, lanes: Sequence[int] | None = None) -> Permit | Refusal:
        """See `Budget.reserve`.

        The permit counts from the return of this call: how long the answer took is taken off `good_for_s`. When it
        took longer than that, the slot is given up and the answer is a refusal.
        """
        rate, wait_max_us = self._rate, to_us(wait_max_s)
        chosen = range(len(self._lanes)) if lanes is None else lanes
        args: list[int | float | str] = [
            *(wait_max_us, rate.window_us, rate.keep_us, rate.good_for_us, rate.limit_per_min),
            *(rate.pace.interval_us, rate.pace.burst_us, repr(rate.share), PROBE_US, LOOK_US, HOLD_LOOK_US),
            to_us(ASK_AHEAD_S),
        ]
        with self._lock:
            unread = {lane: self._unread.pop(lane, _NOTHING_HEARD) for lane in chosen}
        for lane in chosen:
            args += (self._made[lane], *unread[lane])
        asked_s = self._monotonic_s()
        verdict, wait_us, *rest = self._ask("reserve", self._keys(chosen), args)
        answered_s = self._monotonic_s()
        if verdict != "slot":
            why, *made = rest
            self._know(chosen, made, wait_max_s)
            if verdict == "busy":
                wait_us = rate.ask_again_us(wait_us=wait_us, wait_max_us=wait_max_us)
            return Refusal(wait_us / MICROSECONDS, verdict, why or "")
        index, number, slot_us, failures, probe, *made = rest
        self._know(chosen, made, wait_max_s)
        # The slot was counted from some instant of the round trip: to be never early it is waited for from its end,
        # and what the trip took is lateness already.
        took_s = answered_s - asked_s
        good_for_s = rate.good_for_us / MICROSECONDS - took_s
        if good_for_s <= 0:
            return Refusal(took_s, "busy")
        return Permit(
            wait_us / MICROSECONDS,
            good_for_s,
            lane=chosen[index],
            number=number,
            made=made[index],
            slot_us=int(slot_us),
            slot_at_s=answered_s + wait_us / MICROSECONDS,
            took_s=took_s,
            probe=bool(probe),
            failures=failures,
        )

    def confirm(self, permit: Permit) -> bool:
        """See `Budget.confirm`."""
        args: Words = [permit.number, permit.made, int(permit.probe), self._rate.keep_us, self._rate.good_for_us]
        return bool(self._ask("confirm", self._keys([permit.lane]), args))

    def heard(self, permit: Permit, reading: Reading) -> None:
        """See `Budget.heard`: it goes along with the next `reserve` of this process; a later answer says it all."""
        told = heard_by_the_meter(permit, reading, self._rate)
        with self._lock:
            held = self._unread.get(permit.lane)
            if held is None or held[-1] < told[-1]:
                self._unread[permit.lane] = told

    def pause(self, *, for_s: float, reason: str, lane: int = 0) -> None:
        """See `Budget.pause`."""
        self._ask("pause", self._lanes[lane][:1], [to_us(for_s), reason])

    def failed(self, permit: Permit, why: str, *, final: bool = False) -> float:
        """See `Budget.failed`."""
        return self._tell("final" if final else "fail", permit, why)

    def succeeded(self, permit: Permit) -> None:
        """See `Budget.succeeded`."""
        if permit.probe or permit.failures:
            self._tell("ok", permit)

    def hold(self, *, for_s: float = ENDLESS_S, reason: str) -> None:
        """See `Budget.hold`."""
        self._ask("people", (self._switch,), ["hold", to_us(for_s), reason])

    def resume(self) -> None:
        """See `Budget.resume`."""
        self._ask("people", (self._switch,), ["resume"])
        self._tell("probe")

    def set_rate(self, per_min: int) -> None:
        """See `Budget.set_rate`."""
        chosen = checked_rate(per_min, self._rate)
        self._ask("people", (self._switch,), ["rate", "" if chosen is None else chosen])

    def state(self) -> BudgetState:
        """See `Budget.state`."""
        rate = self._rate
        told = self._ask("state", self._keys(range(len(self._lanes))), [rate.window_us, LOOK_US])
        held_us, held_reason, chosen, failures, opened, broken_us, open_us, why = told[:_SWITCH_FIELDS]
        called = "closed" if not opened else "open" if open_us > 0 else "half-open"
        lanes = [
            self._lane_state(told[start : start + _LANE_FIELDS], chosen or rate.limit_per_min)
            for start in range(_SWITCH_FIELDS, len(told), _LANE_FIELDS)
        ]
        return summed_up(
            lanes,
            rate=rate,
            chosen_per_min=chosen or None,
            held=(held_us / MICROSECONDS, held_reason),
            circuit=(called, broken_us / MICROSECONDS, why),
            failures=failures,
        )

    def _lane_state(self, told: Sequence[Any], chosen_per_min: int) -> LaneState:
        allowed, own, others, total, next_us, paused_us, reason = told
        return LaneState(
            limit_per_min=min(self._rate.limit_per_min, allowed or self._rate.limit_per_min, chosen_per_min),
            allowed_per_min=allowed or None,
            spent_last_min=own,
            others_last_min=others,
            spent_total=total,
            next_slot_s=next_us / MICROSECONDS,
            paused_s=paused_us / MICROSECONDS,
            pause_reason=reason,
        )

    def _keys(self, lanes: Sequence[int]) -> list[str]:
        return [self._switch, *(key for lane in lanes for key in self._lanes[lane])]

    def _know(self, lanes: Sequence[int], made: Sequence[str], wait_max_s: float) -> None:
        for lane, made_us in zip(lanes, made, strict=False):
            if self._made[lane] and made_us != self._made[lane]:
                logs.event(_log, "meter_lost", level=logging.ERROR, lane=lane, held_s=wait_max_s)
            self._made[lane] = made_us

    def _tell(self, outcome: str, permit: Permit | None = None, why: str = "") -> float:
        probe = int(permit is not None and permit.probe)
        args: list[int | float | str] = [
            outcome,
            probe,
            why,
            self._failures_max,
            first_open_us(self._rate),
            DOUBLINGS_MAX,
            LOOK_US,
        ]
        open_us: int = self._ask("outcome", (self._switch,), args)
        return open_us / MICROSECONDS

    def _ask(self, script: str, keys: Sequence[str], args: Words) -> Any:
        try:
            return self._scripts[script](keys=keys, args=args)
        except RedisError as error:
            msg = f"the meter's Redis does not answer ({type(error).__name__}). Check JITPROV_REDIS_URL and the server"
            raise DependencyDown(msg) from error
