"""What every ledger must keep of events of agents that have a provisioning already, on memory and Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from builders import a_failure, a_skill, an_opening
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.events import Acceptance, Kind, Opening
from jitprov.domain.given import Given, Memory
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.provisioning import COMES_AFTER, NOT_FILLED_IN, Provisioning, State
from jitprov.ledger import Claim, Denied, Ledger
from jitprov.ledger.memory import MemoryLedger
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.operations import Verdict, retry
from jitprov.sealing import Seals


@dataclass
class Kept:
    ledger: Ledger
    pass_time: Callable[[float], None]


@pytest.fixture(params=["memory", "redis"])
def kept(request: pytest.FixtureRequest, clock: FixedClock, key_prefix: str) -> Iterator[Kept]:
    if request.param == "memory":
        yield Kept(MemoryLedger(clock.now), clock.advance)
        return
    ledger = RedisLedger.connect(request.getfixturevalue("redis_url"), key_prefix, seals=Seals("d" * 40))
    yield Kept(ledger, time.sleep)
    ledger.close()


@pytest.fixture
def ledger(kept: Kept) -> Ledger:
    return kept.ledger


def event(ledger: Ledger, kind: Kind = Kind.CHANGE, user_id: str = "", **changes: Any) -> Acceptance:
    opening = replace(an_opening(**({"user_id": user_id} if user_id else {})), kind=kind, **changes)
    [answer] = ledger.accept([opening], look_after_s=10)
    return answer


def seen(ledger: Ledger, accepted: Acceptance) -> Provisioning:
    record = ledger.get(accepted.provisioning_id)
    assert record is not None
    return record


def claimed(ledger: Ledger, accepted: Acceptance) -> Claim:
    record = seen(ledger, accepted)
    claim = ledger.claim(record.provisioning_id, record.step, record.generation, token=uuid4().hex, lease_s=10)
    assert isinstance(claim, Claim), claim
    return claim


def walked(ledger: Ledger, accepted: Acceptance) -> None:
    claim = claimed(ledger, accepted)
    assert ledger.record(claim, moves.advance(claim.record, claim.now, claim.record.findings), look_after_s=10)


def failed(ledger: Ledger, accepted: Acceptance) -> None:
    claim = claimed(ledger, accepted)
    assert ledger.record(claim, moves.fail(claim.record, claim.now, a_failure()), look_after_s=10)


def finished(ledger: Ledger, accepted: Acceptance) -> None:
    while not seen(ledger, accepted).state.ended:
        walked(ledger, accepted)


def due(ledger: Ledger) -> list[str]:
    return [found.record.provisioning_id for found in ledger.due(limit=10)]


def test_a_change_of_a_ready_agent_opens_another(ledger: Ledger) -> None:
    """An agent who is ready and changes gets a provisioning of its own for that, and the agent's id means it."""
    first = event(ledger, Kind.NEW)
    finished(ledger, first)

    second = event(ledger, user_id=first.user_id)

    record = seen(ledger, second)
    found = ledger.find(first.user_id)
    assert not second.duplicate
    assert (record.state, record.kind, record.after) == (State.ACCEPTED, Kind.CHANGE, None)
    assert found is not None
    assert found.provisioning_id == second.provisioning_id
    assert seen(ledger, first).state is State.READY


def test_a_change_of_somebody_unknown_opens_nothing(ledger: Ledger) -> None:
    """Who was never provisioned is not provisioned for being changed, but for coming back; nothing is written."""
    unknown = event(ledger, Kind.CHANGE)
    back = event(ledger, Kind.RETURN)

    assert (unknown.provisioning_id, unknown.duplicate) == ("", True)
    assert ledger.find(unknown.event_id) is None
    assert seen(ledger, back).kind is Kind.RETURN


def test_whom_the_memory_knows_is_known(kept: Kept) -> None:
    """An agent whose provisionings are all forgotten is still one of ours."""
    first = event(kept.ledger, Kind.NEW)
    claim = claimed(kept.ledger, first)
    memory = Memory(given=Given(skills=(a_skill(),)))
    kept.ledger.record(claim, moves.cancel(claim.record, claim.now), look_after_s=10, memory=memory)
    event(kept.ledger, Kind.NEW)  # what was written last must stay, or the ledger counts as lost
    kept.pass_time(0.01)
    assert kept.ledger.forget(ended_before=kept.ledger.ping()) == 1

    assert not event(kept.ledger, user_id=first.user_id).duplicate


