"""What an operator may do: retry and cancel, by any id, in any state, at any moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import a_failure, a_profile, an_opening
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.ids import GENERATIONS_MAX
from jitprov.domain.provisioning import CORRIDOR, Findings, Provisioning, State, Step
from jitprov.errors import DependencyDown
from jitprov.ledger import Claim
from jitprov.ledger.memory import MemoryLedger
from jitprov.pipeline.operations import SETTLE_S, Answer, Verdict, cancel, retry

GRACE_S, LEASE_S = 20.0, 60.0
UNKNOWN_ID = "0b9a1c7e-3f52-4d68-9a01-5c7e3f520000"


class House:
    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.ledger = MemoryLedger(clock.now)
        self.sent: list[Provisioning] = []
        self.broker_away = False
        opening = an_opening()
        self.ledger.accept([opening], look_after_s=GRACE_S)
        self.id = opening.provisioning_id

    def enqueue(self, record: Provisioning) -> None:
        if self.broker_away:
            raise DependencyDown("away")
        self.sent.append(record)

    def record(self) -> Provisioning:
        record = self.ledger.get(self.id)
        assert record is not None
        return record

    def claim(self) -> Claim:
        record = self.record()
        claim = self.ledger.claim(self.id, record.step, record.generation, token=f"t{record.version}", lease_s=LEASE_S)
        assert isinstance(claim, Claim)
        return claim

    def move(self, move: Callable[..., Provisioning], *told: Any, **named: Any) -> None:
        """Run the current step to the end that `move` makes."""
        claim = self.claim()
        after = move(claim.record, claim.now, *told, **named)
        assert self.ledger.record(claim, after, look_after_s=GRACE_S)

    def advance(self) -> None:
        record = self.record()
        self.move(moves.advance, replace(record.findings, profile=a_profile(user_id=record.user_id)))

    def fail_at(self, step: Step) -> None:
        while self.record().step is not step:
            self.advance()
        self.move(moves.fail, a_failure())

    def retry(self, any_id: str | None = None) -> Answer:
        return retry(self.ledger, self.enqueue, any_id or self.id, grace_s=GRACE_S)

    def cancel(self, any_id: str | None = None) -> Answer:
        return cancel(self.ledger, any_id or self.id, grace_s=GRACE_S)


@pytest.fixture
def house(clock: FixedClock) -> House:
    return House(clock)


def to_waiting(house: House) -> None:
    house.move(moves.wait, 30.0, a_failure(), spends=True, counted_s=0.0)


def to_ready(house: House) -> None:
    while not house.record().state.ended:
        house.advance()


# --- retry --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", CORRIDOR)
def test_a_failed_one_goes_on_at_the_failed_step(house: House, step: Step) -> None:
    """A retry opens the next run at the failed step and sends the rest of the chain under new task ids."""
    house.fail_at(step)
    failed = house.record()

    answer = house.retry()

    assert answer.verdict is Verdict.DONE
    (sent,) = house.sent
    assert (sent.step, sent.generation) == (step, 2)
    assert sent.task_id() != failed.task_id()
    assert sent.task_id() in answer.text
    record = house.record()
    assert (record.state, record.step, record.failure) == (State.ACCEPTED, step, None)
    assert record.findings == failed.findings
    to_ready(house)
    assert house.record().state is State.READY


@pytest.mark.parametrize(
    "kind", ["provisioning", "failed task", "first task", "a task to come", "user", "event", "e-mail"]
)
def test_any_id_leads_to_it(house: House, kind: str) -> None:
    """The operator may name the failed task as Flower shows it, any other task of the agent, or the agent."""
    house.fail_at(Step.PATCH_SKILLS)
    record = house.record()
    assert record.findings.profile is not None
    any_id = {
        "provisioning": record.provisioning_id,
        "failed task": record.task_id(),
        "first task": record.task_id(CORRIDOR[0]),
        "a task to come": record.task_id(CORRIDOR[-1]),
        "user": record.user_id,
        "event": record.event_id,
        "e-mail": record.findings.profile.email.upper(),
    }[kind]

    assert house.retry(any_id).verdict is Verdict.DONE
    assert house.record().generation == 2


def test_an_old_runs_task_id_still_leads_to_it(house: House) -> None:
    """The task id of the first failure is good for the second retry."""
    house.fail_at(CORRIDOR[0])
    first_id = house.record().task_id()
    house.retry(first_id)
    house.fail_at(CORRIDOR[0])

    assert house.retry(first_id).verdict is Verdict.DONE
    assert house.record().generation == 3


def test_a_second_retry_has_nothing_to_do(house: House) -> None:
    """Retrying twice in a row opens one run and sends one message."""
    house.fail_at(Step.CREATE_PHONE)
    house.retry()

    answer = house.retry()

    assert answer.verdict is Verdict.NOTHING_TO_DO
    assert "goes on by itself" in answer.text
    assert (len(house.sent), house.record().generation) == (1, 2)


def test_of_two_retries_at_once_one_is_done(house: House) -> None:
    """When two operators retry at the same moment, one run is opened and both get a clear answer."""
    house.fail_at(Step.CREATE_PHONE)
    answers: list[Answer] = []
    ping = house.ledger.ping

    def ping_while_another_retries() -> Any:
        house.ledger.ping = ping  # type: ignore[method-assign]
        answers.append(house.retry())
        return ping()

    house.ledger.ping = ping_while_another_retries  # type: ignore[method-assign]
    answers.append(house.retry())

    assert [answer.verdict for answer in answers] == [Verdict.DONE, Verdict.NOTHING_TO_DO]
    assert answers[1].record == house.record()
    assert (len(house.sent), house.record().generation) == (1, 2)


def test_a_cancelled_one_is_taken_up_again(house: House) -> None:
    """A cancelled provisioning goes on where it was cancelled."""
    house.advance()
    house.cancel()

    assert house.retry().verdict is Verdict.DONE
    assert (house.record().state, house.record().step) == (State.ACCEPTED, Step.RESOLVE_SKILLS)


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        (lambda _: None, "accepted at fetch_profile"),
        (lambda house: house.claim(), "running at fetch_profile"),
        (lambda house: house.advance(), "running at resolve_skills"),
        (to_waiting, "waiting at fetch_profile"),
        (to_ready, "call-ready"),
    ],
)
def test_what_has_not_failed_is_left_alone(house: House, reach: Callable[[House], None], words: str) -> None:
    """Retrying what goes on by itself, or is ready, changes nothing, sends nothing and says so."""
    reach(house)
    before = house.record()

    answer = house.retry()

    assert (answer.verdict, answer.record) == (Verdict.NOTHING_TO_DO, before)
    assert words in answer.text
    assert house.sent == []
    assert house.record() == before


@pytest.mark.parametrize(
    "any_id", [UNKNOWN_ID, UNKNOWN_ID[:-4] + "0011", "nobody@example.test", "", "  ", "a' OR 1=1", "*"]
)
@pytest.mark.parametrize("wish", ["retry", "cancel"])
def test_an_unknown_id_is_answered_with_what_would_be_known(house: House, any_id: str, wish: str) -> None:
    """An id that nobody knows changes nothing, and the answer says which ids there are."""
    answer = (
        retry(house.ledger, house.enqueue, any_id, grace_s=1)
        if wish == "retry"
        else cancel(house.ledger, any_id, grace_s=1)
    )

    assert (answer.verdict, answer.record) == (Verdict.UNKNOWN, None)
    assert "jitprov list" in answer.text
    assert house.sent == []


def test_a_retry_does_not_need_the_broker(house: House) -> None:
    """When the broker is away the retry is written all the same, and the reconciler's look is due in time."""
    house.fail_at(CORRIDOR[0])
    house.broker_away = True

    answer = house.retry()

    assert answer.verdict is Verdict.DONE
    assert "reconciler" in answer.text
    house.clock.advance(GRACE_S)
    assert [due.record.generation for due in house.ledger.due(limit=9)] == [2]


