"""Moves of a provisioning: each alone, and any legal order of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from builders import NINE_AM, a_failure, a_phone, a_profile, a_provisioning, a_wanted_state
from consistency import assert_consistent
from jitprov.domain import provisioning as moves
from jitprov.domain.agent import MediaShare, Place, Priority, WantedState
from jitprov.domain.given import Given
from jitprov.domain.ids import TaskId, parse_task_id
from jitprov.domain.provisioning import (
    CORRIDOR,
    ENTRANCE,
    EVERY_STEP,
    Findings,
    Provisioning,
    State,
    Step,
    StepRecord,
    StepState,
)

LATER = NINE_AM + timedelta(minutes=5)


def begun(record: Provisioning | None = None) -> Provisioning:
    record = record or a_provisioning()
    return moves.begin(record, NINE_AM, record.steps[record.step].attempts + 1)


def at(step: Step) -> Provisioning:
    """Return a provisioning whose earlier steps are done."""
    record = a_provisioning()
    while record.step is not step:
        record = moves.advance(begun(record), NINE_AM, record.findings)
    return record


def test_the_corridor_has_five_steps_in_order() -> None:
    """Steps are numbered from 1 in the order of the corridor, and each knows the one after it."""
    assert [step.number for step in CORRIDOR] == [1, 2, 3, 4, 5]
    assert [step.following for step in CORRIDOR] == [*CORRIDOR[1:], None]


def test_three_states_are_ends() -> None:
    """Ready, failed and cancelled are ends; the other states go on by themselves."""
    assert {state for state in State if state.ended} == {State.READY, State.FAILED, State.CANCELLED}


def test_a_new_provisioning_stands_at_the_first_step() -> None:
    """Before anything happened all steps are pending, all are left, and the task id is the first step's."""
    record = a_provisioning()

    assert record.state is State.ACCEPTED
    assert record.steps_left() == CORRIDOR
    assert set(record.steps) == set(CORRIDOR)
    assert parse_task_id(record.task_id()) == TaskId(record.provisioning_id, 1, 1)


def test_a_task_id_can_be_asked_for_any_step() -> None:
    """The task id of a step to come is known beforehand."""
    record = a_provisioning()

    assert parse_task_id(record.task_id(Step.CREATE_PHONE)) == TaskId(record.provisioning_id, 1, 4)


@pytest.mark.parametrize("priority", [*get_args(Priority), None])
def test_an_agent_waits_for_its_turn_until_it_is_begun(priority: Priority | None) -> None:
    """From the rules' word to the first attempt at the entrance; again in the next run of one that failed there."""
    found = Findings(wanted=a_wanted_state(priority=priority))
    waits = a_provisioning(step=ENTRANCE, findings=found)
    failed = moves.fail(moves.begin(waits, LATER, 1), LATER, a_failure())

    assert a_provisioning(step=Step.RESOLVE_SKILLS).waits_for_its_turn_as() is None
    assert a_provisioning(step=ENTRANCE).waits_for_its_turn_as() is None
    assert waits.waits_for_its_turn_as() == priority
    assert moves.begin(waits, LATER, 1).waits_for_its_turn_as() is None
    assert moves.resume(failed, LATER).waits_for_its_turn_as() == priority
    assert a_provisioning(step=CORRIDOR[-1], findings=found).waits_for_its_turn_as() is None


def test_beginning_ends_the_wait() -> None:
    """A step that begins runs, has the attempts that the ledger counted, and waits for nothing."""
    waiting = moves.wait(begun(), NINE_AM, 9.0, a_failure(), spends=True, counted_s=9.0)

    running = moves.begin(waiting, LATER, 2)

    assert running.state is State.RUNNING
    assert running.steps[running.step].state is StepState.RUNNING
    assert running.steps[running.step].attempts == 2
    assert running.steps[running.step].began_at == NINE_AM
    assert (running.not_before, running.waiting_for, running.updated_at) == (None, None, LATER)


