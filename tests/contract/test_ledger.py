"""What every ledger must keep, run on memory and on a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from builders import a_failure, a_phone, a_profile, a_wanted_state, an_opening
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import CORRIDOR, Findings, Provisioning, State, Step, StepState
from jitprov.errors import DependencyDown
from jitprov.ledger import Claim, Denied, Ledger
from jitprov.ledger.memory import MemoryLedger
from jitprov.ledger.redis import RedisLedger
from jitprov.sealing import Seals

FIRST = CORRIDOR[0]


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


def opened(ledger: Ledger, **changes: str) -> Provisioning:
    opening = an_opening(**changes)
    ledger.accept([opening], look_after_s=10)
    record = ledger.get(opening.provisioning_id)
    assert record is not None
    return record


def claimed(ledger: Ledger, record: Provisioning, token: str = "t1", lease_s: float = 10) -> Claim:
    claim = ledger.claim(record.provisioning_id, record.step, record.generation, token=token, lease_s=lease_s)
    assert isinstance(claim, Claim), claim
    return claim


def denied(ledger: Ledger, record: Provisioning, step: Step = FIRST, generation: int = 1, token: str = "t2") -> Denied:
    answer = ledger.claim(record.provisioning_id, step, generation, token=token, lease_s=10)
    assert isinstance(answer, Denied), answer
    return answer


def walked(ledger: Ledger, record: Provisioning, findings: Findings | None = None) -> Provisioning:
    """Walk one step."""
    claim = claimed(ledger, record, token=f"walk-{record.step}-{record.generation}")
    after = moves.advance(claim.record, claim.now, findings or claim.record.findings)
    assert ledger.record(claim, after, look_after_s=10)
    seen = ledger.get(record.provisioning_id)
    assert seen is not None
    return seen


def ready(ledger: Ledger, **changes: str) -> Provisioning:
    record = opened(ledger, **changes)
    while not record.state.ended:
        record = walked(ledger, record)
    return record


def failed(ledger: Ledger) -> Provisioning:
    record = walked(ledger, opened(ledger))
    claim = claimed(ledger, record)
    assert ledger.record(claim, moves.fail(claim.record, claim.now, a_failure()), look_after_s=10)
    seen = ledger.get(record.provisioning_id)
    assert seen is not None
    return seen


def test_an_accepted_event_is_there_with_every_step_to_come(ledger: Ledger) -> None:
    """What was accepted can be read back, at its first step, with a task id for each step."""
    opening = an_opening()
    [answer] = ledger.accept([opening], look_after_s=10)

    record = ledger.get(opening.provisioning_id)
    assert record is not None
    assert not answer.duplicate
    assert (record.state, record.step, record.event_id, record.user_id) == (
        State.ACCEPTED,
        FIRST,
        opening.event_id,
        opening.user_id,
    )
    assert len({record.task_id(step) for step in CORRIDOR}) == len(CORRIDOR)


def test_an_event_opens_once(ledger: Ledger) -> None:
    """The same event again, even in the same call, answers the first provisioning and opens none."""
    first = an_opening()
    again = replace(first, provisioning_id=an_opening().provisioning_id)
    answers = ledger.accept([first, again, again], look_after_s=10)

    assert [answer.duplicate for answer in answers] == [False, True, True]
    assert {answer.provisioning_id for answer in answers} == {first.provisioning_id}
    assert sum(ledger.count().values()) == 1


def test_an_event_opens_once_whomever_it_names(ledger: Ledger) -> None:
    """The sender's id decides: an id that comes again with another user opens nothing."""
    first = opened(ledger)

    [answer] = ledger.accept([an_opening(event_id=first.event_id)], look_after_s=10)
    assert (answer.duplicate, answer.provisioning_id) == (True, first.provisioning_id)


def test_a_user_opens_once(ledger: Ledger) -> None:
    """Another event of the same user is a duplicate, and its id leads to the user's provisioning from then on."""
    first = opened(ledger)
    second = an_opening(user_id=first.user_id)
    [answer] = ledger.accept([second], look_after_s=10)

    found = ledger.find(second.event_id)
    assert answer.duplicate
    assert answer.provisioning_id == first.provisioning_id
    assert found is not None
    assert found.provisioning_id == first.provisioning_id


def test_accepting_is_safe_to_repeat(ledger: Ledger) -> None:
    """The same opening sent twice, as after a lost answer, is not called a duplicate of itself."""
    opening = an_opening()
    ledger.accept([opening], look_after_s=10)

    [answer] = ledger.accept([opening], look_after_s=10)
    assert not answer.duplicate


