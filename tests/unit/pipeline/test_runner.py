"""One attempt of one step, over the memory ledger and a clock that stands still."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import a_failure, a_profile, a_wanted_state, an_opening
from fake_organization import FakeOrganization, a_kit
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.outcomes import Done, Fail, Outcome, Retry, RetryPolicy, Skip, Snooze, describe
from jitprov.domain.provisioning import CORRIDOR, Findings, Provisioning, State, Step, StepState
from jitprov.errors import (
    BudgetDenied,
    CallsHeldUp,
    DependencyDown,
    LeaseLost,
    OutcomeUnknown,
    PartAway,
    RateLimited,
    Refused,
    StationLate,
    StepError,
    Unavailable,
)
from jitprov.genesys.payloads import PhoneSetup, phone_name
from jitprov.ledger import Claim, Denied
from jitprov.ledger.memory import MemoryLedger
from jitprov.pipeline.kit import Kit
from jitprov.pipeline.pulse import Pulse
from jitprov.pipeline.runner import Runner
from jitprov.pipeline.steps import STEPS

SETUP = PhoneSetup("site", "base", "line base")
FIRST, LAST = CORRIDOR[0], CORRIDOR[-1]
LEASE_S, GRACE_S = 60.0, 20.0
POLICY = RetryPolicy(attempts_max=3, backoff_base_s=4.0, backoff_cap_s=60.0, settle_s=15.0, waited_max_s=100.0)

StepFunction = Callable[[Provisioning, Kit], Findings]


def finds(record: Provisioning, _: Kit) -> Findings:
    return replace(record.findings, profile=a_profile(user_id=record.user_id))


def raises(error: BaseException) -> StepFunction:
    def step(_: Provisioning, __: Kit) -> Findings:
        raise error

    return step


class Bench:
    """One provisioning, and a runner whose steps a test chooses."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.ledger = MemoryLedger(clock.now)
        self.organization = FakeOrganization()
        opening = an_opening()
        self.ledger.accept([opening], look_after_s=GRACE_S)
        self.id = opening.provisioning_id
        self._deliveries = 0

    def runner(self, steps: StepFunction | Mapping[Step, StepFunction] = finds, **changes: Any) -> Runner:
        values: dict[str, Any] = {
            "ledger": self.ledger,
            "clock": self.clock,
            "kit": a_kit(self.organization),
            "policy": POLICY,
            "station_wait_max_s": 30.0,
            "chance": lambda: 0.5,
            "lease_s": LEASE_S,
            "grace_s": GRACE_S,
            "steps": dict.fromkeys(CORRIDOR, steps) if callable(steps) else steps,
        } | changes
        return Runner(**values)

    def run(self, steps: StepFunction = finds, step: Step | None = None, **changes: Any) -> Outcome:
        """Deliver the message of a step, of the current one when none is named."""
        self._deliveries += 1
        record = self.record()
        return self.runner(steps, **changes).run(
            self.id, step or record.step, record.generation, token=f"delivery {self._deliveries}"
        )

    def walk_to(self, step: Step) -> None:
        while self.record().step is not step:
            assert self.run() == Done()

    def record(self) -> Provisioning:
        record = self.ledger.get(self.id)
        assert record is not None
        return record

    def lease_ends_in_s(self) -> float:
        entry = self.ledger.store.entries[self.id]
        assert entry.lease_until is not None
        return (entry.lease_until - self.clock.now()).total_seconds()

    def change(self, move: Callable[..., Provisioning], *told: Any) -> None:
        record = self.record()
        assert self.ledger.change(record, move(record, self.clock.now(), *told), look_after_s=GRACE_S)


@pytest.fixture
def bench(clock: FixedClock) -> Bench:
    return Bench(clock)


def test_a_dead_worker_is_missed_soon_but_for_what_it_may_have_made(bench: Bench) -> None:
    """A step holds its right as long as a sign of life lasts; from a create on, as long as the create may take."""
    pulse = Pulse(lambda *_: None, silence_s=LEASE_S / 10, longest_s=600.0)
    ends = []

    def dies(record: Provisioning, kit: Kit) -> Findings:
        ends.append(bench.lease_ends_in_s())
        kit.hold()
        ends.append(bench.lease_ends_in_s())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(dies, pulse=pulse)
    pulse.close()

    assert ends == [pytest.approx(LEASE_S / 10), pytest.approx(LEASE_S)]


