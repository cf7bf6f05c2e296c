"""The meter's arithmetic: no window of the API over the limit, whoever asks when and leaves how late."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitprov.budget.rate import BudgetRate, to_us
from jitprov.errors import ConfigurationError

RATES = st.builds(
    BudgetRate.of,
    st.integers(6, 14),
    headroom=st.floats(0.0034, 0.5),
    burst=st.integers(0, 2),
    time_scale=st.sampled_from([1.0, 7.5, 8.0, 60.0, 600.0]),
)


def slots_of(rate: BudgetRate, gaps_us: Sequence[int], pauses_us: Sequence[int] = ()) -> list[int]:
    """Return the slots that callers get who ask `gaps_us` after one another; some ask while a pause runs."""
    now_us, even_us, paused_until_us, slots = 0, rate.burst_us, 0, []
    pauses = list(pauses_us)
    for gap_us in gaps_us:
        now_us += gap_us
        if pauses:
            paused_until_us = max(paused_until_us, now_us + pauses.pop())
        slot_us = rate.slot_us(now_us=now_us, even_us=even_us, paused_until_us=paused_until_us)
        even_us = rate.even_after_us(slot_us=slot_us, even_us=even_us)
        slots.append(slot_us)
    return slots


def most_in_a_window(instants_us: Sequence[int], window_us: int) -> int:
    """Return the most instants that any span holds, both its ends included."""
    times = sorted(instants_us)
    return max(sum(1 for other in times[first:] if other <= times[first] + window_us) for first in range(len(times)))


@settings(max_examples=300)
@given(RATES, st.data())
def test_no_window_ever_holds_more_than_the_limit(rate: BudgetRate, data: st.DataObject) -> None:
    """Whoever asks when, pauses or not, leaves as late and travels as long as allowed: no window is over the limit."""
    interval_us = rate.interval_us
    gaps = data.draw(
        st.lists(st.sampled_from([0, 0, 0, 1, interval_us // 3, interval_us, 5 * interval_us]), min_size=40)
    )
    pauses = data.draw(st.lists(st.integers(0, 4 * interval_us), max_size=3))
    slots = slots_of(rate, gaps, pauses)
    lates = st.sampled_from([0, rate.good_for_us // 2, rate.good_for_us])
    ways = st.sampled_from([0, rate.jitter_us])
    arrivals = [slot + data.draw(lates) + data.draw(ways) for slot in slots]

    assert most_in_a_window(arrivals, rate.window_us) <= rate.limit_per_min


@given(RATES)
def test_the_worst_case_is_the_limit_and_one_interval_more_would_break_it(rate: BudgetRate) -> None:
    """The first as late as allowed and the rest on time make the limit; later still makes one too many."""
    slots = slots_of(rate, [100 * rate.interval_us] + [0] * 40)
    allowed_us = rate.good_for_us + rate.jitter_us

    for late_us, most in [(allowed_us, rate.limit_per_min), (allowed_us + rate.interval_us, rate.limit_per_min + 1)]:
        arrivals = [
            slot + late_us if index <= rate.burst_us // rate.interval_us else max(slot, slots[0] + late_us)
            for index, slot in enumerate(slots)
        ]
        in_window = most_in_a_window(arrivals, rate.window_us)
        assert in_window <= most
        if late_us > allowed_us:
            assert in_window > rate.limit_per_min


@given(RATES, st.lists(st.integers(0, 20_000_000), min_size=1, max_size=60))
def test_slots_never_go_back_and_never_lie_in_the_past(rate: BudgetRate, gaps_us: list[int]) -> None:
    """Slots come in the order of asking, none before its caller asked."""
    slots = slots_of(rate, gaps_us)

    asked_us = 0
    for gap_us, slot_us in zip(gaps_us, slots, strict=True):
        asked_us += gap_us
        assert slot_us >= asked_us
    assert slots == sorted(slots)


def test_the_shipped_rate_spends_98_percent_and_leaves_half_the_slack_to_jitter() -> None:
    """300 a minute with 2 % headroom: 294 a minute, permits good for 612 ms, 612 ms left for the way."""
    rate = BudgetRate.of(300, headroom=0.02)

    assert rate.interval_us == 204_082
    assert (rate.good_for_us, rate.jitter_us) == (612_299, 612_300)
    assert rate.burst_us == 0


def test_a_burst_is_paid_for_by_the_even_rate() -> None:
    """With a burst of 20, the even rate is what the limit less headroom leaves."""
    rate = BudgetRate.of(300, headroom=0.02, burst=20)
    slots = slots_of(rate, [10 * 60_000_000] + [0] * 20)

    assert slots[0] == slots[20]
    assert rate.interval_us == -(-60_000_000 // 274)


def test_a_new_meter_gives_no_burst() -> None:
    """The first two slots of a new meter are one interval apart, whatever the burst."""
    rate = BudgetRate.of(300, headroom=0.02, burst=20)

    first, second = slots_of(rate, [0, 0])

    assert second - first == rate.interval_us


def test_a_time_scale_shortens_the_window() -> None:
    """At 60 API seconds a second the window is one real second."""
    assert BudgetRate.of(300, headroom=0.02, time_scale=60.0).window_us == 1_000_000


@pytest.mark.parametrize(("limit", "headroom", "burst"), [(6, 0.02, 6), (6, 0.0, 0), (6, 1.0, 0), (300, 0.02, -1)])
def test_a_rate_that_cannot_keep_the_limit_is_refused(limit: int, headroom: float, burst: int) -> None:
    """No even rate, no headroom, a negative burst: refused with the settings' names."""
    with pytest.raises(ConfigurationError, match=r"api_burst.*api_headroom"):
        BudgetRate.of(limit, headroom=headroom, burst=burst)


def test_asking_again_is_put_off_until_half_the_horizon_is_free() -> None:
    """A slot 25 s away with patience for 20 s: ask again in 15 s; without patience, when it has come."""
    rate = BudgetRate.of(300, headroom=0.02)

    assert rate.ask_again_us(wait_us=25_000_000, wait_max_us=20_000_000) == 15_000_000
    assert rate.ask_again_us(wait_us=25_000_000, wait_max_us=0) == 25_000_000


def test_times_are_rounded_up() -> None:
    """A part of a microsecond counts as one."""
    assert to_us(0.000_000_1) == 1
