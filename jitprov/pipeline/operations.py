"""What an operator may do to a provisioning: retry and cancel. Harmless for any id, in any state, at any moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from jitprov.domain import provisioning as moves
from jitprov.domain.ids import GENERATIONS_MAX
from jitprov.domain.provisioning import Provisioning, State
from jitprov.errors import DependencyDown
from jitprov.ledger import Ledger

# The default of `RetryPolicy.settle_s`, in real seconds; longer than need be against a scaled sandbox, which is safe.
SETTLE_S = 15.0


class Verdict(StrEnum):
    """What became of an operator's wish."""

    DONE = "done"
    ASKED = "asked"  # a worker holds it; it happens when that step ends
    NOTHING_TO_DO = "nothing_to_do"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an operator's wish.

    Attributes:
        verdict: See `Verdict`.
        text: One sentence for people, with the next command where there is one.
        record: As it stands afterwards; None for an unknown id.
    """

    verdict: Verdict
    text: str
    record: Provisioning | None = None


_UNKNOWN = Answer(
    Verdict.UNKNOWN,
    "No provisioning is known by this id. It may be a task id of any step, a provisioning, user or event id, or an "
    "e-mail address; `jitprov list` shows what there is.",
)


def retry(
    ledger: Ledger,
    enqueue_again: Callable[[Provisioning], None],
    any_id: str,
    *,
    grace_s: float,
    settle_s: float = SETTLE_S,
) -> Answer:
    """Resume a failed or cancelled provisioning at the step where it ended.

    The next generation opens: new task ids for the failed step and those after it, the same provisioning; older
    task ids keep leading to it. Done steps are not run again.

    Args:
        ledger: The truth.
        enqueue_again: Sends the chain from the recorded step.
        any_id: See `Ledger.find`.
        grace_s: How long the message may be on its way, in real seconds.
        settle_s: How long what a last attempt may have made can stay invisible, in real seconds; until then it waits.

    Raises:
        DependencyDown: The ledger does not answer; nothing was changed, or it is asked again without harm.
    """
    seen = ledger.find(any_id)
    if seen is None:
        return _UNKNOWN
    return retry_seen(ledger, enqueue_again, seen, grace_s=grace_s, settle_s=settle_s)


def retry_seen(
    ledger: Ledger,
    enqueue_again: Callable[[Provisioning], None],
    seen: Provisioning,
    *,
    grace_s: float,
    settle_s: float,
) -> Answer:
    """Retry a provisioning as it was read; see `retry`."""
    if seen.state is State.READY:
        return Answer(Verdict.NOTHING_TO_DO, "It is call-ready: nothing to retry.", seen)
    if not seen.state.ended:
        return Answer(Verdict.NOTHING_TO_DO, f"It is {seen.state} at {seen.step} and goes on by itself.", seen)
    if seen.superseded_by:
        return Answer(Verdict.REFUSED, f"A later one took over: jitprov show {seen.superseded_by}", seen)
    if seen.generation >= GENERATIONS_MAX:
        return Answer(Verdict.REFUSED, f"It was retried {GENERATIONS_MAX} times: mend the cause first.", seen)
    now = ledger.ping()
    resumed = moves.resume(seen, now, settle_s=settle_s)
    wait_s = (resumed.not_before - now).total_seconds() if resumed.not_before else 0.0
    if not ledger.change(seen, resumed, look_after_s=wait_s + grace_s):
        return Answer(Verdict.NOTHING_TO_DO, "Somebody else retried it just now.", ledger.get(seen.provisioning_id))
    try:
        enqueue_again(resumed)
    except DependencyDown:
        return Answer(Verdict.DONE, "It is retried as soon as the broker answers: the reconciler sends it.", resumed)
    return Answer(Verdict.DONE, f"It goes on at {resumed.step} as task {resumed.task_id()}.", resumed)


def cancel(ledger: Ledger, any_id: str, *, grace_s: float) -> Answer:
    """End a provisioning on purpose; what was made stays made. A running step is finished first.

    Raises:
        DependencyDown: The ledger does not answer.
    """
    seen = ledger.find(any_id)
    if seen is None:
        return _UNKNOWN
    return cancel_seen(ledger, seen, grace_s=grace_s)


def cancel_seen(ledger: Ledger, seen: Provisioning, *, grace_s: float) -> Answer:
    """Cancel a provisioning as it was read; see `cancel`."""
    if seen.state in {State.READY, State.CANCELLED}:
        return Answer(Verdict.NOTHING_TO_DO, f"It is {seen.state} already.", seen)
    if ledger.change(seen, moves.cancel(seen, ledger.ping()), look_after_s=grace_s):
        return Answer(
            Verdict.DONE, "It is cancelled; `jitprov retry` takes it up again.", ledger.get(seen.provisioning_id)
        )
    if ledger.ask_cancel(seen.provisioning_id):
        return Answer(Verdict.ASKED, "A worker holds it; it ends when that step does.", seen)
    return Answer(Verdict.NOTHING_TO_DO, "It ended just now.", ledger.get(seen.provisioning_id))