# --- ends ---------------------------------------------------------------------------------------------------
def test_a_done_step_is_recorded_and_the_next_one_opened(bench: Bench) -> None:
    """What a step finds is in the ledger when the outcome is done, and the next step is the current one."""
    assert bench.run() == Done()

    record = bench.record()
    assert (record.state, record.step) == (State.RUNNING, Step.RESOLVE_SKILLS)
    assert record.findings.profile == a_profile(user_id=record.user_id)
    assert record.steps[FIRST].state is StepState.DONE


def test_the_outcome_tells_the_priority_once_the_rules_have_said_it(bench: Bench) -> None:
    """After the step that applies the rules, and after no other, who sends the next message learns the priority."""

    def resolves(record: Provisioning, _: Kit) -> Findings:
        return replace(record.findings, wanted=a_wanted_state(priority="low"))

    told = {step: bench.run(resolves, step) for step in CORRIDOR}

    assert told == dict.fromkeys(CORRIDOR, Done()) | {Step.RESOLVE_SKILLS: Done("low")}


def test_all_steps_make_an_agent_ready(bench: Bench) -> None:
    """When every step is done the agent is ready, and the first step's own message has nothing left to do."""
    bench.walk_to(LAST)
    assert bench.run() == Done()

    assert bench.record().state is State.READY
    assert bench.run(step=LAST) == Skip("done", chain_goes_on=True)


def test_the_real_steps_are_run_when_none_are_handed_in(bench: Bench) -> None:
    """A runner without steps of its own runs the corridor's."""
    values = {name: getattr(bench.runner(), name) for name in Runner.__slots__ if name != "steps"}

    assert Runner(**values).steps is STEPS


def test_a_step_acts_for_its_provisioning(bench: Bench) -> None:
    """Calls made in a step can be told apart by the provisioning that they serve."""
    bench.run()

    assert bench.organization.acting == [bench.id]


@pytest.mark.parametrize(
    "error", [RateLimited("429", wait_s=12.0, http_status=429), BudgetDenied("paused", wait_s=12.0)]
)
def test_a_snooze_waits_and_spends_nothing(bench: Bench, error: StepError) -> None:
    """A step that must wait comes back after its wait, with no attempt spent and the time counted."""
    assert bench.run(raises(error)) == Snooze(12.0, describe(error))

    record = bench.record()
    held = record.steps[FIRST]
    assert (record.state, record.waiting_for) == (State.WAITING, error.code)
    assert record.not_before == bench.clock.now() + timedelta(seconds=12)
    assert (held.attempts, held.waited_s, held.failure) == (0, 12.0, describe(error))


def test_who_keeps_its_place_may_go_on_at_once(bench: Bench) -> None:
    """A step that waited out its patience gives its claim back: whoever gets the message next may begin at once."""
    error = CallsHeldUp("paused", wait_s=300.0)
    assert bench.run(raises(error)) == Snooze(0.0, describe(error), keeps_its_place=True)

    record = bench.record()
    assert (record.state, record.not_before) == (State.WAITING, bench.clock.now())
    assert (record.steps[FIRST].attempts, record.steps[FIRST].waited_s) == (0, 0.0)
    assert bench.run() == Done()


def test_a_retry_waits_with_backoff_and_spends_an_attempt(bench: Bench) -> None:
    """A step that failed for the moment comes back after a backoff, with the attempt spent and no time counted."""
    error = Unavailable("503", http_status=503, correlation_id="c0ffee")

    assert bench.run(raises(error)) == Retry(2.0, describe(error))

    held = bench.record().steps[FIRST]
    assert (held.attempts, held.waited_s, held.failure) == (1, 0.0, describe(error))
    assert bench.record().not_before == bench.clock.now() + timedelta(seconds=2)