def test_changes_before_the_profile_is_read_need_no_other(ledger: Ledger) -> None:
    """What has not begun reads the profile after the event: it serves it too, and knows since when it must read."""
    first = event(ledger, Kind.NEW)

    second = event(ledger, user_id=first.user_id)

    record = seen(ledger, first)
    assert (second.provisioning_id, second.duplicate) == (first.provisioning_id, True)
    assert record.asked_at is not None
    assert record.asked_at >= record.accepted_at
    assert record.state is State.ACCEPTED


def test_a_change_during_a_run_comes_after_it(kept: Kept) -> None:
    """An event while one is under way is neither lost nor overtakes: it waits, and is due when that one has ended."""
    ledger = kept.ledger
    first = event(ledger, Kind.NEW)
    walked(ledger, first)
    second = event(ledger, user_id=first.user_id)
    held = seen(ledger, second)
    denied = ledger.claim(held.provisioning_id, held.step, 1, token="early", lease_s=10)

    assert not second.duplicate
    assert (held.state, held.waiting_for, held.after) == (State.WAITING, COMES_AFTER, first.provisioning_id)
    assert held.parked
    assert isinstance(denied, Denied)
    assert denied.reason == "waiting"
    assert denied.wait_s > 120
    assert due(ledger) == []

    finished(ledger, first)
    kept.pass_time(0.01)
    assert due(ledger) == [second.provisioning_id]
    finished(ledger, second)


def test_many_changes_during_a_run_become_one(ledger: Ledger) -> None:
    """However many events come while one is under way, one more provisioning serves them, known by each id."""
    first = event(ledger, Kind.NEW)
    walked(ledger, first)

    later = [event(ledger, user_id=first.user_id) for _ in range(5)]

    assert {each.provisioning_id for each in later} == {later[0].provisioning_id}
    assert [each.duplicate for each in later] == [False, True, True, True, True]
    found = ledger.find(later[-1].event_id)
    assert found is not None
    assert found.provisioning_id == later[0].provisioning_id
    assert sum(ledger.count().values()) == 2


def test_one_that_failed_is_taken_over(ledger: Ledger) -> None:
    """A later event takes over from a failed one: nobody has to retry it, and nobody can."""
    first = event(ledger, Kind.NEW)
    failed(ledger, first)

    second = event(ledger, user_id=first.user_id)

    record = seen(ledger, first)
    assert not second.duplicate
    assert (record.state, record.superseded_by) == (State.CANCELLED, second.provisioning_id)
    assert ledger.count()[State.FAILED] == 0
    assert not ledger.change(record, moves.resume(record, ledger.ping()), look_after_s=1)
    answer = retry(ledger, lambda _: None, first.provisioning_id, grace_s=1)
    assert answer.verdict is Verdict.REFUSED
    assert second.provisioning_id in answer.text


def test_one_that_fails_with_another_behind_it_is_taken_over(kept: Kept) -> None:
    """When the one under way fails, the one that waits goes on in its place."""
    first = event(kept.ledger, Kind.NEW)
    walked(kept.ledger, first)
    second = event(kept.ledger, user_id=first.user_id)
    failed(kept.ledger, first)
    kept.pass_time(0.01)

    record = seen(kept.ledger, first)
    assert (record.state, record.superseded_by) == (State.CANCELLED, second.provisioning_id)
    assert kept.ledger.count()[State.FAILED] == 0
    assert due(kept.ledger) == [second.provisioning_id]
    finished(kept.ledger, second)


def test_who_waits_behind_a_cancelled_one_still_waits(kept: Kept) -> None:
    """When one that waits is cancelled, what comes next waits for the one under way all the same."""
    ledger = kept.ledger
    first = event(ledger, Kind.NEW)
    walked(ledger, first)
    second = event(ledger, Kind.CLEANUP, first.user_id)
    third = event(ledger, user_id=first.user_id)
    held = seen(ledger, second)
    assert ledger.change(held, moves.cancel(held, ledger.ping()), look_after_s=1)
    fourth = event(ledger, Kind.CLEANUP, first.user_id)

    for waiting in (third, fourth):
        record = seen(ledger, waiting)
        assert isinstance(ledger.claim(record.provisioning_id, record.step, 1, token="t", lease_s=1), Denied)
    finished(ledger, first)
    kept.pass_time(0.01)
    assert due(ledger) == [third.provisioning_id]
    finished(ledger, third)
    kept.pass_time(0.01)
    assert due(ledger) == [fourth.provisioning_id]


def test_after_a_cleanup_a_change_is_nobodys(ledger: Ledger) -> None:
    """Who was cleaned up after is no agent of ours any more: a change gives nothing back, a return does."""
    first = event(ledger, Kind.NEW)
    finished(ledger, first)
    order = Given(skills=(a_skill(),))
    clean = event(ledger, Kind.CLEANUP, first.user_id, order=order)
    assert seen(ledger, clean).findings.order == order
    finished(ledger, clean)

    assert event(ledger, Kind.CHANGE, first.user_id).provisioning_id == ""
    assert not event(ledger, Kind.RETURN, first.user_id).duplicate


