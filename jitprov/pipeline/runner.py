"""One attempt of one step: claim → run → record → outcome. The one place that decides; knows no Celery.

Whatever happens in between, the ledger is right: a crash leaves a lease that runs out, a lost answer leaves an
attempt that is counted, and a second worker is turned away by the fence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jitprov import logs
from jitprov.domain import provisioning as moves
from jitprov.domain.clock import Clock
from jitprov.domain.outcomes import Done, Fail, Failure, Outcome, Retry, RetryPolicy, Skip, Snooze, decide, describe
from jitprov.domain.provisioning import ON_DEMAND, Findings, Provisioning, Step
from jitprov.domain.remembering import after_step
from jitprov.errors import Broken, DataKeyWrong, DependencyDown, LeaseLost, PartAway, StationLate, StepError, WorkerDied
from jitprov.ledger import Claim, Denied, Ledger
from jitprov.pipeline.kit import Kit
from jitprov.pipeline.pulse import Pulse
from jitprov.pipeline.steps import STEPS
from jitprov.pipeline.surplus import take_back
from jitprov.pipeline.telling import Attempt
from jitprov.tracing.attempt import attempt, spending
from jitprov.tracing.spans import Kind, span

_log = logging.getLogger(__name__)

_NOT_DUE = Failure("not_due", "The step is not due yet.", "It goes on by itself.", retry_helps=True)
_PART_AWAY_S = 5.0
# API seconds until the message goes to some worker again, perhaps to one with the right key.
_ANOTHER_WORKER_S = 30.0


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs attempts.

    Attributes:
        ledger: The truth.
        clock: Measures durations.
        kit: What steps may use; its `hold`, `now`, `memory` and `look_first` are replaced per attempt.
        policy: Bounds of patience, in API seconds.
        station_wait_max_s: Longest total wait for a late station, in API seconds.
        chance: Returns 0.0 to 1.0, for jitter.
        lease_s: Of a step, in real seconds, from an effect that must not happen twice on.
        grace_s: How long the next message may be on its way, in real seconds.
        time_scale: API seconds per real second.
        steps: What to run for each step.
        pulse: Keeps a shorter lease alive while a step works, so that a dead worker is missed soon; None claims for
            `lease_s` at once.
    """

    ledger: Ledger
    clock: Clock
    kit: Kit
    policy: RetryPolicy
    station_wait_max_s: float
    chance: Callable[[], float]
    lease_s: float
    grace_s: float
    time_scale: float = 1.0
    steps: Mapping[Step, Callable[[Provisioning, Kit], Findings]] = field(default_factory=lambda: STEPS)
    pulse: Pulse | None = None

    def run(self, provisioning_id: str, step: Step, generation: int, *, token: str) -> Outcome:
        """Run one attempt of a step, if it is due and nobody else's.

        Args:
            provisioning_id: Whose.
            step: Which step the message is for.
            generation: Of which run the message is.
            token: Unique to this delivery.

        Returns:
            What became of it. `wait_s` of a `Snooze` or `Retry` is in real seconds.

        Raises:
            DependencyDown: The ledger does not answer; what the step did stands, and its lease runs out.
        """
        with attempt() as parts:
            started_s = self.clock.monotonic_s()
            lease_s = self.pulse.silence_s if self.pulse else self.lease_s
            with self._asking():
                claim = self.ledger.claim(provisioning_id, step, generation, token=token, lease_s=lease_s)
            if isinstance(claim, Denied):
                return self._turned_away(claim, provisioning_id, step)
            if claim.record.cancel_asked:
                self.ledger.record(claim, moves.cancel(claim.record, claim.now), look_after_s=self.grace_s)
                return Skip("ended")
            return self._claimed(claim, step, Attempt.of(claim.record, claim.now, parts), started_s)

    def _claimed(self, claim: Claim, step: Step, told: Attempt, started_s: float) -> Outcome:
        outcome: Outcome = Skip("leased")
        after, kept = claim.record, False
        with span(f"step {step}", Kind.CONSUMER, of=claim.record.provisioning_id, **told.said) as traced:
            began_s = self.clock.monotonic_s()
            try:
                with self.pulse.beating(claim) if self.pulse else nullcontext():
                    outcome, after = self._poisoned(claim, step) or self._attempt(claim, step, began_s)
                wait_s = outcome.wait_s if isinstance(outcome, Snooze | Retry) else 0.0
                parked = isinstance(outcome, Snooze) and outcome.parked
                look_after_s = wait_s if parked else wait_s + self.grace_s
                memory = after_step(claim.memory, claim.record, after, claim.now)
                with self._asking():
                    kept = self.ledger.record(claim, after, look_after_s=look_after_s, memory=memory)
                if not kept and step is Step.CREATE_PHONE:
                    self._undo(after, outcome)
            except LeaseLost:
                pass  # somebody else has it by now
            finally:
                took_s = self.clock.monotonic_s() - started_s
                told.tell(traced, outcome, after.state, took_s, recorded=kept)
        return outcome if kept else Skip("leased")

    def _asking(self) -> AbstractContextManager[None]:
        return spending("redis", self.clock.monotonic_s)

    def _poisoned(self, claim: Claim, step: Step) -> tuple[Fail, Provisioning] | None:
        # Attempts are counted when they begin, so one more than allowed means that none of them came back.
        if claim.sealed or claim.record.steps[step].attempts <= self.policy.attempts_max:
            return None
        failure = describe(
            WorkerDied(f"{step} was begun {self.policy.attempts_max} times, and its worker ended the last time")
        )
        return Fail(failure), moves.fail(claim.record, claim.now, failure)

    def _undo(self, mine: Provisioning, outcome: Outcome) -> None:
        # The lease was lost while the create was under way, so somebody else may have made a phone too. While the
        # ledger names none, whoever has the lease finds mine: it looks first, and once more in the next step.
        try:
            with self.kit.genesys.acting_for(mine.provisioning_id):
                if isinstance(outcome, Retry):
                    self.clock.wait(self.policy.settle_s)
                now = self.ledger.get(mine.provisioning_id)
                if now is not None:
                    take_back(now, self.kit.genesys, mine.findings.phone)
        except (StepError, DependencyDown) as error:
            logs.event(
                _log, "surplus_unknown", level=logging.ERROR, provisioning_id=mine.provisioning_id, error=str(error),
                remedy="look at this agent's phones in Genesys Cloud",
            )  # fmt: skip

    def _turned_away(self, denied: Denied, provisioning_id: str, step: Step) -> Outcome:
        logs.event(
            _log, "step_skipped", level=logging.DEBUG, provisioning_id=provisioning_id, step=step, reason=denied.reason
        )
        if denied.reason == "waiting":  # a timer of a worker whose clock runs ahead: the message is good, later
            return Snooze(denied.wait_s, _NOT_DUE)
        return Skip(denied.reason, chain_goes_on=denied.reason == "done")

    def _attempt(self, claim: Claim, step: Step, began_s: float) -> tuple[Done | Snooze | Retry | Fail, Provisioning]:
        record = claim.record
        try:
            findings = self._work(claim, step)
        except StepError as error:
            outcome = self._decided(error, record, step)
            return outcome, self._after(record, self._now(claim, began_s), outcome)
        after = moves.advance(record, self._now(claim, began_s), findings)
        joined = after.steps_left() if after.step in ON_DEMAND else ()
        return Done(after.waits_for_its_turn_as(), joined), after

    def _work(self, claim: Claim, step: Step) -> Findings:
        if claim.sealed:
            raise DataKeyWrong(claim.sealed, wait_s=_ANOTHER_WORKER_S)

        def hold() -> None:
            with self._asking():
                held = self.ledger.still_held(claim, lease_s=self.lease_s)
            if not held:
                raise LeaseLost

        kit = replace(self.kit, hold=hold, look_first=claim.look_first, memory=claim.memory, now=claim.now)
        try:
            with self.kit.genesys.acting_for(claim.record.provisioning_id):
                return self.steps[step](claim.record, kit)
        except (StepError, LeaseLost):
            raise
        except DependencyDown as error:
            raise PartAway(str(error), wait_s=_PART_AWAY_S) from error
        except Exception as error:
            # Anything else is a defect or a time limit. It must end as a counted attempt, never as a lost agent.
            _log.exception("step_broke", extra={"fields": {"provisioning_id": claim.record.provisioning_id}})
            raise Broken(f"{type(error).__name__} in {step}") from error

    def _decided(self, error: StepError, record: Provisioning, step: Step) -> Snooze | Retry | Fail:
        held = record.steps[step]
        policy = self.policy
        if isinstance(error, StationLate):
            # Pauses of the token count too: while they lasted, the station had its time to appear.
            policy = replace(policy, waited_max_s=min(policy.waited_max_s, self.station_wait_max_s))
        outcome = decide(error, attempt=held.attempts, waited_s=held.waited_s, policy=policy, jitter=self.chance())
        if isinstance(outcome, Fail):
            return outcome
        return replace(outcome, wait_s=outcome.wait_s / self.time_scale)

    def _after(self, record: Provisioning, now: datetime, outcome: Snooze | Retry | Fail) -> Provisioning:
        if isinstance(outcome, Fail):
            return moves.fail(record, now, outcome.failure)
        spends = isinstance(outcome, Retry)
        api_wait_s = outcome.wait_s * self.time_scale
        return moves.wait(record, now, outcome.wait_s, outcome.failure, spends=spends, counted_s=api_wait_s)

    def _now(self, claim: Claim, began_s: float) -> datetime:
        # The ledger's clock plus what passed since: a worker whose own clock is wrong writes right instants.
        return claim.now + timedelta(seconds=self.clock.monotonic_s() - began_s)
