"""Retry all that match: filter, preview, act, with a line in the log of acts. One mechanism for board, API and command.

Nothing here sends a request to Genesys: each agent is opened again in the ledger and its chain is sent, and the meter
paces what the workers then do. A process that dies halfway leaves agents that are retried and agents that are not;
doing it again does the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jitprov.domain.provisioning import Provisioning, State, Step
from jitprov.ledger.overview import Act, Cause, Filter, Overview
from jitprov.pipeline.all_that_match import AllThatMatch
from jitprov.pipeline.operations import SETTLE_S, Answer, Verdict, retry_seen
from jitprov.pipeline.outlook import Pace, everybody

_RETRIED = (State.FAILED, State.CANCELLED)


def retried_by(wanted: Filter) -> Filter:
    """Return the filter with the states that a retry may move: failed; cancelled only where it is named."""
    return replace(wanted, states=tuple(state for state in _RETRIED if state in wanted.states) or (State.FAILED,))


@dataclass(frozen=True, slots=True)
class Preview:
    """What retrying all that match would do.

    Attributes:
        wanted: Whom it means.
        at: The ledger's clock: who fails later is not meant.
        agents: How many.
        calls: API calls that they take.
        last_at: When the last of them and of those under way will be ready.
        causes: Why they failed; those where retrying does not help come back unless the cause is mended.
    """

    wanted: Filter
    at: datetime
    agents: int
    calls: int
    last_at: datetime
    causes: Sequence[Cause]

    @property
    def hopeless(self) -> int:
        """How many fail again unless something is mended first."""
        return sum(cause.count for cause in self.causes if not cause.retry_helps)


def preview(ledger: Overview, wanted: Filter, pace: Pace, *, paused_s: float = 0.0) -> Preview:
    """Return what retrying all that match would do; changes nothing.

    Raises:
        DependencyDown: The ledger does not answer.
    """
    wanted = retried_by(wanted)
    standing = ledger.standing()
    causes = ledger.causes(wanted)
    tally = _by_step(causes) if wanted.states == (State.FAILED,) else ledger.tally(wanted)
    alone = pace.outlook(tally, standing.now, paused_s=paused_s)
    # Those at later steps are served first, and new ones come in between: all that are under way count.
    together = pace.outlook(everybody(tally, standing.under_way), standing.now, paused_s=paused_s)
    return Preview(wanted, standing.now, sum(tally.values()), alone.calls, together.last_at, causes)


def _by_step(causes: Sequence[Cause]) -> dict[Step, int]:
    counts: Counter[Step] = Counter()
    for cause in causes:  # every failed one has its cause
        counts[cause.step] += cause.count
    return counts


@dataclass(frozen=True, slots=True)
class Retrying:
    """Retries all that match.

    Attributes:
        ledger: The truth, and where the act is noted.
        enqueue_again: Sends the chain from the recorded step.
        grace_s: How long a message may be on its way, in real seconds.
        settle_s: See `operations.retry`.
    """

    ledger: Overview
    enqueue_again: Callable[[Provisioning], None]
    grace_s: float
    settle_s: float = SETTLE_S

    def begin(self, wanted: Filter, *, who: str, why: str = "") -> Act:
        """Note the act and return it; nobody is retried yet. See `AllThatMatch.begin`."""
        return self._all().begin(retried_by(wanted), who=who, why=why)

    def go_on(self, act: Act, wanted: Filter, *, told: Callable[[Act], None] = lambda _: None) -> Act:
        """Retry all that match and had ended when the act began. See `AllThatMatch.go_on`."""
        return self._all().go_on(act, retried_by(wanted), told=told)

    def _all(self) -> AllThatMatch:
        return AllThatMatch(self.ledger, "retry", do=self._retry, means=_had_ended, told=_told)

    def _retry(self, record: Provisioning) -> Answer:
        return retry_seen(self.ledger, self.enqueue_again, record, grace_s=self.grace_s, settle_s=self.settle_s)


def _had_ended(record: Provisioning, act: Act) -> bool:
    # One that failed meanwhile, perhaps for this very cause, is not what the operator saw.
    return record.ended_at is not None and record.ended_at <= act.at


def _told(became: Counter[Verdict]) -> str:
    left = became.total() - became[Verdict.DONE]
    return f"{became[Verdict.DONE]} retried{f', {left} needed no retry or had too many' if left else ''}"
