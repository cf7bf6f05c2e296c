"""What deserves to ring."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from builders import NINE_AM
from jitprov.alerts.conditions import Bounds, Facts, Kind, found

LONG = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("facts", "kinds"),
    [
        ({}, set()),
        ({"expected_for": LONG}, {Kind.SILENCE}),
        ({"expected_for": LONG, "arrived": 1}, set()),
        ({"expected_for": LONG - timedelta(seconds=1)}, set()),
        ({"failed": 5, "ready": 95}, {Kind.FAILURES}),
        ({"failed": 5, "ready": 96}, set()),
        ({"failed": 4}, set()),
        ({"circuit": "open", "paused_s": 9.0, "paused_by": "circuit"}, {Kind.CIRCUIT}),
        ({"circuit": "half-open"}, {Kind.CIRCUIT}),
        ({"paused_s": 9.0, "paused_by": "people"}, {Kind.PAUSED}),
        ({"paused_s": 9.0, "paused_by": "api"}, {Kind.PAUSED}),
        ({"looks": False}, {Kind.BUSY}),
        ({"republished": 100}, {Kind.BUSY}),
        ({"republished": 99}, set()),
        ({"full_looks": 3}, {Kind.BUSY}),
        ({"drift": {"agents": 9, "differ": 1}}, {Kind.DRIFT}),
        ({"drift": {"agents": 9, "differ": 0, "roles_that_go": 2}}, {Kind.DRIFT}),
        ({"drift": {"agents": 9, "differ": 0, "no_wanted_state": 3}}, set()),
        ({"answers": {202: 20, 401: 5}}, {Kind.REFUSING}),
        ({"answers": {202: 21, 401: 5}}, set()),
        ({"answers": {202: 0, 503: 4}}, set()),
    ],
    ids=str,
)
def test_what_rings(facts: dict[str, Any], kinds: set[Kind]) -> None:
    """Each condition rings at its bound and not before, and names the next command."""
    texts = found(Facts(NINE_AM, **facts), Bounds())

    assert set(texts) == kinds
    assert all("Next: " in text for text in texts.values())


def test_a_text_names_causes_and_remedies() -> None:
    """Failures name their codes, refusals the answer given most often with what mends it."""
    facts = Facts(NINE_AM, failed=9, codes=[("skill_unknown", 7), ("refused", 2)], answers={401: 2, 400: 9, 202: 1})

    texts = found(facts, Bounds())
    assert "(skill_unknown 7, refused 2)" in texts[Kind.FAILURES]
    assert "11 of 12 deliveries" in texts[Kind.REFUSING]
    assert "jitprov quarantine list" in texts[Kind.REFUSING]


def test_a_pause_and_a_circuit_must_last() -> None:
    """A short pause and a circuit that closes at once ring nobody up; refusals ring at once."""
    bounds = Bounds(paused_s=120.0)

    assert bounds.after_s(Kind.PAUSED) == 120.0
    assert bounds.after_s(Kind.CIRCUIT) > 0
    assert bounds.after_s(Kind.REFUSING) == 0
