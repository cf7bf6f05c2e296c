"""What the receiver shows of itself."""

from __future__ import annotations

from jitprov.receiver.measures import Measures


def test_counts() -> None:
    """Events, answers, sendings and durations are shown in Prometheus' text format."""
    measures = Measures()
    measures.count_events("accepted", 3)
    measures.count_events("ignored", 0)
    measures.count_answer(202, 0.03)
    measures.count_publishes("dropped", 2)
    measures.show("jitprov_receiver_waiting", "What waits.", lambda: 7)

    shown = measures.text().decode().splitlines()
    assert 'jitprov_receiver_events_total{result="accepted"} 3.0' in shown
    assert 'jitprov_receiver_events_total{result="ignored"} 0.0' in shown
    assert 'jitprov_receiver_answers_total{status="202"} 1.0' in shown
    assert 'jitprov_receiver_publishes_total{outcome="dropped"} 2.0' in shown
    assert 'jitprov_receiver_duration_seconds_bucket{le="0.04"} 1.0' in shown
    assert 'jitprov_receiver_duration_seconds_bucket{le="0.02"} 0.0' in shown
    assert "jitprov_receiver_waiting 7.0" in shown


def test_news() -> None:
    """Of a refusal that recurs within a second only the first is told."""
    measures = Measures()

    assert measures.is_news(401)
    assert not measures.is_news(401)
    assert measures.is_news(503)


def test_registries_are_apart() -> None:
    """Two receivers in one process count on their own."""
    first, second = Measures(), Measures()
    first.count_events("accepted", 1)

    assert 'jitprov_receiver_events_total{result="accepted"} 0.0' in second.text().decode()
