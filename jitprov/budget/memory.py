"""The meter of a single process: for tests and for trying things out. Does not reach other processes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from jitprov.budget.port import BudgetState, Permit, Refusal
from jitprov.budget.rate import MICROSECONDS, BudgetRate, to_us


class MemoryBudget:
    """See `Budget`. Threads may share one.

    Args:
        rate: How fast it gives slots.
        monotonic_s: A steady count of real seconds.
    """

    def __init__(self, rate: BudgetRate, monotonic_s: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        # A new meter has no burst to give: nobody knows what was spent before it.
        self._even_us = self._now_us() + rate.burst_us
        self._paused_until_us = 0
        self._pause_reason = ""
        self._spent_total = 0
        self._slots_us: deque[int] = deque()

    def reserve(self, *, wait_max_s: float) -> Permit | Refusal:
        """See `Budget.reserve`."""
        rate, wait_max_us = self._rate, to_us(wait_max_s)
        with self._lock:
            now_us = self._now_us()
            if self._paused_until_us - now_us > wait_max_us:
                return Refusal((self._paused_until_us - now_us) / MICROSECONDS, "paused")
            slot_us = rate.slot_us(now_us=now_us, even_us=self._even_us, paused_until_us=self._paused_until_us)
            wait_us = slot_us - now_us
            if wait_us > wait_max_us:
                return Refusal(rate.ask_again_us(wait_us=wait_us, wait_max_us=wait_max_us) / MICROSECONDS, "busy")
            self._even_us = rate.even_after_us(slot_us=slot_us, even_us=self._even_us)
            self._spent_total += 1
            self._forget_old_slots(now_us)
            self._slots_us.append(slot_us)
        return Permit(wait_us / MICROSECONDS, rate.good_for_us / MICROSECONDS)

    def pause(self, *, for_s: float, reason: str) -> None:
        """See `Budget.pause`."""
        with self._lock:
            until_us = self._now_us() + to_us(for_s)
            if until_us > self._paused_until_us:
                self._paused_until_us, self._pause_reason = until_us, reason

    def state(self) -> BudgetState:
        """See `Budget.state`."""
        with self._lock:
            now_us = self._now_us()
            self._forget_old_slots(now_us)
            paused_us = max(0, self._paused_until_us - now_us)
            slot_us = self._rate.slot_us(now_us=now_us, even_us=self._even_us, paused_until_us=self._paused_until_us)
            return BudgetState(
                limit_per_min=self._rate.limit_per_min,
                spent_last_min=sum(1 for given_us in self._slots_us if given_us <= now_us),
                spent_total=self._spent_total,
                next_slot_s=(slot_us - now_us) / MICROSECONDS,
                paused_s=paused_us / MICROSECONDS,
                pause_reason=self._pause_reason if paused_us else "",
            )

    def close(self) -> None:
        """Nothing to close."""

    def _now_us(self) -> int:
        return int(self._monotonic_s() * MICROSECONDS)

    def _forget_old_slots(self, now_us: int) -> None:
        while self._slots_us and self._slots_us[0] <= now_us - self._rate.window_us:
            self._slots_us.popleft()
