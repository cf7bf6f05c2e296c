"""One agent's way through the corridor: its states, its steps, and the moves between them.

A provisioning is the work that one event opens. Moves are pure functions: they take a record and an instant and
return the next record; the ledger stores it, the runner chooses it.

    accepted ──▶ running ──▶ ready
                  ▲   │ ├──▶ failed ──(operator's retry)──▶ accepted, at the failed step, next generation;
                  │   │ │                                   waiting first, if the last attempt may just have acted
                  │   ▼ └──▶ cancelled
                 waiting
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from jitprov.domain.agent import Granted, Phone, Priority, Profile, WantedState
from jitprov.domain.events import Kind
from jitprov.domain.given import Given
from jitprov.domain.ids import task_id_of
from jitprov.domain.outcomes import Failure, may_have_acted


class Step(StrEnum):
    """A step of the corridor; the value is the task name without its prefix."""

    FETCH_PROFILE = "fetch_profile"
    RESOLVE_SKILLS = "resolve_skills"
    PATCH_SKILLS = "patch_skills"
    CREATE_PHONE = "create_phone"
    ASSIGN_STATION = "assign_station"
    SET_UTILIZATION = "set_utilization"
    GRANT_ACCESS = "grant_access"
    TAKE_AWAY = "take_away"

    @property
    def number(self) -> int:
        """Place among all steps, from 1."""
        return EVERY_STEP.index(self) + 1

    @property
    def following(self) -> Step | None:
        """The next step of the corridor; None after its last, and after those that join it on demand."""
        return CORRIDOR[self.number] if self.number < len(CORRIDOR) else None


EVERY_STEP: tuple[Step, ...] = tuple(Step)
# What everyone walks; and what comes after it for those whose rules ask (docs/decisions/0024).
CORRIDOR: tuple[Step, ...] = EVERY_STEP[:5]
ON_DEMAND: tuple[Step, ...] = EVERY_STEP[5:]
# The first step that spends calls on one agent alone, and the first that knows what the agent shall have: here agents
# wait for their turn to be begun.
ENTRANCE = CORRIDOR[Step.RESOLVE_SKILLS.number]


class State(StrEnum):
    """Where a provisioning stands."""

    ACCEPTED = "accepted"  # written durably, the next step not begun
    RUNNING = "running"  # a worker holds it, or its next step's message is on the way
    WAITING = "waiting"  # backs off or waits for something named in `waiting_for`
    READY = "ready"  # call-ready: the end everyone wants
    FAILED = "failed"  # waits for the operator; `failure` says why and what to do
    CANCELLED = "cancelled"  # ended on purpose

    @property
    def ended(self) -> bool:
        """True when nothing moves it but an operator."""
        return self in ENDED


ENDED = frozenset({State.READY, State.FAILED, State.CANCELLED})
# Waits that an event may end at any time, or another provisioning: for the one before it, for a department or title.
COMES_AFTER, NOT_FILLED_IN = "comes_after", "profile_incomplete"
PARKED = frozenset({COMES_AFTER, NOT_FILLED_IN})


class StepState(StrEnum):
    """Where one step stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What became of one step.

    Attributes:
        state: See `StepState`.
        generation: The run in which it last was tried; its task id follows from it.
        attempts: Attempts spent in this generation.
        waited_s: Seconds snoozed in this generation, in API seconds.
        began_at: First attempt's start.
        ended_at: When it was done or failed.
        failure: What the last attempt met; kept after success, so that a rough way stays visible.
    """

    state: StepState = StepState.PENDING
    generation: int = 1
    attempts: int = 0
    waited_s: float = 0.0
    began_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What the steps found and made, for the steps after them.

    Attributes:
        utilization: `own` once it was set, `organization` where the organization's fits.
        access: Division, roles, groups and queues, each with how the agent came by it.
        given: What the steps gave that was not there before.
        taken: What they took away; see `to_take`.
        to_take: What is to be taken away: of what jitprov had given, and queues that are replaced.
        order: What an operator asked to take away or to give back.
    """

    profile: Profile | None = None
    wanted: WantedState | None = None
    phone: Phone | None = None
    station_id: str | None = None
    utilization: str | None = None
    access: tuple[Granted, ...] = ()
    given: Given = field(default_factory=Given)
    taken: Given = field(default_factory=Given)
    to_take: Given = field(default_factory=Given)
    order: Given = field(default_factory=Given)


