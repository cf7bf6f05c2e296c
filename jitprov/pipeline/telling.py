"""What is said of an attempt: one wide line in the log, and the same on its span. Ids, codes and times; no person.

Fields of `step_ended`, each in every line:

provisioning_id task_id user_id    whose, and which task
step run attempt                   which step, in which run (1, and one more with each operator's retry), which try
worker                             Celery's name of the node, bound by the task
outcome                            done · retry (spends an attempt) · snooze (spends none) · fail · skip (lease lost)
state                              of the provisioning afterwards
recorded                           false: the ledger did not take it, and the attempt is repeated
wait_s                             real seconds until it goes on; 0 when it does not wait
queue_ms                           from the end of the step before, or from acceptance, to this attempt's claim; null
                                   when the step was tried before, since then it waited on purpose
duration_ms                        from before the claim to the ledger's last answer; of it
  slot_ms call_ms redis_ms           waited for the budget's slot, for the API's answers, for the ledger
calls                              each call: method, route, status (0: no answer), correlation_id, duration_ms
code http_status correlation_id    what it met, when it was not done
trace_id                           of its trace; null while nobody traces
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from jitprov import logs
from jitprov.domain.outcomes import Done, Fail, Outcome
from jitprov.domain.provisioning import Provisioning, State
from jitprov.tracing.attempt import Parts
from jitprov.tracing.spans import Attribute, Span, trace_id

_log = logging.getLogger(__name__)


def queued_ms(record: Provisioning, now: datetime) -> int | None:
    """Return how long the current step's first attempt waited in its queue; None when the step was tried before.

    Args:
        record: As claimed.
        now: The ledger's clock at the claim.
    """
    held = record.steps[record.step]
    if held.attempts > 1 or held.failure is not None:
        return None
    before = [record.steps[step] for step in record.corridor if step.number < record.step.number]
    if held.generation > 1 and (not before or before[-1].generation != held.generation):
        return None  # an operator's retry: when it was asked for is not kept
    since = max([record.accepted_at, *(step.ended_at for step in before if step.ended_at)])
    return max(round((now - since).total_seconds() * 1000), 0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, as it was claimed.

    Attributes:
        record: The provisioning under the lease.
        parts: Fills while it works.
        said: What its span says from the beginning, and its line again.
    """

    record: Provisioning
    parts: Parts
    said: dict[str, Attribute]

    @classmethod
    def of(cls, record: Provisioning, now: datetime, parts: Parts) -> Self:
        """Return an attempt that begins.

        Args:
            record: As claimed.
            now: The ledger's clock at the claim.
            parts: What it will spend.
        """
        said: dict[str, Attribute] = {
            "provisioning_id": record.provisioning_id,
            "task_id": record.task_id(),
            "user_id": record.user_id,
            "step": str(record.step),
            "run": record.generation,
            "attempt": record.steps[record.step].attempts,
            "queue_ms": queued_ms(record, now),
        }
        return cls(record, parts, said)

    def tell(self, span: Span, outcome: Outcome, state: State, took_s: float, *, recorded: bool) -> None:
        """Say how it ended.

        Args:
            span: Its own.
            outcome: What became of it.
            state: Of the provisioning afterwards.
            took_s: The whole of it.
            recorded: Whether the ledger has taken it.
        """
        record, parts = self.record, self.parts
        failure = getattr(outcome, "failure", None)
        word = type(outcome).__name__.lower()
        span.note(outcome=word, state=str(state), recorded=recorded)
        if failure is not None and not isinstance(outcome, Done):
            span.note(code=failure.code, correlation_id=failure.correlation_id)
            span.fail(failure.code)
        logs.event(
            _log,
            "step_ended",
            level=logging.WARNING if isinstance(outcome, Fail) else logging.INFO,
            **self.said,
            outcome=word,
            state=state,
            recorded=recorded,
            wait_s=round(getattr(outcome, "wait_s", 0.0), 3),
            duration_ms=round(took_s * 1000),
            slot_ms=parts.ms("slot"),
            call_ms=parts.ms("call"),
            redis_ms=parts.ms("redis"),
            calls=parts.calls,
            code=failure.code if failure else None,
            http_status=failure.http_status if failure else None,
            correlation_id=failure.correlation_id if failure else None,
            trace_id=trace_id(record.provisioning_id),
        )