def test_attempts_are_counted_over_deliveries(bench: Bench) -> None:
    """Each retry doubles the ceiling and the last attempt fails, whatever snoozes lay between."""
    outcomes = []
    for error in (Unavailable("1"), RateLimited("s", wait_s=1.0), Unavailable("2"), Unavailable("3")):
        outcome = bench.run(raises(error))
        outcomes.append(type(outcome).__name__)
        bench.clock.advance(getattr(outcome, "wait_s", 0.0))

    assert outcomes == ["Retry", "Snooze", "Retry", "Fail"]
    assert bench.record().state is State.FAILED
    assert bench.record().steps[FIRST].attempts == 3


def test_a_failure_carries_all_its_fields(bench: Bench) -> None:
    """What the operator needs is in the outcome and in the ledger: code, text, remedy, status, correlation id."""
    error = Refused("The API answered 403.", http_status=403, correlation_id="c0ffee", remedy="Give it the role.")
    expected = a_failure(
        code="refused", message=error.message, remedy="Give it the role.", retry_helps=False, http_status=403
    )

    assert bench.run(raises(error)) == Fail(expected)
    assert bench.record().failure == bench.record().steps[FIRST].failure == expected
    assert bench.record().ended_at == bench.clock.now()


def test_snoozing_has_an_end(bench: Bench) -> None:
    """A step that waited for the longest total wait fails and says what it waited for; a pause of all never ends so."""
    late, paused = StationLate("not yet", wait_s=60.0), RateLimited("429", wait_s=60.0)
    for error in (late, paused):
        assert isinstance(bench.run(raises(error)), Snooze)
        bench.clock.advance(60)

    assert isinstance(bench.run(raises(paused)), Snooze)
    bench.clock.advance(60)
    assert bench.run(raises(late)) == Fail(describe(late))


def test_a_late_station_is_waited_for_less_long(bench: Bench) -> None:
    """A station that does not appear fails after its own bound, not after the general one."""
    bench.walk_to(LAST)
    error = StationLate("late", wait_s=30.0)
    assert isinstance(bench.run(raises(error)), Snooze)
    bench.clock.advance(30)

    assert bench.run(raises(error)) == Fail(describe(error))


def test_a_held_back_token_does_not_fail_the_last_step_early(bench: Bench) -> None:
    """The station's bound is the station's: a pause of the token during the last step may last the general bound."""
    bench.walk_to(LAST)
    error = RateLimited("429", wait_s=40.0)
    assert isinstance(bench.run(raises(error)), Snooze)
    bench.clock.advance(40)

    assert isinstance(bench.run(raises(error)), Snooze)


def test_the_general_bound_holds_for_a_late_station_too(bench: Bench) -> None:
    """A station's bound above the general one does not lengthen it."""
    bench.walk_to(LAST)
    error = StationLate("late", wait_s=100.0)
    assert isinstance(bench.run(raises(error), station_wait_max_s=9e9), Snooze)
    bench.clock.advance(100)

    assert isinstance(bench.run(raises(error), station_wait_max_s=9e9), Fail)


# --- what is not a step error -------------------------------------------------------------------------------
def test_a_defect_is_a_counted_attempt(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """An exception nobody foresaw waits like an uncertain create, spends an attempt, and its text goes nowhere."""
    with caplog.at_level(logging.CRITICAL):
        outcome = bench.run(raises(ValueError("text with an address")))

    assert isinstance(outcome, Retry)
    assert outcome.wait_s == 15.0 + 2.0
    assert (outcome.failure.code, outcome.failure.message) == ("internal_error", "ValueError in fetch_profile")
    assert bench.record().steps[FIRST].attempts == 1


def test_a_defect_ends_in_a_visible_failure(bench: Bench) -> None:
    """A defect that recurs fails like anything else, and a retry is offered."""
    for _ in range(3):
        outcome = bench.run(raises(ZeroDivisionError()))
        bench.clock.advance(100)

    assert isinstance(outcome, Fail)
    assert outcome.failure.retry_helps


def test_a_dependency_that_is_away_in_a_step_is_waited_for(bench: Bench) -> None:
    """A part that does not answer in the middle of a step spends no attempt."""
    error = DependencyDown("the meter does not answer")

    assert bench.run(raises(error)) == Snooze(5.0, describe(PartAway(str(error), wait_s=5.0)))
    assert bench.record().steps[FIRST].attempts == 0


def test_death_in_the_middle_of_a_step_leaves_a_lease_and_a_counted_attempt(bench: Bench) -> None:
    """A worker that dies writes nothing; when its lease is over the next one runs the step as a second attempt."""
    with pytest.raises(KeyboardInterrupt):
        bench.run(raises(KeyboardInterrupt()))

    assert bench.run() == Skip("leased")
    bench.clock.advance(LEASE_S)
    assert bench.run() == Done()
    assert bench.record().steps[FIRST].attempts == 2


def test_a_step_that_kills_its_workers_fails_visibly(bench: Bench) -> None:
    """A step whose every attempt ended with its worker is not given another one: it fails and says so."""
    for _ in range(POLICY.attempts_max):
        with pytest.raises(KeyboardInterrupt):
            bench.run(raises(KeyboardInterrupt()))
        bench.clock.advance(LEASE_S)

    outcome = bench.run(never)

    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, outcome.failure.retry_helps) == ("worker_died", False)
    assert (bench.record().state, bench.record().failure) == (State.FAILED, outcome.failure)