@dataclass(frozen=True, slots=True)
class Provisioning:
    """One agent's way through the corridor, as the ledger keeps it.

    Attributes:
        provisioning_id: See `domain.ids`.
        event_id: The sender's id of the event that opened it.
        user_id: Genesys user id.
        state: See `State`.
        step: The step that runs or comes next; the last one once ready.
        generation: 1, and one more with each operator's retry.
        accepted_at: When it was written; aware UTC, the ledger's clock, like all instants here.
        updated_at: Last change.
        ended_at: When it became ready, failed or cancelled; None before.
        not_before: While waiting: when it goes on.
        waiting_for: While waiting: why, for people.
        steps: A record for every step, those to come included; steps on demand once the rules have asked for them.
        findings: What the steps found.
        failure: Why it failed; None otherwise.
        cancel_asked: An operator asked for the end while a worker held it.
        republished: How often the reconciler had to send its message again.
        version: Counts the ledger's changes to it; an operator's move needs the version seen.
        kind: What it is for.
        asked_at: When the last of the events that it serves was accepted: a profile read before that is too old.
        after: Id of the one before it that must have ended first; None when there is none.
        superseded_by: Id of the one that took over after this one had failed or been cancelled; it is not retried.
    """

    provisioning_id: str
    event_id: str
    user_id: str
    accepted_at: datetime
    updated_at: datetime
    state: State = State.ACCEPTED
    step: Step = Step.FETCH_PROFILE
    generation: int = 1
    ended_at: datetime | None = None
    not_before: datetime | None = None
    waiting_for: str | None = None
    steps: Mapping[Step, StepRecord] = field(default_factory=lambda: dict.fromkeys(CORRIDOR, StepRecord()))
    findings: Findings = field(default_factory=Findings)
    failure: Failure | None = None
    cancel_asked: bool = False
    republished: int = 0
    version: int = 0
    kind: Kind = Kind.NEW
    asked_at: datetime | None = None
    after: str | None = None
    superseded_by: str | None = None

    @property
    def parked(self) -> bool:
        """Whether it waits with no message on the way: the reconciler sends one when it is due."""
        return self.state is State.WAITING and self.waiting_for in PARKED

    def task_id(self, step: Step | None = None) -> str:
        """Return the task id under which a step ran or will run; of the current step when none is named."""
        step = step or self.step
        return task_id_of(self.provisioning_id, self.steps[step].generation, step.number)

    def waits_for_its_turn_as(self) -> Priority | None:
        """Return the priority with which the agent waits to be begun; None when it is begun, or nobody has said one."""
        if self.step is not ENTRANCE or self.steps[ENTRANCE].began_at is not None or self.findings.wanted is None:
            return None
        return self.findings.wanted.priority

    @property
    def corridor(self) -> tuple[Step, ...]:
        """The steps that this agent walks, in order."""
        return tuple(step for step in EVERY_STEP if step in self.steps)

    def steps_left(self) -> tuple[Step, ...]:
        """Return the steps still to do, the current one first; empty once ended."""
        return () if self.state.ended else self.steps_from_here()

    def steps_from_here(self) -> tuple[Step, ...]:
        """Return the step where it stands, or ended, and those after it."""
        return tuple(step for step in self.corridor if step.number >= self.step.number)


def _with_step(record: Provisioning, now: datetime, step_changes: dict[str, Any], **changes: Any) -> Provisioning:
    steps = {**record.steps, record.step: replace(record.steps[record.step], **step_changes)}
    return replace(record, steps=steps, updated_at=now, **changes)


def begin(record: Provisioning, now: datetime, attempts: int) -> Provisioning:
    """A worker took the current step; `attempts` is counted by the ledger, this attempt included."""
    began_at = record.steps[record.step].began_at or now
    return _with_step(
        record,
        now,
        {"state": StepState.RUNNING, "attempts": attempts, "began_at": began_at},
        state=State.RUNNING,
        not_before=None,
        waiting_for=None,
    )