def test_advancing_opens_the_next_step() -> None:
    """A done step keeps its story, hands its findings on, and the next one is pending."""
    findings = Findings(profile=a_profile())

    after = moves.advance(begun(), LATER, findings)

    assert (after.state, after.step, after.findings) == (State.RUNNING, Step.RESOLVE_SKILLS, findings)
    assert after.steps[Step.FETCH_PROFILE] == StepRecord(StepState.DONE, 1, 1, 0.0, NINE_AM, LATER)
    assert after.steps[Step.RESOLVE_SKILLS] == StepRecord()
    assert after.steps_left() == CORRIDOR[1:]


def test_the_last_step_makes_ready() -> None:
    """After the last step the agent is ready, nothing is left, and the step stays the last one."""
    findings = Findings(phone=a_phone())

    after = moves.advance(begun(at(CORRIDOR[-1])), LATER, findings)

    assert (after.state, after.step, after.ended_at) == (State.READY, CORRIDOR[-1], LATER)
    assert after.findings == findings
    assert after.steps_left() == ()


def test_a_retry_spends_the_attempt() -> None:
    """A retry keeps the attempt counted, adds no snoozed time, and says until when it waits for what."""
    after = moves.wait(begun(), NINE_AM, 30.0, a_failure(), spends=True, counted_s=30.0)

    held = after.steps[after.step]
    assert (held.state, held.attempts, held.waited_s, held.failure) == (StepState.WAITING, 1, 0.0, a_failure())
    assert (after.state, after.waiting_for) == (State.WAITING, "unavailable")
    assert after.not_before == NINE_AM + timedelta(seconds=30)


def test_a_snooze_gives_the_attempt_back() -> None:
    """A snooze uncounts its attempt and adds the time it counts, which may differ from the real wait."""
    after = moves.wait(begun(), NINE_AM, 0.5, a_failure(code="rate_limited"), spends=False, counted_s=30.0)
    again = moves.wait(begun(after), NINE_AM, 0.5, a_failure(), spends=False, counted_s=12.0)

    assert (after.steps[after.step].attempts, after.steps[after.step].waited_s) == (0, 30.0)
    assert after.not_before == NINE_AM + timedelta(seconds=0.5)
    assert again.steps[again.step].waited_s == 42.0


def test_attempts_never_go_below_nothing() -> None:
    """A snooze of a step that has no attempt to give back leaves it at none."""
    after = moves.wait(a_provisioning(), NINE_AM, 1.0, a_failure(), spends=False, counted_s=1.0)

    assert after.steps[after.step].attempts == 0


def test_a_failure_stands_in_the_step_and_above_it() -> None:
    """A failed provisioning says why at the top and at its step, and which step it was."""
    after = moves.fail(begun(at(Step.PATCH_SKILLS)), LATER, a_failure())

    assert (after.state, after.step, after.failure, after.ended_at) == (
        State.FAILED,
        Step.PATCH_SKILLS,
        a_failure(),
        LATER,
    )
    assert after.steps[Step.PATCH_SKILLS].state is StepState.FAILED
    assert after.steps[Step.PATCH_SKILLS].ended_at == LATER


def test_a_rough_way_stays_visible_after_success() -> None:
    """What an earlier attempt met is kept in a step that is done."""
    waiting = moves.wait(begun(), NINE_AM, 9.0, a_failure(), spends=True, counted_s=9.0)

    after = moves.advance(begun(waiting), LATER, Findings())

    assert after.steps[Step.FETCH_PROFILE].failure == a_failure()
    assert after.failure is None


def test_cancelling_ends_the_wait() -> None:
    """A cancelled provisioning has ended, waits for nothing, and shows where it was."""
    waiting = moves.wait(begun(), NINE_AM, 9.0, a_failure(), spends=True, counted_s=9.0)

    after = moves.cancel(waiting, LATER)

    assert (after.state, after.ended_at, after.not_before, after.waiting_for) == (State.CANCELLED, LATER, None, None)
    assert after.steps[after.step].state is StepState.CANCELLED


