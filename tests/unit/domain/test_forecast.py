"""The forecast: calls over rate, in the order in which agents are finished."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_provisioning
from jitprov.domain.forecast import Allowance, calls_left, calls_per_agent, forecast
from jitprov.domain.provisioning import State, Step


def test_two_thousand_agents_take_what_the_allowance_gives() -> None:
    """2,000 agents at 300 a minute take the time of their calls, and little more."""
    last_s = forecast(2000, Allowance(300, 0.0), lookup=False).last_s

    assert last_s == pytest.approx(2000 * 3 / 300 * 60, rel=0.02)


@given(st.integers(1, 5000), st.integers(30, 3000), st.booleans())
def test_the_order_of_events(agents: int, limit: int, lookup: bool) -> None:
    """First, median and last come in this order, and a higher limit or fewer calls never makes anyone later."""
    told = forecast(agents, Allowance(limit), lookup=lookup)
    faster = forecast(agents, Allowance(limit * 2), lookup=lookup)

    assert 0 < told.first_s <= told.median_s <= told.last_s
    assert faster.last_s < told.last_s
    assert forecast(agents, Allowance(limit), lookup=False).last_s <= told.last_s


def test_what_is_left_shrinks_with_each_step() -> None:
    """The calls left are those of the steps to come; an ended one needs none."""
    fresh, later = a_provisioning(), a_provisioning(step=Step.ASSIGN_STATION, state=State.RUNNING)

    assert calls_left([fresh], lookup=True) == pytest.approx(calls_per_agent(lookup=True))
    assert calls_left([later], lookup=False) == 1
    assert calls_left([a_provisioning(state=State.READY)], lookup=True) == 0
