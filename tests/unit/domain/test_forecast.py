"""The forecast: when agents who come, or are on their way, will be ready."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_provisioning
from jitprov.budget.rate import BudgetRate
from jitprov.domain.agent import Phone, Profile, RatedSkill, WantedState
from jitprov.domain.forecast import Allowance, forecast, time_left
from jitprov.domain.provisioning import Findings, Provisioning, State, Step
from jitprov.domain.rehearsal import Stations

LINE_ID, LOOKUP = Stations("line_id"), Stations("lookup")
SKILL = RatedSkill("Customer_Service", 1.0, "id")


def test_two_thousand_agents_take_what_the_allowance_gives() -> None:
    """2,000 agents at 300 a minute take the time of their calls, and little more; the first needs seconds."""
    told = forecast(2000, Allowance(), LINE_ID)

    assert told.calls == 2000 * 3 + 2000 // 100 + 4
    assert told.last_s == pytest.approx(told.calls / 294 * 60, rel=0.01)
    assert told.first_s < 0.01 * told.last_s
    assert told.median_s < 0.51 * told.last_s


@given(st.integers(1, 400), st.integers(30, 3000), st.integers(1, 3))
def test_the_order_of_events(agents: int, limit: int, tokens: int) -> None:
    """First, median and last come in this order; more calls an agent, or a lower rate, make the last one later."""
    allowance = Allowance(limit, tokens=tokens)
    told = forecast(agents, allowance, LINE_ID)

    assert 0 < told.first_s <= told.median_s <= told.last_s
    assert told.first_s <= told.mean_s <= told.last_s
    assert forecast(agents, replace(allowance, limit_per_min=limit * 2), LINE_ID).last_s <= told.last_s
    assert forecast(agents, allowance, LOOKUP).last_s > told.last_s


@given(st.integers(1, 300), st.integers(1, 300))
def test_one_agent_more_delays_the_last(agents: int, more: int) -> None:
    """Whoever comes beside the others makes the last one later."""
    assert forecast(agents, Allowance(), LOOKUP).last_s < forecast(agents + more, Allowance(), LOOKUP).last_s


def test_tokens_and_limit_multiply() -> None:
    """Two tokens are as good as twice the limit; headroom and burst take from the even rate."""
    two_tokens = forecast(500, Allowance(tokens=2), LINE_ID).last_s

    assert two_tokens == pytest.approx(forecast(500, Allowance(600), LINE_ID).last_s, rel=0.01)
    assert Allowance(300, 0.02, burst=94).per_s == pytest.approx(200 / 60)


@pytest.mark.parametrize(
    ("limit", "headroom", "burst"), [(300, 0.02, 0), (300, 0.0034, 0), (60, 0.1, 10), (3000, 0.5, 5)]
)
def test_the_pace_is_the_meters(limit: int, headroom: float, burst: int) -> None:
    """A slot of the rehearsal takes as long as one of the meter, and its burst is the meter's."""
    rate = BudgetRate.of(limit, headroom=headroom, burst=burst)

    stage = Allowance(limit, headroom, burst=burst).stage(LINE_ID, opens_s=0.0)

    assert stage.interval_s == pytest.approx(rate.pace.interval_us / 1_000_000, rel=0.001)
    assert stage.burst * stage.interval_s == pytest.approx(rate.pace.burst_us / 1_000_000, rel=0.001)


def test_who_has_less_to_do_is_ready_sooner() -> None:
    """On the way, an agent whose skills are right, who has a phone or needs none, takes fewer calls."""
    profile = Profile("u", skills=(SKILL,))
    skilled = Findings(profile=profile, wanted=WantedState(skills=(SKILL,)))
    at_skills = a_provisioning(step=Step.PATCH_SKILLS, state=State.RUNNING)

    def calls(record: Provisioning) -> int:
        return time_left([record], record.updated_at, Allowance(), LINE_ID).calls

    shared = 3  # token, site, phone base
    to_give = replace(skilled, profile=Profile("u"))
    assert calls(replace(at_skills, findings=to_give)) == shared + 3
    assert calls(replace(at_skills, findings=skilled)) == shared + 2
    assert calls(replace(at_skills, findings=replace(skilled, phone=Phone("p", "l")))) == 1 + 1
    no_phone = replace(skilled, wanted=WantedState(skills=(SKILL,), phone=False))
    assert calls(replace(at_skills, findings=no_phone)) == 1


def test_each_agent_is_told_its_own_time() -> None:
    """Those further on are ready first; one that waits is ready after its wait, one that ended takes no time."""
    begun = a_provisioning(step=Step.ASSIGN_STATION, state=State.RUNNING)
    fresh = a_provisioning()
    late = replace(begun, state=State.WAITING, not_before=begun.updated_at + timedelta(seconds=2))
    records = [fresh, late, begun, a_provisioning(state=State.READY)]

    told = time_left(records, begun.updated_at, Allowance(time_scale=10.0), LINE_ID)

    by_fresh, by_late, by_begun, by_ready = told.ready_s
    assert by_ready == 0.0
    assert 0.0 < by_begun < by_fresh < 20.0 < by_late < 21.0


def test_a_pause_moves_everybody() -> None:
    """While the token is paused nobody gets on."""
    records = [a_provisioning()]
    now = records[0].updated_at

    paused = time_left(records, now, Allowance(), LINE_ID, paused_s=30.0).last_s

    assert paused == pytest.approx(30.0 + time_left(records, now, Allowance(), LINE_ID).last_s)


def test_nobody_is_ready_at_once() -> None:
    """Without agents there is nothing to wait for."""
    told = forecast(0, Allowance(), LOOKUP)

    assert (told.calls, told.first_s, told.median_s, told.mean_s, told.last_s) == (0, 0.0, 0.0, 0.0, 0.0)
