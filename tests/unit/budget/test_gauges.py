"""What `/metrics` shows of the meter."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from fixed_clock import FixedClock
from jitprov.budget import BudgetState
from jitprov.budget.gauges import BudgetGauges
from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.errors import DependencyDown


def text_of(budget: MemoryBudget) -> str:
    registry = CollectorRegistry()
    registry.register(BudgetGauges(budget))
    return generate_latest(registry).decode()


def test_the_meter_is_shown(clock: FixedClock) -> None:
    """Slots, limit in force, lanes, circuit, and who pauses for how long, as a label of few values."""
    budget = MemoryBudget(BudgetRate.of(300, headroom=0.02), clock.monotonic_s, lanes=2)
    budget.reserve(wait_max_s=0)
    budget.set_rate(100)
    budget.hold(for_s=30, reason="words of a person, which are no label")

    shown = text_of(budget)

    for line in (
        "jitprov_budget_up 1.0",
        "jitprov_budget_slots_total 1.0",
        "jitprov_budget_spent_per_min 1.0",
        "jitprov_budget_limit_per_min 200.0",
        "jitprov_budget_lanes 2.0",
        "jitprov_budget_circuit 0.0",
        'jitprov_budget_paused_seconds{by="people"} 30.0',
        'jitprov_budget_paused_seconds{by="api"} 0.0',
    ):
        assert line in shown
    assert "words" not in shown


def test_a_meter_that_is_away_is_no_error(clock: FixedClock) -> None:
    """The receiver's own measures are shown all the same."""

    class Away(MemoryBudget):
        def state(self) -> BudgetState:
            raise DependencyDown("away")

    shown = text_of(Away(BudgetRate.of(300, headroom=0.02), clock.monotonic_s))

    assert "jitprov_budget_up 0.0" in shown
    assert "jitprov_budget_slots" not in shown
