"""The meter's arithmetic: what a limit, a headroom, a burst and a time scale make of the interval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitprov.budget.rate import BudgetRate, Pace, to_us
from jitprov.errors import ConfigurationError


def test_the_shipped_rate_spends_98_percent_and_leaves_most_of_the_slack_to_jitter() -> None:
    """300 a minute with 2 % headroom: 294 a minute, permits good for 408 ms, 816 ms left for the way."""
    rate = BudgetRate.of(300, headroom=0.02)

    assert rate.pace == Pace(interval_us=204_082, burst_us=0)
    assert (rate.good_for_us, rate.jitter_us) == (408_162, 816_326)
    assert rate.keep_us == 60_000_000 + 408_162 + 816_326


def test_a_burst_is_paid_for_by_the_even_rate() -> None:
    """With a burst of 20, the even rate is what the limit less headroom leaves."""
    rate = BudgetRate.of(300, headroom=0.02, burst=20)

    assert rate.pace.interval_us == -(-60_000_000 // 274)
    assert rate.pace.burst_us == 20 * rate.pace.interval_us


@given(
    st.integers(6, 400), st.floats(0.0034, 0.5), st.integers(0, 2), st.sampled_from([1.0, 7.5, 60.0, 600.0]), st.data()
)
def test_every_limit_leaves_room_for_lateness(
    limit: int, headroom: float, burst: int, time_scale: float, data: st.DataObject
) -> None:
    """At the setting's limit and at each lower one, limit slots take longer than a window, lateness and jitter."""
    rate = BudgetRate.of(limit, headroom=headroom, burst=burst, time_scale=time_scale)
    lower = data.draw(st.integers(1, limit))
    pace = rate.pace_at(lower)

    assert rate.keep_us < lower * pace.interval_us - pace.burst_us
    assert pace.interval_us >= rate.pace.interval_us
    assert pace.burst_us in (0, rate.pace.burst_us)


def test_no_pace_is_faster_than_the_settings() -> None:
    """A limit above the setting's counts as the setting's."""
    rate = BudgetRate.of(300, headroom=0.02)

    assert rate.pace_at(600) == rate.pace


def test_even_follows_from_the_slots() -> None:
    """Each slot asks for an interval for itself and for every one after it; what is long ago asks for nothing."""
    rate = BudgetRate.of(60, headroom=0.5)
    interval_us = rate.pace.interval_us

    assert rate.even_of([], rate.pace) <= rate.keep_us
    assert rate.even_of([100], rate.pace) == 100 + interval_us
    assert rate.even_of([100, 100, 200], rate.pace) == 100 + 3 * interval_us
    assert rate.even_of([100, 9 * interval_us], rate.pace) == 10 * interval_us
    assert rate.even_of([0] * 1000, rate.pace) == rate.keep_us + 1


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