def test_an_update_wakes_who_waits_to_be_filled_in(kept: Kept) -> None:
    """One that waits for a department goes on at once when an event says that something changed."""
    ledger = kept.ledger
    first = event(ledger, Kind.NEW)
    walked(ledger, first)
    claim = claimed(ledger, first)
    waits = moves.wait(claim.record, claim.now, 600, a_failure(code=NOT_FILLED_IN), spends=False, counted_s=600)
    assert ledger.record(claim, waits, look_after_s=600)
    assert due(ledger) == []

    second = event(ledger, user_id=first.user_id)
    kept.pass_time(0.01)

    assert second.duplicate
    assert due(ledger) == [first.provisioning_id]
    claimed(ledger, first)


def test_a_repeated_delivery_changes_nothing(ledger: Ledger) -> None:
    """The same update delivered again, in any state, is known by its id."""
    first = event(ledger, Kind.NEW)
    finished(ledger, first)
    second = event(ledger, user_id=first.user_id)
    again = Opening(an_opening().provisioning_id, second.event_id, first.user_id, Kind.CHANGE)
    finished(ledger, second)

    [answer] = ledger.accept([again], look_after_s=10)
    assert (answer.provisioning_id, answer.duplicate) == (second.provisioning_id, True)
    assert sum(ledger.count().values()) == 2


# --- drawn histories --------------------------------------------------------------------------------------------

_USERS = [str(uuid4()) for _ in range(2)]
_ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(list(Kind)), st.sampled_from(_USERS)),
        st.tuples(st.sampled_from(["walk", "fail", "cancel", "wait"]), st.integers(0, 9), st.none()),
    ),
    min_size=3,
    max_size=25,
)


class History:
    """One ledger and what was opened on it, in order."""

    def __init__(self, ledger: Ledger, ids: Iterator[str]) -> None:
        self.ledger, self.ids, self.opened = ledger, ids, list[str]()

    def act(self, what: str, which: Kind | int, user_id: str | None) -> object:
        if isinstance(which, Kind) and user_id is not None:
            opening = Opening(next(self.ids), next(self.ids), user_id, which)
            [answer] = self.ledger.accept([opening], look_after_s=10)
            if not answer.duplicate:
                self.opened.append(answer.provisioning_id)
            return answer
        if not self.opened:
            return None
        record = self.ledger.get(self.opened[int(which) % len(self.opened)])
        assert record is not None
        if what == "cancel":
            cancelled = moves.cancel(record, self.ledger.ping())
            return record.state.ended or self.ledger.change(record, cancelled, look_after_s=10)
        claim = self.ledger.claim(record.provisioning_id, record.step, record.generation, token=uuid4().hex, lease_s=10)
        if isinstance(claim, Denied):
            return claim.reason
        record = claim.record
        after = {
            "walk": lambda: moves.advance(record, claim.now, record.findings),
            "fail": lambda: moves.fail(record, claim.now, a_failure()),
            "wait": lambda: moves.wait(record, claim.now, 0, a_failure(code=NOT_FILLED_IN), spends=False, counted_s=0),
        }[what]()
        return self.ledger.record(claim, after, look_after_s=10)

    def standing(self) -> list[tuple[object, ...]]:
        return [
            (each.user_id, each.state, each.step, each.kind, each.after, each.superseded_by, each.waiting_for)
            for each in self.ledger.get_many(self.opened)
        ]


def _ids() -> Iterator[str]:
    from uuid import UUID  # noqa: PLC0415

    return (provisioning_id_from(UUID(int=number << 80, version=4)) for number in range(1, 1000))


@pytest.fixture(scope="module")
def client(redis_url: str) -> Redis:
    return Redis.from_url(redis_url, decode_responses=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=_ACTS)
def test_both_ledgers_walk_alike_and_nobody_is_served_twice_at_once(client: Redis, acts: list) -> None:
    """Whatever comes in whatever order, both answer alike, and no agent has two that are begun."""
    prefix = f"test:{uuid4().hex[:12]}:"
    redis = History(RedisLedger(client, prefix, Seals("d" * 40)), _ids())
    memory = History(MemoryLedger(FixedClock().now), _ids())

    for act in acts:
        assert redis.act(*act) == memory.act(*act), act
        assert redis.standing() == memory.standing(), act
        begun = [
            each.user_id
            for each in memory.ledger.get_many(memory.opened)
            if not each.state.ended and not (each.state is State.WAITING and each.waiting_for == COMES_AFTER)
        ]
        assert len(begun) == len(set(begun)), act