def test_a_ledger_that_is_away_is_the_callers_affair(bench: Bench) -> None:
    """When the claim itself cannot be asked for, the runner says so and no step runs."""

    class Away(MemoryLedger):
        def claim(self, *_: Any, **__: Any) -> Any:
            raise DependencyDown("away")

    ran: list[str] = []
    with pytest.raises(DependencyDown):
        bench.run(lambda record, _: ran.append("ran") or record.findings, ledger=Away(bench.clock.now))  # type: ignore[func-returns-value]

    assert ran == []


# --- turned away --------------------------------------------------------------------------------------------
def never(_: Provisioning, __: Kit) -> Findings:
    pytest.fail("this step must not run")


def test_a_message_of_a_done_step_lets_the_chain_go_on(bench: Bench) -> None:
    """A finished step's second message runs nothing, and lets the next message through, which may have been lost."""
    bench.run()

    assert bench.run(never, step=FIRST) == Skip("done", chain_goes_on=True)


def test_a_message_of_a_later_step_stops(bench: Bench) -> None:
    """A message that comes before its turn runs nothing and lets nothing through."""
    assert bench.run(never, step=LAST) == Skip("early")


def test_a_message_of_an_older_run_stops(bench: Bench) -> None:
    """After an operator's retry the old run's messages have no business."""
    bench.run(raises(Refused("403")))
    bench.change(moves.resume)

    assert bench.runner(never).run(bench.id, FIRST, 1, token="old") == Skip("stale")
    assert bench.run() == Done()


def test_a_message_of_an_unknown_provisioning_stops(bench: Bench) -> None:
    """A message that the ledger knows nothing of runs nothing."""
    assert bench.runner(never).run("unknown", FIRST, 1, token="t") == Skip("unknown")


@pytest.mark.parametrize("end", [Refused("403"), None])
def test_an_ended_provisioning_runs_nothing(bench: Bench, end: StepError | None) -> None:
    """After a failure or a cancellation a message that still comes runs nothing."""
    if end:
        bench.run(raises(end))
    else:
        bench.change(moves.cancel)

    assert bench.run(never) == Skip("ended")


def test_a_message_that_comes_too_soon_waits(bench: Bench) -> None:
    """A message before its time waits for the rest of it, and the record is not touched."""
    bench.run(raises(RateLimited("429", wait_s=12.0)))
    bench.clock.advance(5)
    before = bench.record()

    outcome = bench.run(never)

    assert isinstance(outcome, Snooze)
    assert outcome.wait_s == pytest.approx(7.0)
    assert outcome.failure.code == "not_due"
    assert bench.record() == before


# --- cancelling and losing ----------------------------------------------------------------------------------
def test_a_wish_to_cancel_is_granted_before_the_step(bench: Bench) -> None:
    """When the end was asked for while a worker was at it, the next one ends it and runs nothing."""
    wished: list[bool] = []
    bench.run(lambda record, _: wished.append(bench.ledger.ask_cancel(bench.id)) or record.findings)  # type: ignore[func-returns-value]

    assert bench.record().cancel_asked
    assert bench.run(never) == Skip("ended")
    assert (bench.record().state, bench.record().cancel_asked) == (State.CANCELLED, False)
    assert wished == [True]