def test_concurrent_accepts_of_one_user_open_once(ledger: Ledger) -> None:
    """Forty threads that accept the same user open exactly one provisioning."""
    user_id = an_opening().user_id
    fresh: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: fresh.append(not ledger.accept([an_opening(user_id=user_id)], look_after_s=10)[0].duplicate)
        )
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(fresh) == 1
    assert sum(ledger.count().values()) == 1


def test_everything_leads_to_the_provisioning(ledger: Ledger) -> None:
    """Task id of any step, provisioning, user and event id in any case, and e-mail address all find it."""
    record = opened(ledger)
    profile = a_profile(user_id=record.user_id, email="Robin.Example@example.test")
    record = walked(ledger, record, Findings(profile=profile))
    names = [
        record.provisioning_id,
        record.user_id,
        record.event_id,
        record.user_id.upper(),
        "robin.example@EXAMPLE.test",
    ]
    names += [record.task_id(step) for step in CORRIDOR]

    assert [found.provisioning_id for name in names if (found := ledger.find(name))] == [record.provisioning_id] * len(
        names
    )


@pytest.mark.parametrize(
    "name", ["", "nonsense", "nobody@example.test", "a" * 10_000, "*", "92d2d43f-b8ba-4273-81a2-5f30ff1596b6"]
)
def test_an_unknown_name_finds_nothing(ledger: Ledger, name: str) -> None:
    """A name that leads nowhere answers None, whatever it looks like."""
    opened(ledger)

    assert ledger.find(name) is None


def test_a_task_id_of_a_run_to_come_finds_nothing(ledger: Ledger) -> None:
    """A task id of a generation that was never opened belongs to nobody."""
    record = opened(ledger)

    assert ledger.find(f"{record.provisioning_id[:-4]}0021") is None


def test_findings_come_back_as_they_went(ledger: Ledger) -> None:
    """Profile, wanted state, phone and station survive the store unchanged."""
    findings = Findings(a_profile(name="Zoë 🎧"), a_wanted_state(), a_phone(), "station-1")
    record = walked(ledger, opened(ledger), findings)

    assert record.findings == findings


def test_walking_all_steps_ends_ready(ledger: Ledger) -> None:
    """Each step done moves it on; after the last it is ready, once, with every step done."""
    record = ready(ledger)

    assert record.state is State.READY
    assert record.ended_at is not None
    assert {held.state for held in record.steps.values()} == {StepState.DONE}
    assert [held.attempts for held in record.steps.values()] == [1] * len(CORRIDOR)
    assert ledger.count()[State.READY] == 1
    assert sum(ledger.count().values()) == 1


def test_a_running_step_is_seen(ledger: Ledger) -> None:
    """While a worker holds a step, readers see it running, with its attempt and start."""
    record = opened(ledger)
    claimed(ledger, record)

    seen = ledger.get(record.provisioning_id)
    assert seen is not None
    assert (seen.state, seen.steps[FIRST].state, seen.steps[FIRST].attempts) == (State.RUNNING, StepState.RUNNING, 1)
    assert seen.steps[FIRST].began_at is not None


def test_one_holder_at_a_time(ledger: Ledger) -> None:
    """A second worker is turned away while the lease runs."""
    record = opened(ledger)
    claimed(ledger, record)

    assert denied(ledger, record).reason == "leased"


