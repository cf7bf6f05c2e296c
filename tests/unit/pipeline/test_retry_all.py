"""Retry all that match: the preview, the act, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import a_failure, a_profile, an_opening
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.forecast import Allowance
from jitprov.domain.provisioning import Findings, Provisioning, State
from jitprov.domain.rehearsal import Stations
from jitprov.errors import DependencyDown
from jitprov.ledger.memory_overview import MemoryOverview
from jitprov.ledger.overview import Act, Filter
from jitprov.pipeline.outlook import Pace
from jitprov.pipeline.retry_all import Retrying, preview, retried_by

PACE = Pace(Allowance(), Stations())


@pytest.fixture
def ledger(clock: FixedClock) -> MemoryOverview:
    return MemoryOverview(clock.now)


def failed(ledger: MemoryOverview, name: str = "Robin", **failure: Any) -> Provisioning:
    opening = an_opening()
    ledger.accept([opening], look_after_s=1)
    [seen] = ledger.get_many([opening.provisioning_id])
    known = replace(seen, findings=Findings(profile=a_profile(name=name)))
    assert ledger.change(seen, moves.fail(known, ledger.ping(), a_failure(**failure)), look_after_s=1)
    [record] = ledger.get_many([opening.provisioning_id])
    return record


def test_a_preview_counts_and_changes_nothing(ledger: MemoryOverview) -> None:
    """It tells agents, calls, the time, the causes and who fails again; nobody is moved and nothing noted."""
    for _ in range(3):
        failed(ledger, code="skill_unknown", retry_helps=False)
    failed(ledger, code="unavailable")
    seen = preview(ledger, Filter(), PACE)

    assert (seen.agents, seen.hopeless) == (4, 3)
    assert seen.calls > 8
    assert seen.last_at > seen.at
    assert [cause.count for cause in seen.causes] == [3, 1]
    assert ledger.count()[State.FAILED] == 4
    assert list(ledger.acts()) == []


def test_only_what_matches_is_retried(ledger: MemoryOverview) -> None:
    """An act retries what its filter names, hundreds at a time, and leaves one line that tells the outcome."""
    sent: list[Provisioning] = []
    for number in range(230):
        failed(ledger, f"Robin {number}", code="skill_unknown" if number % 2 else "unavailable")
    retrying = Retrying(ledger, sent.append, grace_s=1)
    told: list[Act] = []
    wanted = Filter(error="skill_unknown")
    act = retrying.begin(wanted, who="Kim", why="mended")
    assert [(each.outcome, each.finished) for each in ledger.acts()] == [("begun", False)]
    done = retrying.go_on(act, wanted, told=told.append)

    assert len(sent) == 115
    assert ledger.count()[State.FAILED] == 115
    assert (done.outcome, done.finished, done.why) == ("115 retried", True, "mended")
    assert [each.outcome for each in told] == ["100 retried", "115 retried"]
    assert list(ledger.acts()) == [done]


def test_who_fails_after_the_act_began_is_left_alone(ledger: MemoryOverview, clock: FixedClock) -> None:
    """One that failed again meanwhile was not what the operator saw: it is not retried round and round."""
    sent: list[Provisioning] = []
    failed(ledger)
    retrying = Retrying(ledger, sent.append, grace_s=1)
    act = retrying.begin(Filter(), who="Kim")
    clock.advance(1)
    late = failed(ledger)
    retrying.go_on(act, Filter())

    assert len(sent) == 1
    assert ledger.get_many([late.provisioning_id])[0].state is State.FAILED


def test_states_that_a_retry_may_move() -> None:
    """Failed ones; cancelled ones only where they are named; never those under way or ready."""
    assert retried_by(Filter()).states == (State.FAILED,)
    assert retried_by(Filter((State.READY, State.RUNNING))).states == (State.FAILED,)
    assert retried_by(Filter((State.CANCELLED,))).states == (State.CANCELLED,)


def test_words_narrow_a_retry_too(ledger: MemoryOverview) -> None:
    """By a name only its bearers are counted and retried; the log does not tell the name."""
    sent: list[Provisioning] = []
    kim = failed(ledger, "Kim")
    failed(ledger, "Robin")
    wanted = Filter(text="kim")

    seen = preview(ledger, wanted, PACE)
    assert (seen.agents, [cause.count for cause in seen.causes]) == (1, [1])
    retrying = Retrying(ledger, sent.append, grace_s=1)
    act = retrying.begin(wanted, who="Kim")
    retrying.go_on(act, wanted)
    assert [record.provisioning_id for record in sent] == [kim.provisioning_id]
    assert "kim" not in act.whom.lower()


def test_a_broker_that_is_away_loses_nobody(ledger: MemoryOverview) -> None:
    """When the broker does not take the messages all are opened again all the same: the reconciler sends them."""

    def away(_: Provisioning) -> None:
        raise DependencyDown("the broker did not take it")

    for _ in range(3):
        failed(ledger)
    retrying = Retrying(ledger, away, grace_s=1)

    assert retrying.go_on(retrying.begin(Filter(), who="Kim"), Filter()).outcome == "3 retried"
    assert ledger.count()[State.ACCEPTED] == 3