def test_a_wish_to_cancel_outlives_a_snooze(bench: Bench) -> None:
    """A wish spoken while the step ran into a wait is granted when the wait is over."""

    def wished_while_limited(_: Provisioning, __: Kit) -> Findings:
        bench.ledger.ask_cancel(bench.id)
        raise RateLimited("429", wait_s=3.0)

    assert isinstance(bench.run(wished_while_limited), Snooze)
    bench.clock.advance(3)

    assert bench.run(never) == Skip("ended")
    assert bench.record().state is State.CANCELLED


def slept_through_the_lease(bench: Bench, then: StepFunction = finds) -> StepFunction:
    """Return a step during which the lease runs out and another worker does the whole step."""

    def step(record: Provisioning, kit: Kit) -> Findings:
        bench.clock.advance(LEASE_S + 1)
        assert bench.run(finds, step=record.step) == Done()
        return then(record, kit)

    return step


def test_a_lost_lease_is_noticed_before_an_effect(bench: Bench) -> None:
    """`hold` stops a worker that overslept; it writes nothing and its message ends."""

    def after(record: Provisioning, kit: Kit) -> Findings:
        kit.hold()
        return never(record, kit)

    assert bench.run(slept_through_the_lease(bench, after)) == Skip("leased")
    assert bench.record().step is Step.RESOLVE_SKILLS


@pytest.mark.parametrize("error", [None, Unavailable("503"), Refused("403"), RateLimited("429", wait_s=1.0)])
def test_a_lost_lease_writes_nothing(bench: Bench, error: StepError | None) -> None:
    """Whatever a worker that overslept found or met, the other worker's record stands."""
    outcome = bench.run(slept_through_the_lease(bench, raises(error) if error else finds))

    assert outcome == Skip("leased")
    record = bench.record()
    assert (record.state, record.step) == (State.RUNNING, Step.RESOLVE_SKILLS)
    assert record.steps[FIRST].failure is None


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("away", [True, False])
def test_a_phone_made_without_the_right_is_taken_back(bench: Bench, answered: bool, away: bool) -> None:
    """Who made a phone without the lease deletes it when the ledger names another; an API away breaks nothing."""
    agent = bench.organization.add(a_profile(user_id=bench.record().user_id))

    def makes(record: Provisioning, kit: Kit) -> Findings:
        return replace(
            record.findings, phone=kit.genesys.create_phone(record.user_id, phone_name(agent.profile), SETUP)
        )

    def makes_one_too_many(record: Provisioning, kit: Kit) -> Findings:
        bench.clock.advance(LEASE_S + 1)
        assert bench.run(makes, step=record.step) == Done()
        made = makes(record, kit)
        if away:
            bench.organization.meddle = refuse
        if answered:
            return made
        raise OutcomeUnknown("silence")

    def refuse(name: str, apply: Any) -> Any:
        raise Unavailable("503")

    for _ in CORRIDOR[:3]:
        assert bench.run(finds) == Done()
    assert bench.run(makes_one_too_many) == Skip("leased")

    assert len(agent.phones) == (2 if away else 1)
    assert agent.phones[0] == bench.record().findings.phone


def test_holding_makes_the_lease_last(bench: Bench) -> None:
    """A step that holds on half-way keeps its lease for the whole time again."""

    def slow(record: Provisioning, kit: Kit) -> Findings:
        bench.clock.advance(LEASE_S - 1)
        kit.hold()
        bench.clock.advance(LEASE_S - 1)
        assert bench.run(never, step=FIRST) == Skip("leased")
        return record.findings

    assert bench.run(slow) == Done()


def test_a_lost_lease_is_no_defect(bench: Bench) -> None:
    """`LeaseLost` from anywhere in a step ends the attempt without a trace."""
    before = bench.record()

    assert bench.run(raises(LeaseLost())) == Skip("leased")
    assert bench.record().steps[FIRST].failure == before.steps[FIRST].failure


