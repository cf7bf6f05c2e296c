"""What the board asks of the ledger, run on memory and on a real Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import pytest

from builders import NINE_AM, a_failure, a_profile, an_opening
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.events import Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.provisioning import CORRIDOR, Findings, Provisioning, State, Step
from jitprov.ledger import Claim
from jitprov.ledger.memory_overview import MemoryOverview
from jitprov.ledger.overview import Act, Filter, Overview
from jitprov.ledger.redis_overview import RedisOverview
from jitprov.sealing import Seals

SKILL = {"code": "skill_unknown", "message": "no skill 'Holliday'", "remedy": "Mend rules.yaml", "retry_helps": False}


@dataclass
class Kept:
    ledger: Overview
    pass_time: Callable[[float], None]


@pytest.fixture(params=["memory", "redis"])
def kept(request: pytest.FixtureRequest, clock: FixedClock, key_prefix: str) -> Iterator[Kept]:
    if request.param == "memory":
        yield Kept(MemoryOverview(clock.now), clock.advance)
        return
    ledger = RedisOverview.connect(request.getfixturevalue("redis_url"), key_prefix, seals=Seals("d" * 40))
    yield Kept(ledger, time.sleep)
    ledger.close()


@pytest.fixture
def ledger(kept: Kept) -> Overview:
    return kept.ledger


def opened(ledger: Overview, number: int = 1) -> list[Provisioning]:
    """Accept many in one write: they share their instant, as a group commit's do."""
    openings = [an_opening() for _ in range(number)]
    ledger.accept(openings, look_after_s=10)
    return ledger.get_many([opening.provisioning_id for opening in openings])


def claimed(ledger: Overview, record: Provisioning) -> Claim:
    claim = ledger.claim(record.provisioning_id, record.step, record.generation, token=uuid4().hex, lease_s=10)
    assert isinstance(claim, Claim)
    return claim


def written(ledger: Overview, claim: Claim, after: Provisioning) -> Provisioning:
    assert ledger.record(claim, after, look_after_s=10)
    [seen] = ledger.get_many([after.provisioning_id])
    return seen


def known(ledger: Overview, record: Provisioning, **profile: str) -> Provisioning:
    """Walk the first step, which finds the profile."""
    claim = claimed(ledger, record)
    findings = Findings(profile=a_profile(user_id=record.user_id, **profile))
    return written(ledger, claim, moves.advance(claim.record, claim.now, findings))


def failed(ledger: Overview, record: Provisioning, **failure: object) -> Provisioning:
    claim = claimed(ledger, record)
    return written(ledger, claim, moves.fail(claim.record, claim.now, a_failure(**failure)))


def ready(ledger: Overview, record: Provisioning) -> Provisioning:
    while not record.state.ended:
        claim = claimed(ledger, record)
        record = written(ledger, claim, moves.advance(claim.record, claim.now, claim.record.findings))
    return record


def waiting(ledger: Overview, record: Provisioning, **failure: object) -> Provisioning:
    claim = claimed(ledger, record)
    after = moves.wait(claim.record, claim.now, 0.0, a_failure(**failure), spends=False, counted_s=0)
    return written(ledger, claim, after)


def pages(ledger: Overview, wanted: Filter, limit: int) -> list[str]:
    """Return all ids, page by page."""
    ids, after = [], None
    while True:
        found = ledger.search(wanted, after=after, limit=limit)
        assert len(found.records) <= limit
        ids += [record.provisioning_id for record in found.records]
        after = found.following
        if after is None:
            return ids


def test_pages_cover_all_once_even_when_accepted_in_one_write(ledger: Overview) -> None:
    """Keyset pages neither skip nor repeat, though hundreds share one instant, and end without an empty page."""
    expected = {record.provisioning_id for _ in range(3) for record in opened(ledger, 7)}

    for limit in (1, 4, 7, 20, 21, 100):
        ids = pages(ledger, Filter(), limit)
        assert len(ids) == 21
        assert set(ids) == expected


def test_more_than_one_stretch_of_ties(ledger: Overview) -> None:
    """A burst larger than what one look covers is still walked whole."""
    opened(ledger, 1203)

    assert sum(ledger.tally(Filter()).values()) == 1203
    assert len(set(pages(ledger, Filter((State.ACCEPTED, State.READY)), 100))) == 1203


def test_pages_hold_while_agents_come_and_move(kept: Kept) -> None:
    """Between two pages some move to other states and new ones arrive: nobody not yet shown is skipped."""
    ledger = kept.ledger
    first = opened(ledger, 10)
    before = ledger.search(Filter(), limit=4)
    shown = [record.provisioning_id for record in before.records]
    for record in first[::2]:
        ready(ledger, record)
    kept.pass_time(0.005)
    later = opened(ledger, 3)
    rest = ledger.search(Filter(), after=before.following, limit=100)

    ids = shown + [record.provisioning_id for record in rest.records]
    assert ids == sorted(record.provisioning_id for record in first) + sorted(
        record.provisioning_id for record in later
    )


