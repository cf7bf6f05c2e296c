"""What both meters say in the same words: the checks of what people choose, an answer in the meter's time, the sum."""

from __future__ import annotations

from collections.abc import Sequence

from jitprov.budget.port import BudgetState, LaneState, Permit, Reading
from jitprov.budget.rate import MICROSECONDS, BudgetRate
from jitprov.errors import ConfigurationError

#: Real microseconds after which a step that people's pause sent away asks again, so that `resume` works soon.
HOLD_LOOK_US = 60 * MICROSECONDS
_SECONDS_PER_WINDOW = 60


def checked_rate(per_min: int, rate: BudgetRate) -> int | None:
    """Return the rate that people chose, None when it is the setting's limit.

    Raises:
        ConfigurationError: It is not between 1 and the setting's limit.
    """
    if not 1 <= per_min <= rate.limit_per_min:
        msg = (
            f"rate: {per_min} is not between 1 and {rate.limit_per_min} calls a minute. "
            "A higher limit is the setting JITPROV_API_LIMIT_PER_MIN, once Genesys has raised it; to stop, pause"
        )
        raise ConfigurationError(msg)
    return None if per_min == rate.limit_per_min else per_min


def heard_by_the_meter(permit: Permit, reading: Reading, rate: BudgetRate) -> tuple[int, int, int, int, int, int]:
    """Return allowed, count, and reset, slot, sending and hearing in microseconds of the meter's clock.

    The meter's clock was at `slot_us` at the caller's `slot_at_s`, or up to `took_s` later: sending is taken as early
    as it can have been, hearing as late.
    """
    sent_us = permit.slot_us + round((reading.sent_s - permit.slot_at_s) * MICROSECONDS)
    heard_us = permit.slot_us + round((reading.heard_s - permit.slot_at_s + permit.took_s) * MICROSECONDS)
    reset_us = reading.reset_s * rate.window_us // _SECONDS_PER_WINDOW
    return reading.allowed, reading.count, reset_us, permit.slot_us, sent_us, heard_us


def summed_up(
    lanes: Sequence[LaneState],
    *,
    rate: BudgetRate,
    chosen_per_min: int | None,
    held: tuple[float, str],
    circuit: tuple[str, float, str],
    failures: int,
) -> BudgetState:
    """Return the state of all lanes together.

    Args:
        lanes: Each token's.
        rate: At the setting's limit.
        chosen_per_min: What people chose.
        held: How long people's pause still lasts, in seconds, and why.
        circuit: What it is called, how long nobody is let through, and why.
        failures: In a row.
    """
    called, broken_s, why = circuit
    least = min(lanes, key=lambda lane: lane.paused_s)
    paused = [
        (held[0], "people", held[1]),
        (broken_s, "circuit", why),
        (least.paused_s, "api", least.pause_reason),
    ]
    longest_s, by, reason = max(paused, key=lambda each: each[0])
    return BudgetState(
        limit_per_min=sum(lane.limit_per_min for lane in lanes),
        spent_last_min=sum(lane.spent_last_min for lane in lanes),
        spent_total=sum(lane.spent_total for lane in lanes),
        next_slot_s=max(longest_s, min(lane.next_slot_s for lane in lanes)),
        paused_s=longest_s,
        pause_reason=reason if longest_s > 0 else "",
        paused_by=by if longest_s > 0 else "",
        setting_per_min=rate.limit_per_min,
        rate_per_min=chosen_per_min,
        circuit=called,
        failures=failures,
        lanes=tuple(lanes),
    )
