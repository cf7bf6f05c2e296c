"""Which end of an attempt follows from which error."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_failure
from jitprov import errors
from jitprov.domain.outcomes import Fail, Retry, RetryPolicy, Snooze, backoff_s, decide, describe, may_have_acted
from jitprov.errors import (
    CallsHeldUp,
    Final,
    NotNow,
    OutcomeUnknown,
    ProfileIncomplete,
    StationLate,
    StepError,
    TryAgain,
    Unavailable,
)

POLICY = RetryPolicy(attempts_max=3, backoff_base_s=2.0, backoff_cap_s=60.0, settle_s=15.0, waited_max_s=100.0)
UNCERTAIN = {"OutcomeUnknown", "Broken"}


def kinds(base: type[StepError]) -> list[type[StepError]]:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, base)]
    assert found
    return found


def an_error(kind: type[StepError], **changes: object) -> StepError:
    extra = {"wait_s": 7.0} if issubclass(kind, NotNow) else {}
    return kind("something", **{**extra, **changes})  # type: ignore[arg-type]  # each kind's own keywords


def decided(error: StepError, *, attempt: int = 1, waited_s: float = 0.0, jitter: float = 0.5) -> Snooze | Retry | Fail:
    return decide(error, attempt=attempt, waited_s=waited_s, policy=POLICY, jitter=jitter)


@pytest.mark.parametrize("kind", kinds(NotNow))
@pytest.mark.parametrize("attempt", [1, 3, 99])
def test_not_now_snoozes_however_many_attempts_there_were(kind: type[StepError], attempt: int) -> None:
    """Where nothing is wrong the step waits as long as it was told, and attempts do not matter.

    What holds up everybody was waited for already: the message keeps its place in line.
    """
    error = an_error(kind)

    if isinstance(error, CallsHeldUp):
        assert decided(error, attempt=attempt) == Snooze(0.0, describe(error), keeps_its_place=True)
    else:
        assert decided(error, attempt=attempt) == Snooze(7.0, describe(error), parked=kind is ProfileIncomplete)


def test_a_wait_of_its_own_ends_with_the_total_wait() -> None:
    """A step that waited for its own station as long as it may fails at the next; a moment before it still waits."""
    error = an_error(StationLate)

    assert decided(error, waited_s=99.9) == Snooze(7.0, describe(error))
    assert decided(error, waited_s=100.0) == Fail(describe(error))


@pytest.mark.parametrize("kind", [kind for kind in kinds(NotNow) if kind is not StationLate])
def test_a_wait_of_everybody_fails_nobody(kind: type[StepError]) -> None:
    """A pause, a limit, a refused client or a part that is away may last for hours: nobody fails one by one for it."""
    assert isinstance(decided(an_error(kind), waited_s=1e9), Snooze)


def test_a_wait_of_less_than_nothing_is_no_wait() -> None:
    """A negative wait, as an answer's clock may cause, becomes zero."""
    error = an_error(NotNow, wait_s=-3.0)

    assert decided(error) == Snooze(0.0, describe(error))


@pytest.mark.parametrize("kind", [kind for kind in kinds(TryAgain) if kind.__name__ not in UNCERTAIN])
def test_try_again_retries_with_backoff(kind: type[StepError]) -> None:
    """An error worth repeating waits a random share of the attempt's ceiling."""
    error = an_error(kind)

    assert decided(error, attempt=2, jitter=0.5) == Retry(2.0, describe(error))


@pytest.mark.parametrize("kind", [kind for kind in kinds(TryAgain) if kind.__name__ in UNCERTAIN])
def test_what_may_have_been_applied_settles_before_the_next_look(kind: type[StepError]) -> None:
    """After an attempt that may have been applied the wait is never below the time in which that can be seen."""
    error = an_error(kind)

    assert decided(error, attempt=2, jitter=0.5) == Retry(17.0, describe(error))
    assert decided(error, attempt=1, jitter=0.0) == Retry(15.0, describe(error))