@pytest.mark.parametrize("step", CORRIDOR)
def test_resuming_opens_the_next_run_at_the_failed_step(step: Step) -> None:
    """A resumed provisioning keeps its done steps and their task ids, and gives all others new ones."""
    failed = moves.fail(begun(at(step)), NINE_AM, a_failure())

    resumed = moves.resume(failed, LATER)

    assert (resumed.state, resumed.step, resumed.generation) == (State.ACCEPTED, step, 2)
    assert (resumed.failure, resumed.ended_at, resumed.cancel_asked) == (None, None, False)
    for other in CORRIDOR:
        if other.number < step.number:
            assert resumed.steps[other] == failed.steps[other]
        else:
            assert resumed.steps[other] == StepRecord(generation=2)
            assert resumed.task_id(other) != failed.task_id(other)


def test_resuming_lets_what_may_have_acted_settle() -> None:
    """After an uncertain attempt the new run waits for the rest of the settling time, with no attempt spent."""
    uncertain = a_failure(code="outcome_unknown")
    failed = moves.fail(begun(), NINE_AM, uncertain)

    resumed = moves.resume(failed, NINE_AM + timedelta(seconds=4), settle_s=15.0)

    assert (resumed.state, resumed.waiting_for, resumed.failure) == (State.WAITING, "outcome_unknown", None)
    assert resumed.not_before == NINE_AM + timedelta(seconds=15)
    assert resumed.steps[resumed.step] == StepRecord(StepState.WAITING, generation=2, failure=uncertain)


@pytest.mark.parametrize(("code", "after_s"), [("outcome_unknown", 15), ("unavailable", 0)])
def test_resuming_waits_for_nothing_else(code: str, after_s: int) -> None:
    """A failure that surely did nothing, or ended long enough ago, is resumed at once."""
    failed = moves.fail(begun(), NINE_AM, a_failure(code=code))

    assert moves.resume(failed, NINE_AM + timedelta(seconds=after_s), settle_s=15.0).state is State.ACCEPTED


def test_resuming_keeps_what_was_found() -> None:
    """What done steps found is not asked for again."""
    findings = Findings(profile=a_profile(), phone=a_phone())
    failed = moves.fail(begun(a_provisioning(findings=findings)), NINE_AM, a_failure())

    assert moves.resume(failed, LATER).findings == findings


class AnyLegalWay(RuleBasedStateMachine):
    """Moves in any order that the ledger allows: begin when not ended, end only what was begun."""

    def __init__(self) -> None:
        super().__init__()
        self.record = a_provisioning()
        self.begun = False
        self.now = NINE_AM
        self.seen_ids: dict[str, tuple[int, Step]] = {}
        self.before = self.record

    def _move(self, record: Provisioning, *, begun: bool = False) -> None:
        self.before, self.record, self.begun = self.record, record, begun

    def _tick(self) -> None:
        self.now += timedelta(seconds=1)

    @precondition(lambda self: not self.record.state.ended and not self.begun)
    @rule()
    def begin(self) -> None:
        self._tick()
        attempts = self.record.steps[self.record.step].attempts + 1
        self._move(moves.begin(self.record, self.now, attempts), begun=True)

    @precondition(lambda self: self.begun)
    @rule()
    def advance(self) -> None:
        self._tick()
        self._move(moves.advance(self.record, self.now, self.record.findings))

    @precondition(lambda self: self.begun)
    @rule(wait_s=st.floats(0, 100), spends=st.booleans())
    def wait(self, wait_s: float, spends: bool) -> None:
        self._tick()
        after = moves.wait(self.record, self.now, wait_s, a_failure(), spends=spends, counted_s=wait_s)
        held, was = after.steps[after.step], self.record.steps[after.step]
        assert held.attempts == was.attempts - (0 if spends else 1)
        assert held.waited_s == was.waited_s + (0 if spends else wait_s)
        self._move(after)

    @precondition(lambda self: self.begun)
    @rule(code=st.sampled_from(["unavailable", "outcome_unknown"]))
    def fail(self, code: str) -> None:
        self._tick()
        self._move(moves.fail(self.record, self.now, a_failure(code=code)))

    @precondition(lambda self: self.record.state not in {State.READY, State.CANCELLED})
    @rule()
    def cancel(self) -> None:
        self._tick()
        self._move(moves.cancel(self.record, self.now))

    @precondition(lambda self: self.record.state in {State.FAILED, State.CANCELLED})
    @rule()
    def resume(self) -> None:
        self._tick()
        self._move(moves.resume(self.record, self.now, settle_s=15.0))

    @precondition(lambda self: self.record.state is State.READY)
    @rule()
    def rest(self) -> None:
        self._move(self.record)

    @invariant()
    def it_never_goes_backwards(self) -> None:
        assert self.record.step.number in {self.before.step.number, self.before.step.number + 1}
        assert self.record.generation in {self.before.generation, self.before.generation + 1}
        assert self.record.updated_at >= self.before.updated_at

    @invariant()
    def an_end_is_left_only_by_a_new_run(self) -> None:
        if self.before.state.ended and not self.record.state.ended:
            assert self.record.generation == self.before.generation + 1
            assert self.record.step is self.before.step
        if self.before.state is State.READY:
            assert self.record == self.before

    @invariant()
    def the_parts_agree(self) -> None:
        assert_consistent(self.record)

    @invariant()
    def every_task_id_means_one_step_of_one_run(self) -> None:
        for step in CORRIDOR:
            task_id = self.record.task_id(step)
            meant = (self.record.steps[step].generation, step)
            assert self.seen_ids.setdefault(task_id, meant) == meant
            assert parse_task_id(task_id) == TaskId(self.record.provisioning_id, meant[0], step.number)