@pytest.mark.parametrize("code", ["outcome_unknown", "internal_error"])
@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_what_may_just_have_been_made_can_be_seen_before_it_goes_on(house: House, code: str, end: str) -> None:
    """After an attempt that may have acted the resumed step waits until a look can see it, its message included."""
    if end == "failed":
        house.move(moves.fail, a_failure(code=code))
    else:
        house.move(moves.wait, 17.0, a_failure(code=code), spends=True, counted_s=0.0)
        house.cancel()
    house.clock.advance(5)

    assert house.retry().verdict is Verdict.DONE

    record = house.record()
    assert (record.state, record.waiting_for, len(house.sent)) == (State.WAITING, code, 1)
    assert record.not_before == house.clock.now() + timedelta(seconds=SETTLE_S - 5)
    assert record.steps[record.step].attempts == 0
    house.clock.advance(SETTLE_S - 5 + GRACE_S - 1)
    assert house.ledger.due(limit=9) == []
    assert house.claim().record.generation == 2


@pytest.mark.parametrize(("code", "later_s"), [("unavailable", 0.0), ("outcome_unknown", SETTLE_S)])
def test_what_needs_no_settling_goes_on_at_once(house: House, code: str, later_s: float) -> None:
    """An attempt that surely did nothing, or that ended long enough ago, holds no retry up."""
    house.move(moves.fail, a_failure(code=code))
    house.clock.advance(later_s)
    house.retry()

    assert house.record().state is State.ACCEPTED