def test_a_wrong_data_key_spends_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a worker with another key takes the message: no step is run, no attempt spent, and it says why."""
    claim_whole = bench.ledger.claim

    def claim(*args: Any, **more: Any) -> Claim | Denied:
        claim = claim_whole(*args, **more)
        return replace(claim, sealed="it was sealed with another key") if isinstance(claim, Claim) else claim

    monkeypatch.setattr(bench.ledger, "claim", claim)
    for _ in range(POLICY.attempts_max + 2):
        outcome = bench.run(never)
        assert isinstance(outcome, Snooze)
        assert outcome.failure.code == "data_key_wrong"
        bench.clock.advance(outcome.wait_s)

    record = bench.record()
    assert (record.state, record.steps[FIRST].attempts) == (State.WAITING, 0)
    assert record.steps[FIRST].failure is not None


# --- time ---------------------------------------------------------------------------------------------------
def test_waits_are_scaled_to_real_seconds_and_counted_in_api_seconds(bench: Bench) -> None:
    """Against a faster sandbox the real wait is shorter, and what counts towards the bound is the API's time."""
    outcome = bench.run(raises(RateLimited("429", wait_s=30.0)), time_scale=60.0)

    assert isinstance(outcome, Snooze)
    assert outcome.wait_s == 0.5
    assert bench.record().not_before == bench.clock.now() + timedelta(seconds=0.5)
    assert bench.record().steps[FIRST].waited_s == 30.0


def test_backoff_is_scaled_too(bench: Bench) -> None:
    """The policy is in API seconds: against a faster sandbox a retry waits less."""
    outcome = bench.run(raises(OutcomeUnknown("silence")), time_scale=10.0)

    assert isinstance(outcome, Retry)
    assert outcome.wait_s == pytest.approx((15.0 + 2.0) / 10.0)


def test_the_reconciler_waits_until_the_message_was_due(bench: Bench) -> None:
    """Nobody looks for the message of a waiting step before its wait and its way are over."""
    bench.run(raises(RateLimited("429", wait_s=30.0)))

    bench.clock.advance(30 + GRACE_S - 1)
    assert bench.ledger.due(limit=9) == []
    bench.clock.advance(1)
    assert [due.record.provisioning_id for due in bench.ledger.due(limit=9)] == [bench.id]


def test_instants_are_the_ledgers_clock_plus_what_passed(bench: Bench) -> None:
    """A worker's own clock may be wrong: an end is dated by the claim's instant and the time the step took."""

    def slow(record: Provisioning, _: Kit) -> Findings:
        bench.clock.advance(7)
        return record.findings

    began = bench.clock.now()
    bench.run(slow)

    held = bench.record().steps[FIRST]
    assert (held.began_at, held.ended_at) == (began, began + timedelta(seconds=7))


# --- the line -----------------------------------------------------------------------------------------------
def test_every_attempt_is_one_wide_line(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """One line tells step, attempt, outcome, wait, duration and what the API said; no name and no address."""
    error = Unavailable("The API answered 503.", http_status=503, correlation_id="c0ffee")
    with caplog.at_level(logging.INFO):
        bench.run(raises(error))

    (line,) = [entry for entry in caplog.records if entry.getMessage() == "step_ended"]
    record = bench.record()
    assert line.__dict__["fields"] == {
        "provisioning_id": bench.id,
        "task_id": record.task_id(FIRST),
        "user_id": record.user_id,
        "step": FIRST,
        "run": 1,
        "attempt": 1,
        "outcome": "retry",
        "state": State.WAITING,
        "recorded": True,
        "wait_s": 2.0,
        "queue_ms": 0,
        "duration_ms": 0,
        "slot_ms": 0,
        "call_ms": 0,
        "redis_ms": 0,
        "calls": [],
        "code": "unavailable",
        "http_status": 503,
        "correlation_id": "c0ffee",
        "trace_id": None,
    }
    assert line.levelno == logging.INFO


def test_a_failure_is_a_warning(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Who watches warnings sees every failed agent."""
    with caplog.at_level(logging.WARNING):
        bench.run(raises(Refused("403")))

    assert [entry.getMessage() for entry in caplog.records] == ["step_ended"]