TestAnyLegalWay = AnyLegalWay.TestCase
TestAnyLegalWay.settings = settings(max_examples=150, stateful_step_count=40, derandomize=True, deadline=None)


# --- steps on demand --------------------------------------------------------------------------------------------
ASKING = WantedState(utilization=(MediaShare("call", 1),), queues=(Place("Calls"),))


TOO_MUCH = Given(queues=(Place("Other", "q2"),))


def resolved(wanted: WantedState, to_take: Given = TOO_MUCH) -> Provisioning:
    return moves.advance(begun(at(Step.RESOLVE_SKILLS)), LATER, Findings(wanted=wanted, to_take=to_take))


def test_steps_join_only_whom_the_rules_ask_them_for() -> None:
    """With nothing asked the corridor is as it was; what is asked follows its last step, under ids of its own."""
    plain, asking = resolved(WantedState(), Given()), resolved(ASKING)

    assert plain.corridor == CORRIDOR
    assert asking.corridor == EVERY_STEP
    assert resolved(WantedState(division=Place("D")), Given()).corridor == (*CORRIDOR, Step.GRANT_ACCESS)
    assert resolved(WantedState()).corridor == (*CORRIDOR, Step.TAKE_AWAY)
    assert [asking.task_id(step)[-4:] for step in CORRIDOR] == [plain.task_id(step)[-4:] for step in CORRIDOR]
    assert len({asking.task_id(step) for step in EVERY_STEP}) == len(EVERY_STEP)


def test_an_agent_is_ready_only_after_the_last_step_that_joined() -> None:
    """After the station comes what joined; after that, ready."""
    record = resolved(ASKING)
    for step in EVERY_STEP[2:]:
        assert (record.step, record.state) == (step, State.RUNNING)
        record = moves.advance(record, LATER, record.findings)

    assert record.state is State.READY


def test_a_retry_takes_the_joined_steps_along_until_the_rules_ask_no_more() -> None:
    """The next run begins what joined anew; judged again by other rules, it leaves."""
    failed = moves.fail(resolved(ASKING), LATER, a_failure())
    again = moves.resume(failed, LATER)

    assert again.corridor == EVERY_STEP
    assert again.steps[Step.GRANT_ACCESS].generation == 2
    judged = replace(again, step=Step.RESOLVE_SKILLS)
    assert moves.advance(judged, LATER, Findings(wanted=WantedState())).corridor == CORRIDOR
