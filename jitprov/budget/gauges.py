"""The meter as Prometheus metrics, read when asked for: few labels, never an id. One that is away says only that."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jitprov.budget.port import Budget
from jitprov.errors import DependencyDown

_CIRCUIT = {"closed": 0, "half-open": 1, "open": 2}
_HOLDERS = ("people", "api", "circuit")


class BudgetGauges(Collector):
    """Collects one meter's state.

    Args:
        budget: The meter.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering asks no meter."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the state at this moment."""
        try:
            state = self._budget.state()
        except DependencyDown:
            yield GaugeMetricFamily("jitprov_budget_up", "Whether the meter answers.", value=0)
            return
        others = sum(lane.others_last_min for lane in state.lanes)
        yield GaugeMetricFamily("jitprov_budget_up", "Whether the meter answers.", value=1)
        yield CounterMetricFamily("jitprov_budget_slots", "Slots given.", value=state.spent_total)
        yield GaugeMetricFamily("jitprov_budget_spent_per_min", "Slots of the last API minute.", state.spent_last_min)
        yield GaugeMetricFamily("jitprov_budget_others_per_min", "Calls of others in the last API minute.", others)
        yield GaugeMetricFamily("jitprov_budget_limit_per_min", "Limit in force, all tokens.", state.limit_per_min)
        yield GaugeMetricFamily("jitprov_budget_lanes", "Access tokens in use.", len(state.lanes))
        circuit = _CIRCUIT[state.circuit]
        yield GaugeMetricFamily("jitprov_budget_circuit", "0 closed, 1 half-open, 2 open.", circuit)
        paused = GaugeMetricFamily("jitprov_budget_paused_seconds", "Until calls go on, by who paused.", labels=["by"])
        for holder in _HOLDERS:
            paused.add_metric([holder], state.paused_s if state.paused_by == holder else 0.0)
        yield paused