def test_a_place_that_is_none_is_refused(ledger: Overview) -> None:
    """A cursor made up by a hand is an error of the asker, not of the store."""
    for wrong in ("x", "12", "-", "12-", "1'2-a", "٣-a"):
        with pytest.raises(ValueError, match="place"):
            ledger.search(Filter(), after=wrong)


def test_filters_find(ledger: Overview) -> None:
    """State, step, error, department and words each narrow, together too; case does not matter for people's words."""
    one, two, three, _ = opened(ledger, 4)
    one_id, two_id, three_id = (record.provisioning_id for record in (one, two, three))
    robin = known(ledger, one, name="Robin Exämple", email="robin@example.test", department="Seasonal_Retail")
    robin = failed(ledger, robin, **SKILL)
    kim = known(ledger, two, name="Kim Sample", email="kim@example.test", department="Seasonal_Tech_Support")
    kim = waiting(ledger, kim, code="station_late")
    ready(ledger, known(ledger, three, name="Robin Other", email="other@example.test", department="Seasonal_Retail"))

    def ids(**wanted: object) -> list[str]:
        return [record.provisioning_id for record in ledger.search(Filter(**wanted)).records]  # type: ignore[arg-type]

    assert ids(states=(State.FAILED,)) == [robin.provisioning_id]
    assert ids(step=Step.RESOLVE_SKILLS, states=(State.FAILED, State.WAITING)) == sorted([one_id, two_id])
    assert ids(error="skill_unknown") == [robin.provisioning_id]
    assert ids(error="station_late") == [kim.provisioning_id]
    assert ids(department="seasonal_retail") == sorted([one_id, three_id])
    assert ids(text="ROBIN") == sorted([one_id, three_id])
    assert ids(text="EXÄMPLE robin") == [robin.provisioning_id]
    assert ids(text=kim.user_id[4:20].upper()) == [kim.provisioning_id]
    assert ids(text="%[a-z]*") == []
    assert ids(department="Seasonal_Retail", states=(State.FAILED,), text="kim") == []
    assert ledger.tally(Filter(department="Seasonal_Retail")) == {Step.RESOLVE_SKILLS: 1, CORRIDOR[-1]: 1}
    assert ledger.departments() == ["Seasonal_Retail", "Seasonal_Tech_Support"]


def test_one_taken_up_again_no_longer_has_its_error(ledger: Overview) -> None:
    """A worker that takes one out of its wait ends the match by error; so does success."""
    [record] = opened(ledger)
    record = waiting(ledger, record, code="station_late")
    assert ledger.search(Filter(error="station_late")).records
    claim = claimed(ledger, record)
    assert not ledger.search(Filter(error="station_late")).records
    assert not ledger.causes(Filter((State.WAITING,)))
    written(ledger, claim, moves.advance(claim.record, claim.now, Findings()))
    assert not ledger.search(Filter(error="station_late")).records


def test_since_leaves_out_what_came_before(kept: Kept) -> None:
    """What was accepted before is neither found nor counted; what is under way is, whenever it came."""
    ledger = kept.ledger
    opened(ledger)
    kept.pass_time(0.02)
    since = ledger.ping()
    [late] = opened(ledger)

    assert [record.provisioning_id for record in ledger.search(Filter(since=since)).records] == [late.provisioning_id]
    standing = ledger.standing(since)
    assert standing.counts[State.ACCEPTED] == 1
    assert standing.first_accepted_at == late.accepted_at
    assert (standing.older, ledger.standing().older) == (1, 0)
    assert standing.under_way[CORRIDOR[0]] == 2


def test_causes_group_what_the_same_thing_befell(ledger: Overview) -> None:
    """Failures are grouped by step, code, message and remedy, the most frequent first, whatever the status."""
    records = opened(ledger, 6)
    for number, record in enumerate(records[:3]):
        failed(ledger, known(ledger, record), **SKILL, http_status=None, correlation_id=str(number))
    failed(ledger, known(ledger, records[3]), **SKILL | {"message": "no skill 'Xmas'"})
    waiting(ledger, records[4], code="rate_limited", message="the API answered 429")

    causes = ledger.causes(Filter((State.FAILED,)))
    assert [(cause.count, cause.code, cause.message) for cause in causes] == [
        (3, "skill_unknown", "no skill 'Holliday'"),
        (1, "skill_unknown", "no skill 'Xmas'"),
    ]
    assert causes[0].example == min(record.provisioning_id for record in records[:3])
    assert (causes[0].step, causes[0].retry_helps) == (Step.RESOLVE_SKILLS, False)
    assert [cause.code for cause in ledger.causes(Filter((State.WAITING,)))] == ["rate_limited"]
    assert sum(cause.count for cause in ledger.causes(Filter())) == 5
    of_one = Filter((State.FAILED,), text=records[0].user_id)
    assert [cause.count for cause in ledger.causes(of_one)] == [1]
    assert ledger.tally(of_one) == {Step.RESOLVE_SKILLS: 1}
    assert ledger.causes(Filter((State.READY,))) == []