def test_retries_have_an_end(house: House) -> None:
    """When the run's number has no digit left the retry is refused instead of reusing a task id."""
    house.fail_at(CORRIDOR[0])
    record = house.record()
    last = replace(record, generation=GENERATIONS_MAX)
    assert house.ledger.change(record, last, look_after_s=GRACE_S)

    answer = house.retry()

    assert answer.verdict is Verdict.REFUSED
    assert house.record().state is State.FAILED
    assert house.sent == []


# --- cancel -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "reach",
    [
        lambda _: None,
        lambda house: house.advance(),
        to_waiting,
        lambda house: house.fail_at(Step.PATCH_SKILLS),
    ],
)
def test_what_nobody_works_on_is_cancelled_at_once(house: House, reach: Callable[[House], None]) -> None:
    """An accepted, waiting or failed provisioning, or one between two steps, ends; what was found stays."""
    reach(house)
    before = house.record()

    answer = house.cancel()

    record = house.record()
    assert (answer.verdict, answer.record) == (Verdict.DONE, record)
    assert (record.state, record.step, record.findings) == (State.CANCELLED, before.step, before.findings)
    assert record.failure is None
    house.clock.advance(9e6)
    assert house.ledger.due(limit=9) == []


def test_what_a_worker_holds_ends_when_its_step_does(house: House) -> None:
    """A running step is not torn away: the wish is noted, the record says so, and nothing is ended yet."""
    house.claim()

    answer = house.cancel()

    assert answer.verdict is Verdict.ASKED
    assert (house.record().state, house.record().cancel_asked) == (State.RUNNING, True)


def test_a_dead_workers_step_is_cancelled_at_once(house: House) -> None:
    """A lease that ran out holds nobody up."""
    house.claim()
    house.clock.advance(LEASE_S)

    assert house.cancel().verdict is Verdict.DONE


@pytest.mark.parametrize(("reach", "state"), [(to_ready, State.READY), (lambda house: house.cancel(), State.CANCELLED)])
def test_what_has_ended_stays_as_it_is(house: House, reach: Callable[[House], None], state: State) -> None:
    """Cancelling what is ready or cancelled changes nothing and says so."""
    reach(house)
    before = house.record()

    answer = house.cancel()

    assert (answer.verdict, answer.record, before.state) == (Verdict.NOTHING_TO_DO, before, state)
    assert f"{state} already" in answer.text
    assert house.record() == before


def test_what_ends_at_the_same_moment_has_ended(house: House) -> None:
    """When the last step ends between the operator's look and wish, it is ready and stays so."""
    while house.record().step is not CORRIDOR[-1]:
        house.advance()
    ping = house.ledger.ping

    def ping_while_it_ends() -> Any:
        house.advance()
        return ping()

    house.ledger.ping = ping_while_it_ends  # type: ignore[method-assign]
    answer = house.cancel()

    assert answer.verdict is Verdict.NOTHING_TO_DO
    assert answer.record is not None
    assert answer.record.state is house.record().state is State.READY


def test_cancelled_work_loses_nothing_that_was_found(house: House) -> None:
    """A cancelled and resumed provisioning still knows the profile that was read before."""
    house.advance()
    found = house.record().findings
    house.cancel()
    house.retry()

    assert house.record().findings == found != Findings()
