"""What rings, and what it rings by, as Prometheus metrics, read when asked for. Few labels, never an id or a name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jitprov.alerts import bell
from jitprov.alerts.conditions import Facts, Kind
from jitprov.alerts.drift_watch import last_look
from jitprov.alerts.keeper import ALERTS
from jitprov.cache import Cache
from jitprov.errors import DependencyDown
from jitprov.ledger.overview import Overview

_FRESH_S = 1.0


class AlertGauges(Collector):
    """Collects alerts, ledger and reconciler; when Redis is away, that alone.

    Args:
        ledger: The truth.
        cache: Where alerts are held.
        facts: Returns how things stand.
    """

    def __init__(self, ledger: Overview, cache: Cache, facts: Callable[[], Facts]) -> None:
        self._ledger = ledger
        self._cache = cache
        self._facts = facts
        self._looking = threading.Lock()
        self._seen: tuple[float, list[Metric]] = (-_FRESH_S, [])

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering asks nobody."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the state at this moment."""
        # Asked by anybody: Redis is asked once a second at most.
        with self._looking:
            if time.monotonic() - self._seen[0] >= _FRESH_S:
                try:
                    self._seen = (time.monotonic(), list(self._shown()))
                except DependencyDown:
                    self._seen = (time.monotonic(), [])
            shown = self._seen[1]
        yield GaugeMetricFamily("jitprov_ledger_up", "Whether the ledger answers.", value=bool(shown))
        yield from shown

    def _shown(self) -> Iterator[Metric]:
        facts, standing = self._facts(), self._ledger.standing()
        held = bell.read(self._cache.get(ALERTS))
        firing = GaugeMetricFamily("jitprov_alert_firing", "Whether an alert rings.", labels=["alert"])
        for kind in Kind:
            alert = held.get(kind)
            firing.add_metric([kind], float(alert is not None and alert.firing and not alert.over))
        yield firing
        agents = GaugeMetricFamily("jitprov_agents", "Agents by state.", labels=["state"])
        for state, count in standing.counts.items():
            agents.add_metric([state], count)
        yield agents
        at_step = GaugeMetricFamily("jitprov_agents_under_way", "Agents under way by step.", labels=["step"])
        for step, count in standing.under_way.items():
            at_step.add_metric([step], count)
        yield at_step
        oldest = standing.oldest_under_way_at
        oldest_s = (standing.now - oldest).total_seconds() if oldest else 0.0
        yield GaugeMetricFamily("jitprov_oldest_under_way_seconds", "Since the longest under way came.", oldest_s)
        expected = float(facts.expected_for is not None)
        yield GaugeMetricFamily("jitprov_sign_ins_expected", "Whether the schedule expects sign-ins now.", expected)
        recent = GaugeMetricFamily("jitprov_recently_ended", "Agents that ended in 5 minutes.", labels=["state"])
        recent.add_metric(["ready"], facts.ready)
        recent.add_metric(["failed"], facts.failed)
        yield recent
        refused = float(sum(facts.refused.values()))
        yield GaugeMetricFamily("jitprov_recently_answered", "Deliveries in 5 minutes.", sum(facts.answers.values()))
        yield GaugeMetricFamily("jitprov_recently_refused", "Deliveries refused in 5 minutes.", refused)
        yield GaugeMetricFamily("jitprov_reconciler_up", "Whether a reconciler looked lately.", float(facts.looks))
        looked = last_look(self._cache)
        if looked:
            drift = GaugeMetricFamily("jitprov_drift", "What the last look for drift counted.", labels=["what"])
            for what, number in looked.counts.items():
                drift.add_metric([what], number)
            yield drift
            age_s = (standing.now - looked.at).total_seconds()
            yield GaugeMetricFamily("jitprov_drift_age_seconds", "Since the last look for drift.", age_s)
        republished = float(facts.republished)
        yield GaugeMetricFamily("jitprov_recently_republished", "Chains sent again in 5 minutes.", republished)