def test_fifty_workers_one_claim(ledger: Ledger) -> None:
    """Of fifty workers that ask at the same time exactly one gets the step."""
    record = opened(ledger)
    given: list[bool] = []

    def ask(token: str) -> None:
        answer = ledger.claim(record.provisioning_id, FIRST, 1, token=token, lease_s=10)
        given.append(isinstance(answer, Claim))

    threads = [threading.Thread(target=ask, args=(f"t{number}",)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(given) == 1


def test_the_same_token_claims_again_without_an_attempt(ledger: Ledger) -> None:
    """A claim whose answer was lost can be asked again and spends one attempt only."""
    record = opened(ledger)
    claimed(ledger, record, token="same")

    assert claimed(ledger, record, token="same").record.steps[FIRST].attempts == 1


def test_a_lease_that_ran_out_goes_to_the_next(kept: Kept) -> None:
    """After the lease another worker may take the step; the first can neither extend nor write any more."""
    record = opened(kept.ledger)
    first = claimed(kept.ledger, record, token="t1", lease_s=0.1)
    kept.pass_time(0.2)
    second = claimed(kept.ledger, record, token="t2")

    assert second.record.steps[FIRST].attempts == 2
    assert not kept.ledger.still_held(first, lease_s=10)
    assert not kept.ledger.record(first, moves.advance(first.record, first.now, Findings()), look_after_s=1)
    assert kept.ledger.still_held(second, lease_s=10)
    assert kept.ledger.still_held(second, lease_s=0.01), "a renewal makes no lease shorter"
    assert kept.ledger.still_held(second, lease_s=10)


def test_a_lease_that_ran_out_is_no_longer_held(kept: Kept) -> None:
    """Even with nobody else at it, a lease that ran out no longer allows an effect."""
    claim = claimed(kept.ledger, opened(kept.ledger), lease_s=0.1)
    kept.pass_time(0.2)

    assert not kept.ledger.still_held(claim, lease_s=10)


def test_a_held_lease_can_be_made_longer(kept: Kept) -> None:
    """A holder that asks in time keeps the step."""
    record = opened(kept.ledger)
    claim = claimed(kept.ledger, record, lease_s=0.3)
    assert kept.ledger.still_held(claim, lease_s=10)
    kept.pass_time(0.4)

    assert denied(kept.ledger, record).reason == "leased"


@pytest.mark.parametrize(("step", "reason"), [(CORRIDOR[0], "done"), (CORRIDOR[2], "early")])
def test_the_fence_turns_away_other_steps(ledger: Ledger, step: Step, reason: str) -> None:
    """A message of a step that is past, or not yet come, runs nothing."""
    record = walked(ledger, opened(ledger))

    assert denied(ledger, record, step).reason == reason


def test_the_fence_turns_away_older_runs(ledger: Ledger) -> None:
    """After an operator's retry, messages of the run before run nothing, and the new run's do."""
    seen = failed(ledger)
    assert ledger.change(seen, moves.resume(seen, seen.updated_at), look_after_s=10)

    again = ledger.get(seen.provisioning_id)
    assert again is not None
    assert denied(ledger, again, again.step, generation=1).reason == "stale"
    assert claimed(ledger, again).record.generation == 2


def test_ended_ones_are_not_run(ledger: Ledger) -> None:
    """A failed one turns every message away as ended; a ready one as done; an unheard-of one as unknown."""
    seen = failed(ledger)
    assert denied(ledger, seen, seen.step).reason == "ended"
    assert denied(ledger, ready(ledger), CORRIDOR[-1]).reason == "done"
    assert denied(ledger, replace(seen, provisioning_id=an_opening().provisioning_id)).reason == "unknown"


def test_a_write_with_a_spent_lease_changes_nothing(ledger: Ledger) -> None:
    """A record is written once per claim; asked again, since the answer may have been lost, it says yes and no more."""
    record = opened(ledger)
    claim = claimed(ledger, record)
    after = moves.advance(claim.record, claim.now, Findings())
    assert ledger.record(claim, after, look_after_s=1)
    assert ledger.record(claim, moves.fail(claim.record, claim.now, a_failure()), look_after_s=1)

    seen = ledger.get(record.provisioning_id)
    assert seen is not None
    assert seen.state is State.RUNNING


def test_waiting_is_kept_until_its_time(kept: Kept) -> None:
    """A step that waits turns messages away until its time, then runs; a retry has spent its attempt."""
    record = opened(kept.ledger)
    claim = claimed(kept.ledger, record)
    waiting = moves.wait(claim.record, claim.now, 0.5, a_failure(), spends=True, counted_s=0.5)
    assert kept.ledger.record(claim, waiting, look_after_s=1)

    answer = denied(kept.ledger, record)
    assert (answer.reason, 0 < answer.wait_s <= 0.5) == ("waiting", True)
    seen = kept.ledger.get(record.provisioning_id)
    assert seen is not None
    assert (seen.state, seen.waiting_for, seen.steps[FIRST].attempts) == (State.WAITING, "unavailable", 1)
    kept.pass_time(0.55)
    assert claimed(kept.ledger, record, token="t3").record.steps[FIRST].attempts == 2


def test_a_snooze_gives_the_attempt_back(ledger: Ledger) -> None:
    """Waiting for the budget spends no attempt, and its time is counted."""
    record = opened(ledger)
    claim = claimed(ledger, record)
    snoozed = moves.wait(claim.record, claim.now, 0.0, a_failure(), spends=False, counted_s=7.0)
    assert ledger.record(claim, snoozed, look_after_s=1)

    held = claimed(ledger, record, token="t3").record.steps[FIRST]
    assert (held.attempts, held.waited_s) == (1, 7.0)


def test_an_operators_change_needs_what_was_seen(ledger: Ledger) -> None:
    """A retry decided on an old reading is refused; so is one while a worker holds the step."""
    seen = failed(ledger)
    resumed = moves.resume(seen, seen.updated_at)
    assert ledger.change(seen, resumed, look_after_s=1)
    assert not ledger.change(seen, resumed, look_after_s=1)

    record = opened(ledger)
    claim = claimed(ledger, record)
    assert not ledger.change(claim.record, moves.cancel(claim.record, claim.now), look_after_s=1)


def test_two_retries_at_once_make_one(ledger: Ledger) -> None:
    """Of twenty operators who retry the same failure at once exactly one opens a new run."""
    seen = failed(ledger)
    done: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: done.append(ledger.change(seen, moves.resume(seen, seen.updated_at), look_after_s=1))
        )
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    again = ledger.get(seen.provisioning_id)
    assert again is not None
    assert (sum(done), again.generation) == (1, 2)


def test_old_task_ids_still_lead_to_it_after_a_retry(ledger: Ledger) -> None:
    """The failed task's id, copied from Flower, finds the provisioning also after its retry."""
    seen = failed(ledger)
    old_id = seen.task_id()
    assert ledger.change(seen, moves.resume(seen, seen.updated_at), look_after_s=1)

    found = ledger.find(old_id)
    assert found is not None
    assert (found.provisioning_id, found.task_id() != old_id) == (seen.provisioning_id, True)


def test_a_cancel_reaches_the_holder(ledger: Ledger) -> None:
    """A cancel asked for while a worker holds it shows on the next claim; an ended one cannot be asked."""
    record = opened(ledger)
    claimed(ledger, record, token="same")
    assert ledger.ask_cancel(record.provisioning_id)
    assert claimed(ledger, record, token="same").record.cancel_asked

    assert not ledger.ask_cancel(ready(ledger).provisioning_id)


def test_due_tells_what_the_reconciler_must_see(kept: Kept) -> None:
    """Nothing is due before its time; then what waits for a message, and what lost its worker, told apart."""
    opening, other = an_opening(), an_opening()
    kept.ledger.accept([opening, other], look_after_s=0.2)
    record = kept.ledger.get(other.provisioning_id)
    assert record is not None
    claimed(kept.ledger, record, lease_s=0.2)
    assert kept.ledger.due(limit=10) == []
    kept.pass_time(0.3)

    found = {due.record.provisioning_id: due.lease_lost for due in kept.ledger.due(limit=10)}
    assert found == {opening.provisioning_id: False, other.provisioning_id: True}


def test_a_look_is_noted(kept: Kept) -> None:
    """Misses are counted until a worker takes it; republishing is counted for good; the next look comes in time."""
    opening = an_opening()
    kept.ledger.accept([opening], look_after_s=0)
    kept.ledger.looked(opening.provisioning_id, missed=1, look_after_s=0)
    [due] = kept.ledger.due(limit=10)
    assert due.missed == 1

    kept.ledger.looked(opening.provisioning_id, missed=0, look_after_s=5, republished=True)
    assert kept.ledger.due(limit=10) == []
    record = kept.ledger.get(opening.provisioning_id)
    assert record is not None
    assert claimed(kept.ledger, record).record.republished == 1


def test_an_ended_one_is_never_due(kept: Kept) -> None:
    """A ready one is not looked at again, not even by a look that began before it ended."""
    record = ready(kept.ledger)
    kept.ledger.looked(record.provisioning_id, missed=1, look_after_s=0)
    kept.pass_time(0.01)

    assert kept.ledger.due(limit=10) == []


def test_pages_are_in_order_of_acceptance(ledger: Ledger) -> None:
    """Lists come first accepted first, by state or all together, in pages that do not overlap."""
    records = [opened(ledger) for _ in range(5)]
    first_ready = records[2]
    while not first_ready.state.ended:
        first_ready = walked(ledger, first_ready)

    pages = [ledger.page(offset=offset, limit=2) for offset in (0, 2, 4)]
    assert [record.provisioning_id for page in pages for record in page] == [r.provisioning_id for r in records]
    assert [record.provisioning_id for record in ledger.page((State.READY,))] == [first_ready.provisioning_id]
    assert len(ledger.page((State.ACCEPTED,))) == 4


def test_those_who_wait_for_their_profile_are_known(ledger: Ledger) -> None:
    """Users whose first step is not done are listed, those held by workers before those who wait, and nobody else."""
    begun, first, second, past = opened(ledger), opened(ledger), opened(ledger), opened(ledger)
    claimed(ledger, begun)
    walked(ledger, past)

    assert list(ledger.waiting_users(limit=10)) == [begun.user_id, first.user_id, second.user_id]
    assert list(ledger.waiting_users(limit=2)) == [begun.user_id, first.user_id]


def test_forgetting_drops_only_what_ended_well_long_ago(kept: Kept) -> None:
    """A ready one is forgotten with all its ids after its time; failed and open ones stay."""
    old = ready(kept.ledger)
    [alias] = [an_opening(user_id=old.user_id)]
    kept.ledger.accept([alias], look_after_s=1)
    stays = failed(kept.ledger)
    kept.pass_time(0.05)
    now = kept.ledger.ping()
    assert kept.ledger.forget(ended_before=now - timedelta(days=1)) == 0

    assert kept.ledger.forget(ended_before=now) == 1
    assert [kept.ledger.find(name) for name in (old.provisioning_id, old.user_id, old.event_id, alias.event_id)] == [
        None
    ] * 4
    assert kept.ledger.find(stays.user_id) is not None


def test_quarantine_keeps_the_newest(ledger: Ledger) -> None:
    """Refused bodies are described newest first, and no more than asked are kept."""
    for number in range(5):
        entry = {"id": f"id-{number}", "cause": str(number)}
        ledger.quarantine(entry, keep=3, sealed=f"sealed {number}")

    assert [entry["cause"] for entry in ledger.quarantined()] == ["4", "3", "2"]
    bodies = [ledger.sealed_body(f"id-{number}") for number in range(5)]
    assert bodies == ["", "", "sealed 2", "sealed 3", "sealed 4"]


def test_quarantine_without_text(ledger: Ledger) -> None:
    """A body that is not kept leaves its description alone."""
    ledger.quarantine({"id": "not-kept"}, keep=9)

    assert [entry["id"] for entry in ledger.quarantined()] == ["not-kept"]
    assert ledger.sealed_body("not-kept") == ledger.sealed_body("unknown") == ""
    assert not ledger.release("")


def test_quarantine_is_forgotten(ledger: Ledger) -> None:
    """What was refused before an instant is forgotten with all else from before it."""
    ledger.quarantine({"id": "old"}, keep=9, sealed="sealed")

    ledger.forget(ended_before=ledger.ping() - timedelta(days=1))
    assert ledger.sealed_body("old") == "sealed"
    ledger.forget(ended_before=ledger.ping() + timedelta(days=1))
    assert ledger.quarantined() == []
    assert ledger.sealed_body("old") == ""


def test_release_from_quarantine(ledger: Ledger) -> None:
    """A released entry is gone with its text, once; the others stay."""
    for name in ("a", "b", "c"):
        ledger.quarantine({"id": name}, keep=9, sealed=f"sealed {name}")

    assert ledger.release("b")
    assert not ledger.release("b")
    assert [entry["id"] for entry in ledger.quarantined()] == ["c", "a"]
    assert (ledger.sealed_body("a"), ledger.sealed_body("b")) == ("sealed a", "")


def test_a_ledger_out_of_reach_says_so(key_prefix: str) -> None:
    """Without its Redis every call ends as DependencyDown, which names no password."""
    ledger = RedisLedger.connect("redis://:s3cret@127.0.0.1:1/0", key_prefix, timeout_s=0.5)
    with pytest.raises(DependencyDown) as raised:
        ledger.accept([an_opening()], look_after_s=1)
    ledger.close()

    assert "s3cret" not in str(raised.value)


def test_those_who_stand_at_a_step_come_with_what_was_found(ledger: Ledger) -> None:
    """Whose next step it is, the first accepted first, no more than asked for; others and the ended are absent."""
    first, second, third = (opened(ledger) for _ in range(3))
    for record in (second, first):
        walked(ledger, record, Findings(profile=a_profile()))

    standing = ledger.standing_at(CORRIDOR[1], limit=10)
    assert [record.user_id for record in standing] == [first.user_id, second.user_id]
    assert all(record.findings.profile for record in standing)
    assert len(ledger.standing_at(CORRIDOR[1], limit=1)) == 1
    assert list(ledger.standing_at(FIRST, limit=10)) == [third]
