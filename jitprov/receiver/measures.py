"""What `/metrics` shows of the receiver: a registry of its own, counts and durations, never an id."""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

# The sender gives up at 5 s and the receiver at about 2.5 s; the bar for the 99th percentile is 60 ms.
_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 2.0, 2.5, 5.0)
_STATUSES = (200, 202, 400, 401, 408, 413, 415, 429, 503)
_EVENT_RESULTS = ("accepted", "duplicate", "ignored", "refused")
_PUBLISH_OUTCOMES = ("sent", "failed", "dropped")
_QUIET_S = 1.0


class Measures:
    """Counters of one receiver."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        events = Counter(
            "jitprov_receiver_events", "Events by what became of them.", ["result"], registry=self._registry
        )
        publishes = Counter(
            "jitprov_receiver_publishes",
            "Chains by what became of their sending.",
            ["outcome"],
            registry=self._registry,
        )
        self._events = {result: events.labels(result) for result in _EVENT_RESULTS}
        self._publishes = {outcome: publishes.labels(outcome) for outcome in _PUBLISH_OUTCOMES}
        answers = Counter(
            "jitprov_receiver_answers", "Answers of /events by status.", ["status"], registry=self._registry
        )
        self._answers = {status: answers.labels(str(status)) for status in _STATUSES}
        self._duration_s = Histogram(
            "jitprov_receiver_duration_seconds",
            "From the headers' arrival to the answer.",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._told_at_s: dict[int, float] = {}
        self._untaken: Counts[int] = Counts()

    def is_news(self, status: int) -> bool:
        """Tell whether an answer's status was not told of within the last second; it is from now on."""
        now_s = time.monotonic()
        if now_s - self._told_at_s.get(status, -_QUIET_S) < _QUIET_S:
            return False
        self._told_at_s[status] = now_s
        return True

    def count_events(self, result: str, count: int) -> None:
        """Count events as `accepted`, `duplicate`, `ignored` or `refused`."""
        if count:
            self._events[result].inc(count)

    def count_publishes(self, outcome: str, count: int) -> None:
        """Count chains as `sent`, `failed` or `dropped`."""
        self._publishes[outcome].inc(count)

    def count_answer(self, status: int, duration_s: float) -> None:
        """Count an answer of `/events`."""
        self._answers[status].inc()
        self._untaken[status] += 1
        self._duration_s.observe(duration_s)

    def take_answers(self) -> Counts[int]:
        """Return the answers of `/events` by status since this was asked last; on the event loop's thread."""
        taken, self._untaken = self._untaken, Counts[int]()
        return taken

    def show(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a number that is read when asked for."""
        Gauge(name, description, registry=self._registry).set_function(read)

    def collect(self, collector: Collector) -> None:
        """Show what a collector of another room reads when asked for."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