@pytest.mark.parametrize("kind", kinds(TryAgain))
def test_the_last_attempt_fails(kind: type[StepError]) -> None:
    """The attempt that uses up the allowance fails, and the failure says that a retry helps."""
    error = an_error(kind)

    assert isinstance(decided(error, attempt=2), Retry)
    assert decided(error, attempt=3) == Fail(describe(error))
    assert describe(error).retry_helps


@pytest.mark.parametrize("kind", kinds(TryAgain))
def test_snoozed_time_does_not_count_against_attempts(kind: type[StepError]) -> None:
    """An error that spends attempts is not judged by the time that was snoozed."""
    assert isinstance(decided(an_error(kind), waited_s=1e9), Retry)


@pytest.mark.parametrize("kind", kinds(Final))
def test_final_fails_at_once(kind: type[StepError]) -> None:
    """What ends a provisioning fails at the first attempt, and the failure says whether a bare retry helps."""
    error = an_error(kind)

    assert decided(error) == Fail(describe(error))
    assert describe(error).retry_helps is kind.retry_helps


def test_an_error_of_no_kind_fails() -> None:
    """An error that is neither a wait nor worth repeating ends the provisioning rather than looping."""
    error = an_error(StepError)

    assert decided(error) == Fail(describe(error))


def test_every_kind_of_step_error_is_in_the_table() -> None:
    """Each step error is a wait, worth repeating or final, so none falls through the table unseen."""
    sorted_out = {*kinds(NotNow), *kinds(TryAgain), *kinds(Final), StepError}

    assert set(kinds(StepError)) == sorted_out


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.1, 60), st.floats(0.1, 600))
def test_backoff_stays_within_its_bounds(attempt: int, jitter: float, base_s: float, cap_s: float) -> None:
    """Whatever the attempt, the wait is at least nothing, at most the cap, and at most the attempt's ceiling."""
    policy = replace(POLICY, backoff_base_s=base_s, backoff_cap_s=cap_s)

    wait_s = backoff_s(attempt, policy, jitter)

    assert 0.0 <= wait_s <= cap_s
    assert attempt > 1 or wait_s <= base_s


def test_ceilings_double_up_to_the_cap() -> None:
    """The ceiling doubles with each attempt and stops at the cap."""
    assert [backoff_s(attempt, POLICY, 1.0) for attempt in range(1, 8)] == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


@given(st.floats(0, 1), st.integers(1, 2))
def test_a_retry_waits_within_jitter_and_settling(jitter: float, attempt: int) -> None:
    """An uncertain attempt waits settling plus at most its ceiling, a certain one at most its ceiling."""
    uncertain = decided(an_error(OutcomeUnknown), attempt=attempt, jitter=jitter)
    certain = decided(an_error(Unavailable), attempt=attempt, jitter=jitter)

    assert isinstance(uncertain, Retry)
    assert isinstance(certain, Retry)
    assert 15.0 <= uncertain.wait_s <= 15.0 + 2.0**attempt
    assert 0.0 <= certain.wait_s <= 2.0**attempt


def test_a_failure_carries_all_that_people_need() -> None:
    """Describing an error keeps its code, text, remedy, status and correlation id."""
    error = Unavailable("The API answered 503.", http_status=503, correlation_id="c0ffee", remedy="Wait.")

    assert describe(error) == a_failure(remedy="Wait.")


def test_the_remedy_of_the_class_stands_in() -> None:
    """An error without a remedy of its own has its class' remedy."""
    assert describe(Unavailable("x")).remedy == Unavailable.default_remedy


@pytest.mark.parametrize("kind", kinds(StepError))
def test_only_some_failures_may_have_acted(kind: type[StepError]) -> None:
    """An uncertain create and a defect may have had their effect; all others surely had none that is not safe."""
    assert may_have_acted(describe(an_error(kind))) is (kind.__name__ in UNCERTAIN)


def test_a_failure_reads_as_one_line() -> None:
    """The one line names code, status, cause, remedy and correlation id."""
    assert str(a_failure()) == ("unavailable (HTTP 503): The API answered 503. Retry it. [correlation id c0ffee]")


def test_a_line_names_only_what_there_is() -> None:
    """Without an answer the line has neither status nor correlation id."""
    assert str(a_failure(http_status=None, correlation_id=None)) == "unavailable: The API answered 503. Retry it."
