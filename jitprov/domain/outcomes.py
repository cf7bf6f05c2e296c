"""How an attempt of a step can end, and which end follows from which error. Pure: time and chance are arguments."""

from __future__ import annotations

from dataclasses import dataclass

from jitprov.domain.agent import Priority
from jitprov.errors import Broken, NotNow, OutcomeUnknown, StepError, TryAgain


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt ended without its result, for people.

    Attributes:
        code: Stable word to filter by, such as `skill_unknown`.
        message: What happened; no personal data, no secret.
        remedy: What to do next.
        retry_helps: False when something must be mended first.
        http_status: The API's answer; None without one.
        correlation_id: `ININ-Correlation-Id`, for Genesys' support.
    """

    code: str
    message: str
    remedy: str
    retry_helps: bool
    http_status: int | None = None
    correlation_id: str | None = None

    def told(self, task_id: str) -> str:
        """Return the line with the id of the task that met it, so that the next command can be copied."""
        return str(self).replace("jitprov retry ID", f"jitprov retry {task_id}")

    def __str__(self) -> str:
        """One line that Flower, logs and the command line show alike."""
        status = f" (HTTP {self.http_status})" if self.http_status else ""
        trace = f" [correlation id {self.correlation_id}]" if self.correlation_id else ""
        return f"{self.code}{status}: {self.message.rstrip('.')}. {self.remedy}{trace}"


@dataclass(frozen=True, slots=True)
class Done:
    """The step has its result.

    Attributes:
        priority: With which the agent now waits for its turn; None when it does not wait, or has none.
        joined: Steps still to do that joined on demand after the chain was sent, so that it may not hold them.
    """

    priority: Priority | None = None
    joined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snooze:
    """Wait and come back; no attempt is spent.

    Attributes:
        wait_s: How long; 0.0 when it keeps its place.
        failure: What it met.
        keeps_its_place: Whether the message goes back to the front of its queue, having waited already.
        parked: Whether an event may end the wait: then no message waits, and the reconciler sends one when it is due.
    """

    wait_s: float
    failure: Failure
    keeps_its_place: bool = False
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """Wait with backoff and try again; an attempt was spent."""

    wait_s: float
    failure: Failure


@dataclass(frozen=True, slots=True)
class Fail:
    """The provisioning ends as failed and waits for the operator."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Skip:
    """The message had nothing to do here.

    Attributes:
        reason: Why: `done`, `ended`, `stale`, `early`, `leased`, `unknown`.
        chain_goes_on: True when a finished step's message came again: the next message may have been lost
            with the first, so the chain is let through (each later step is fenced the same way).
    """

    reason: str
    chain_goes_on: bool = False


Outcome = Done | Snooze | Retry | Fail | Skip


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of patience of one step.

    Attributes:
        attempts_max: Attempts of one step before it fails, at least 1.
        backoff_base_s: Ceiling of the first backoff, in seconds.
        backoff_cap_s: Ceiling of any backoff, in seconds.
        settle_s: Least wait after an uncertain create, so that a look afterwards can see what was made.
        waited_max_s: Seconds one step may spend snoozing in total before it fails, by waits that concern it alone.
    """

    attempts_max: int = 6
    backoff_base_s: float = 2.0
    backoff_cap_s: float = 60.0
    settle_s: float = 15.0
    waited_max_s: float = 3600.0


def describe(error: StepError) -> Failure:
    """Return the record of an error that people read."""
    return Failure(
        code=error.code,
        message=error.message,
        remedy=error.remedy,
        retry_helps=error.retry_helps,
        http_status=error.http_status,
        correlation_id=error.correlation_id,
    )


def may_have_acted(failure: Failure) -> bool:
    """Tell whether the attempt may have had its effect all the same, perhaps not visible yet."""
    return failure.code in {OutcomeUnknown.code, Broken.code}


def backoff_s(attempt: int, policy: RetryPolicy, jitter: float) -> float:
    """Return the wait after a failed attempt: full jitter under an exponential ceiling.

    Args:
        attempt: The attempt that failed, from 1.
        policy: Base and cap.
        jitter: Chance, 0.0 to 1.0.
    """
    exponent = min(attempt - 1, 32)
    ceiling_s: float = min(policy.backoff_cap_s, policy.backoff_base_s * 2.0**exponent)
    return ceiling_s * jitter


def decide(
    error: StepError, *, attempt: int, waited_s: float, policy: RetryPolicy, jitter: float
) -> Snooze | Retry | Fail:
    """Return what follows from an error: the one table of STYLE's section on errors.

    Args:
        error: What the step raised.
        attempt: Attempts of this step so far, this one included.
        waited_s: Seconds this step has snoozed so far.
        policy: Bounds.
        jitter: Chance, 0.0 to 1.0.
    """
    failure = describe(error)
    if isinstance(error, NotNow):
        if error.fails_in_time and waited_s >= policy.waited_max_s:
            return Fail(failure)
        if error.keeps_its_place:
            return Snooze(0.0, failure, keeps_its_place=True)
        return Snooze(max(error.wait_s, 0.0), failure, parked=error.parks)
    if isinstance(error, TryAgain) and attempt < policy.attempts_max:
        wait_s = backoff_s(attempt, policy, jitter)
        if isinstance(error, (OutcomeUnknown, Broken)):
            wait_s += policy.settle_s
        return Retry(wait_s, failure)
    return Fail(failure)
