"""Cancel all that match: the preview, the act, and whom it leaves alone."""

from __future__ import annotations

import pytest

from builders import a_failure, an_opening
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.forecast import Allowance
from jitprov.domain.provisioning import CORRIDOR, Provisioning, State
from jitprov.domain.rehearsal import Stations
from jitprov.ledger.memory_overview import MemoryOverview
from jitprov.ledger.overview import Act, Filter
from jitprov.pipeline.cancel_all import cancelled_by, cancelling, preview_cancel
from jitprov.pipeline.outlook import Pace

PACE = Pace(Allowance(), Stations())
UNDER_WAY = (State.ACCEPTED, State.RUNNING, State.WAITING)


@pytest.fixture
def ledger(clock: FixedClock) -> MemoryOverview:
    return MemoryOverview(clock.now)


def opened(ledger: MemoryOverview) -> Provisioning:
    opening = an_opening()
    ledger.accept([opening], look_after_s=1)
    [record] = ledger.get_many([opening.provisioning_id])
    return record


def test_the_preview_counts_those_under_way(ledger: MemoryOverview) -> None:
    """It tells agents, steps and the calls that are spared; failed ones are not meant, and nobody is moved."""
    for _ in range(3):
        opened(ledger)
    broken = opened(ledger)
    assert ledger.change(broken, moves.fail(broken, ledger.ping(), a_failure()), look_after_s=1)
    seen = preview_cancel(ledger, Filter(), PACE)

    assert (seen.agents, dict(seen.steps)) == (3, {CORRIDOR[0]: 3})
    assert seen.calls >= 6
    assert ledger.count()[State.ACCEPTED] == 3


@pytest.mark.parametrize(
    ("states", "meant"),
    [
        ((), UNDER_WAY),
        ((State.FAILED,), (State.FAILED,)),
        ((State.READY,), UNDER_WAY),
        ((State.WAITING, State.READY), (State.WAITING,)),
    ],
)
def test_failed_ones_are_meant_only_by_name(states: tuple[State, ...], meant: tuple[State, ...]) -> None:
    """Who is ready or cancelled is never meant."""
    assert cancelled_by(Filter(states)).states == meant


def test_whoever_comes_later_is_left_alone(ledger: MemoryOverview, clock: FixedClock) -> None:
    """Those accepted after the act began go on: they are not those whom the operator saw."""
    wanted = cancelled_by(Filter())
    for _ in range(120):
        opened(ledger)
    all_of_them = cancelling(ledger, grace_s=1)
    act = all_of_them.begin(wanted, who="Kim", why="wrong file")
    clock.advance(1)
    late = opened(ledger)
    told: list[Act] = []
    done = all_of_them.go_on(act, wanted, told=told.append)

    assert (done.outcome, done.finished, len(told)) == ("120 cancelled", True, 2)
    assert ledger.count()[State.CANCELLED] == 120
    assert ledger.get(late.provisioning_id) == late
    assert list(ledger.acts()) == [done]


def test_what_a_worker_holds_is_asked(ledger: MemoryOverview) -> None:
    """One whose step runs ends when that does, and the outcome says so; one that ended meanwhile is counted apart."""
    held, gone = opened(ledger), opened(ledger)
    ledger.claim(held.provisioning_id, held.step, 1, token="t", lease_s=60)
    all_of_them = cancelling(ledger, grace_s=1)
    wanted = cancelled_by(Filter())
    act = all_of_them.begin(wanted, who="Kim")
    search = ledger.search

    def search_while_one_ends(*args: object, **kwargs: object) -> object:
        found = search(wanted)
        assert ledger.change(gone, moves.cancel(gone, ledger.ping()), look_after_s=1)
        return found

    ledger.search = search_while_one_ends  # type: ignore[method-assign, assignment]
    done = all_of_them.go_on(act, wanted)

    assert done.outcome == "0 cancelled, 1 end when their step does, 1 had ended"
