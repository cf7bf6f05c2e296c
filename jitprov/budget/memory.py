"""The meter of a single process: for tests and for trying things out. Does not reach other processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from jitprov.budget.circuit import PROBE_US, Circuit
from jitprov.budget.lane import Heard, Lane
from jitprov.budget.port import ENDLESS_S, BudgetState, LaneState, Permit, Reading, Refusal
from jitprov.budget.rate import MICROSECONDS, BudgetRate, to_us
from jitprov.budget.words import HOLD_LOOK_US, checked_rate, heard_by_the_meter, summed_up


class MemoryBudget:
    """See `Budget`. Threads may share one.

    Args:
        rate: How fast it gives slots, per lane.
        monotonic_s: A steady count of real seconds.
        lanes: Access tokens.
        failures_max: Failures in a row that open the circuit.
    """

    def __init__(
        self, rate: BudgetRate, monotonic_s: Callable[[], float], *, lanes: int = 1, failures_max: int = 10
    ) -> None:
        self._rate = rate
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._lanes = [Lane.new(rate, self._now_us()) for _ in range(lanes)]
        self._circuit = Circuit.of(rate, failures_max)
        self._held_until_us = 0
        self._held_reason = ""
        self._chosen_per_min: int | None = None

    def reserve(self, *, wait_max_s: float, lanes: Sequence[int] | None = None) -> Permit | Refusal:
        """See `Budget.reserve`."""
        wait_max_us = to_us(wait_max_s)
        with self._lock:
            now_us = self._now_us()
            chosen = range(len(self._lanes)) if lanes is None else lanes
            for index in chosen:
                self._lanes[index].tune(self._chosen_per_min, now_us)
            if self._held_until_us - now_us > max(0, wait_max_us):
                return Refusal(
                    min(self._held_until_us - now_us, HOLD_LOOK_US) / MICROSECONDS, "held", self._held_reason
                )
            circuit_us = self._circuit.wait_us(now_us)
            if circuit_us:
                return Refusal(circuit_us / MICROSECONDS, "broken", self._circuit.why)
            slot_us, index = min((self._lanes[index].slot_us(now_us, self._held_until_us), index) for index in chosen)
            lane, wait_us = self._lanes[index], slot_us - now_us
            if lane.paused_until_us - now_us > wait_max_us:
                return Refusal(wait_us / MICROSECONDS, "paused", lane.pause_reason)
            if wait_us > wait_max_us:
                return Refusal(self._rate.ask_again_us(wait_us=wait_us, wait_max_us=wait_max_us) / MICROSECONDS, "busy")
            probe = self._circuit.opened > 0
            if probe:
                self._circuit.probe_until_us = slot_us + PROBE_US
            number = lane.give(slot_us, now_us)
            failures = self._circuit.failures
        return Permit(
            wait_us / MICROSECONDS,
            self._rate.good_for_us / MICROSECONDS,
            lane=index,
            number=number,
            slot_us=slot_us,
            slot_at_s=slot_us / MICROSECONDS,
            probe=probe,
            failures=failures,
        )

    def confirm(self, permit: Permit) -> bool:
        """See `Budget.confirm`."""
        with self._lock:
            now_us, lane = max(self._now_us(), permit.slot_us), self._lanes[permit.lane]
            if not lane.holds(permit.number):
                return False
            good = (
                now_us <= permit.slot_us + self._rate.good_for_us
                and self._held_until_us <= now_us
                and lane.paused_until_us <= now_us
                and (permit.probe or not self._circuit.opened)
            )
            if not good:
                lane.give_up(permit.number, now_us)
            return good

    def heard(self, permit: Permit, reading: Reading) -> None:
        """See `Budget.heard`."""
        with self._lock:
            lane, now_us = self._lanes[permit.lane], self._now_us()
            lane.hear(Heard(*heard_by_the_meter(permit, reading, self._rate)), now_us)

    def pause(self, *, for_s: float, reason: str, lane: int = 0) -> None:
        """See `Budget.pause`."""
        with self._lock:
            paused, until_us = self._lanes[lane], self._now_us() + to_us(for_s)
            if until_us > paused.paused_until_us:
                paused.paused_until_us, paused.pause_reason = until_us, reason

    def failed(self, permit: Permit, why: str, *, final: bool = False) -> float:
        """See `Budget.failed`."""
        with self._lock:
            return self._circuit.fail(self._now_us(), why, probe=permit.probe, final=final) / MICROSECONDS

    def succeeded(self, permit: Permit) -> None:
        """See `Budget.succeeded`."""
        if permit.probe or permit.failures:
            with self._lock:
                self._circuit.succeed(probe=permit.probe)

    def hold(self, *, for_s: float = ENDLESS_S, reason: str) -> None:
        """See `Budget.hold`."""
        with self._lock:
            self._held_until_us, self._held_reason = self._now_us() + to_us(for_s), reason

    def resume(self) -> None:
        """See `Budget.resume`."""
        with self._lock:
            self._held_until_us, self._held_reason = 0, ""
            self._circuit.let_probe()

    def set_rate(self, per_min: int) -> None:
        """See `Budget.set_rate`."""
        with self._lock:
            self._chosen_per_min = checked_rate(per_min, self._rate)

    def state(self) -> BudgetState:
        """See `Budget.state`."""
        with self._lock:
            now_us = self._now_us()
            lanes = [self._told(lane, now_us) for lane in self._lanes]
            held_us = max(0, self._held_until_us - now_us)
            circuit = self._circuit
            return summed_up(
                lanes,
                rate=self._rate,
                chosen_per_min=self._chosen_per_min,
                held=(held_us / MICROSECONDS, self._held_reason),
                circuit=(circuit.called(now_us), circuit.wait_us(now_us) / MICROSECONDS, circuit.why),
                failures=circuit.failures,
            )

    def close(self) -> None:
        """Nothing to close."""

    def _told(self, lane: Lane, now_us: int) -> LaneState:
        paused_us = max(0, lane.paused_until_us - now_us)
        return LaneState(
            limit_per_min=lane.limit(self._chosen_per_min),
            allowed_per_min=lane.allowed,
            spent_last_min=lane.in_last_minute(now_us, others=False),
            others_last_min=lane.in_last_minute(now_us, others=True),
            spent_total=lane.given,
            next_slot_s=(lane.slot_us(now_us) - now_us) / MICROSECONDS,
            paused_s=paused_us / MICROSECONDS,
            pause_reason=lane.pause_reason if paused_us else "",
        )

    def _now_us(self) -> int:
        return int(self._monotonic_s() * MICROSECONDS)