def advance(record: Provisioning, now: datetime, findings: Findings) -> Provisioning:
    """The current step is done: move to the next, or become ready after the last."""
    done = {"state": StepState.DONE, "ended_at": now}
    if record.step is Step.RESOLVE_SKILLS:
        record = _joined(record, findings)
    following = record.steps_left()[1:2]
    if not following:
        return _with_step(record, now, done, state=State.READY, ended_at=now, findings=findings)
    return _with_step(record, now, done, state=State.RUNNING, step=following[0], findings=findings)


def _joined(record: Provisioning, findings: Findings) -> Provisioning:
    """Let the steps join that a wanted state asks for, and those leave that it does not ask for any more."""
    wanted = findings.wanted
    asked = {
        Step.SET_UTILIZATION: bool(wanted and wanted.utilization),
        Step.GRANT_ACCESS: bool(wanted and wanted.asks_access),
        Step.TAKE_AWAY: bool(findings.to_take),
    }
    steps = {step: held for step, held in record.steps.items() if asked.get(step, True)}
    steps |= {
        step: record.steps.get(step, StepRecord(generation=record.generation)) for step in ON_DEMAND if asked[step]
    }
    return record if steps == record.steps else replace(record, steps=steps)


def wait(
    record: Provisioning, now: datetime, wait_s: float, failure: Failure, *, spends: bool, counted_s: float
) -> Provisioning:
    """The current step waits: a retry spends the attempt, a snooze gives it back and counts the time.

    Args:
        record: The record whose step was tried.
        now: The ledger's clock.
        wait_s: Real seconds until it goes on.
        failure: What it met.
        spends: True for a retry, False for a snooze.
        counted_s: What a snooze adds to the step's `waited_s`, in API seconds.
    """
    held = record.steps[record.step]
    changes: dict[str, Any] = {"state": StepState.WAITING, "failure": failure}
    if not spends:
        changes |= {"attempts": max(held.attempts - 1, 0), "waited_s": held.waited_s + counted_s}
    return _with_step(
        record,
        now,
        changes,
        state=State.WAITING,
        not_before=now + timedelta(seconds=wait_s),
        waiting_for=failure.code,
    )


def fail(record: Provisioning, now: datetime, failure: Failure) -> Provisioning:
    """The current step failed for good."""
    ended = {"state": StepState.FAILED, "ended_at": now, "failure": failure}
    return _with_step(record, now, ended, state=State.FAILED, ended_at=now, failure=failure)


def cancel(record: Provisioning, now: datetime) -> Provisioning:
    """End it on purpose; why it failed, if it had, stays visible in its step."""
    ended = {"state": StepState.CANCELLED, "ended_at": now}
    return _with_step(
        record, now, ended, state=State.CANCELLED, ended_at=now, not_before=None, waiting_for=None, failure=None
    )


def resume(record: Provisioning, now: datetime, *, settle_s: float = 0.0) -> Provisioning:
    """An operator's retry: open the next generation at the failed or cancelled step; done steps stay done.

    Args:
        record: As it ended.
        now: The ledger's clock.
        settle_s: Real seconds that must have passed since the end when the last attempt may have acted: a look
            before that could miss what it made.
    """
    generation = record.generation + 1
    steps = dict(record.steps)
    for step in record.steps_from_here():
        steps[step] = StepRecord(generation=generation)
    resumed = replace(
        record,
        state=State.ACCEPTED,
        generation=generation,
        updated_at=now,
        ended_at=None,
        not_before=None,
        waiting_for=None,
        steps=steps,
        failure=None,
        cancel_asked=False,
    )
    last = record.steps[record.step].failure
    settled_in = (record.ended_at or now) + timedelta(seconds=settle_s) - now
    if last is None or not may_have_acted(last) or settled_in <= timedelta(0):
        return resumed
    return wait(resumed, now, settled_in.total_seconds(), last, spends=True, counted_s=0.0)
