"""A worker's sign of life: whoever works keeps its lease, whoever is silent loses it within seconds."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from jitprov.errors import DependencyDown
from jitprov.ledger import Claim
from jitprov.pipeline.pulse import Pulse, silence_s


class Held:
    """What a pulse looks at of a claim."""

    def __init__(self, token: str) -> None:
        self.token = token


def a_claim(token: str = "t") -> Claim:
    return cast("Claim", Held(token))


@pytest.mark.parametrize(("lease_s", "expected_s"), [(60.0, 6.0), (7.5, 2.0), (5.0, 2.0), (280.0, 28.0)])
def test_silence_is_a_tenth_of_a_lease(lease_s: float, expected_s: float) -> None:
    """A dead worker is missed after a tenth of its lease; a busy machine's threads have two seconds at least."""
    assert silence_s(lease_s) == expected_s


def test_what_is_worked_on_is_renewed_and_nothing_else() -> None:
    """From the second beat on, until the step ends; a step that ends soon costs no renewal."""
    renewed: list[tuple[str, float]] = []
    pulse = Pulse(lambda claim, lease_s: renewed.append((claim.token, lease_s)), silence_s=600.0, longest_s=6000.0)
    pulse.beat()
    with pulse.beating(a_claim("one")):
        pulse.beat()
        assert renewed == []
        with pulse.beating(a_claim("two")):
            pulse.beat()
        pulse.beat()
    pulse.beat()
    pulse.close()

    assert renewed == [("one", 600.0), ("one", 600.0)]


def test_a_step_that_hangs_is_not_kept_alive() -> None:
    """After the longest time that a step may take its lease runs out, though its process lives."""
    renewed: list[str] = []
    pulse = Pulse(lambda claim, _: renewed.append(claim.token), silence_s=600.0, longest_s=800.0)
    with pulse.beating(a_claim()):
        for _ in range(20):
            pulse.beat()
    pulse.close()

    assert len(renewed) == 4


def test_a_ledger_that_is_away_is_asked_again() -> None:
    """One renewal that does not get through is no end: the next may."""
    asked = []

    def renew(claim: Claim, _: float) -> None:
        asked.append(claim.token)
        raise DependencyDown("away")

    pulse = Pulse(renew, silence_s=600.0, longest_s=6000.0)
    with pulse.beating(a_claim()):
        for _ in range(3):
            pulse.beat()
    pulse.close()

    assert len(asked) == 2


def test_it_beats_by_itself() -> None:
    """While a step works, a thread renews its lease."""
    beaten = threading.Event()
    pulse = Pulse(lambda *_: beaten.set(), silence_s=0.03, longest_s=60.0)
    with pulse.beating(a_claim()):
        assert beaten.wait(30)
    pulse.close()