def test_standing_counts_states_and_steps(ledger: Overview) -> None:
    """Counts follow every move: through the steps, into an end, and out of it by a retry."""
    records = opened(ledger, 4)
    done = ready(ledger, records[0])
    broken = failed(ledger, known(ledger, records[1]), **SKILL)
    known(ledger, records[2])

    standing = ledger.standing()
    assert {state: number for state, number in standing.counts.items() if number} == {
        State.ACCEPTED: 1,
        State.RUNNING: 1,
        State.READY: 1,
        State.FAILED: 1,
    }
    assert {step: number for step, number in standing.under_way.items() if number} == {
        Step.FETCH_PROFILE: 1,
        Step.RESOLVE_SKILLS: 1,
    }
    assert standing.oldest_under_way_at == records[0].accepted_at
    assert standing.last_ready_at is not None
    assert done.ended_at is not None
    assert abs(standing.last_ready_at - done.ended_at) < timedelta(milliseconds=1)
    assert ledger.change(broken, moves.resume(broken, ledger.ping()), look_after_s=1)
    assert ledger.standing().under_way[Step.RESOLVE_SKILLS] == 2
    [again] = ledger.get_many([broken.provisioning_id])
    assert ledger.change(again, moves.cancel(again, ledger.ping()), look_after_s=1)
    standing = ledger.standing()
    assert standing.under_way[Step.RESOLVE_SKILLS] == 1
    assert standing.counts[State.CANCELLED] == 1


def test_the_curve_grows(kept: Kept) -> None:
    """The curve tells how many had arrived, were ready and had failed by each instant; a retried failure leaves it."""
    ledger = kept.ledger
    start = ledger.ping()
    records = opened(ledger, 3)
    kept.pass_time(0.01)
    arrived = ledger.ping()
    kept.pass_time(0.01)
    ready(ledger, records[0])
    broken = failed(ledger, records[1])
    end = ledger.ping()

    def marks() -> list[tuple[int, int, int]]:
        instants = [start - timedelta(seconds=1), arrived, end]
        return [(mark.arrived, mark.ready, mark.failed) for mark in ledger.curve(None, instants)]

    assert marks() == [(0, 0, 0), (3, 0, 0), (3, 1, 1)]
    assert ledger.curve(end + timedelta(seconds=1), [end])[0].arrived == 0
    assert ledger.change(broken, moves.resume(broken, end), look_after_s=1)
    assert marks()[-1] == (3, 1, 0)


def test_ahead_are_later_steps_and_earlier_arrivals(kept: Kept) -> None:
    """Before one are served those at later steps, and those at its own that came earlier; ended ones are not."""
    ledger = kept.ledger
    [early] = opened(ledger)
    kept.pass_time(0.005)
    [robin] = opened(ledger)
    kept.pass_time(0.005)
    late, further, gone = opened(ledger, 3)
    known(ledger, further)
    ready(ledger, gone)

    before = ledger.ahead(robin)
    assert {step: number for step, number in before.items() if number} == {
        Step.FETCH_PROFILE: 1,
        Step.RESOLVE_SKILLS: 1,
    }
    assert sum(ledger.ahead(early).values()) == 1
    assert sum(ledger.ahead(late).values()) == 3


def test_what_is_forgotten_leaves_the_curve(kept: Kept) -> None:
    """Dropped provisionings are in no count and no curve any more."""
    ledger = kept.ledger
    ready(ledger, opened(ledger)[0])
    kept.pass_time(0.01)
    now = ledger.ping()
    assert ledger.forget(ended_before=now + timedelta(seconds=1)) == 1

    [mark] = ledger.curve(None, [now])
    assert (mark.arrived, mark.ready) == (0, 0)
    assert ledger.standing().last_ready_at is None


def test_acts_are_kept_newest_first(ledger: Overview) -> None:
    """The log keeps the newest acts; a later note of the same act replaces it."""
    acts = [
        Act(str(number), NINE_AM + timedelta(seconds=number), "Kim", "retry", "all", why="mended")
        for number in range(5)
    ]
    for act in acts:
        ledger.note(act, keep=3)
    ledger.note(replace(acts[3], outcome="done"), keep=3)

    assert list(ledger.acts()) == [acts[4], replace(acts[3], outcome="done"), acts[2]]
    assert list(ledger.acts(limit=1)) == [acts[4]]


def test_order_is_by_id_among_equals(ledger: Overview) -> None:
    """Ids of one instant come in their own order, letters after digits, on both ledgers."""
    ids = [provisioning_id_from(uuid4()) for _ in range(30)]
    ledger.accept([Opening(each, str(uuid4()), str(uuid4())) for each in ids], look_after_s=1)

    assert pages(ledger, Filter(), 7) == sorted(ids)
