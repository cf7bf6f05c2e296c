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
from uuid import uuid4

from jitprov.domain.provisioning import Provisioning, State, Step
from jitprov.ledger.overview import Act, Cause, Filter, Overview
from jitprov.pipeline.operations import SETTLE_S, Verdict, retry_seen
from jitprov.pipeline.outlook import Pace, everybody

_RETRIED = (State.FAILED, State.CANCELLED)
_PAGE = 100


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
        """Note the act and return it; nobody is retried yet.

        Raises:
            DependencyDown: The ledger does not answer.
        """
        wanted = retried_by(wanted)
        act = Act(uuid4().hex, self.ledger.ping(), who, "retry", wanted.told(), why, "begun", finished=False)
        self.ledger.note(act)
        return act

    def go_on(self, act: Act, wanted: Filter, *, told: Callable[[Act], None] = lambda _: None) -> Act:
        """Retry all that match and had ended when the act began; note how far it is after each hundred.

        Args:
            act: From `begin`.
            wanted: The same filter.
            told: Called with the act after each hundred, and at the end.

        Raises:
            DependencyDown: The ledger does not answer; those done so far are done.
        """
        wanted, after = retried_by(wanted), None
        done = left = 0
        while True:
            found = self.ledger.search(wanted, after=after, limit=_PAGE)
            for record in found.records:
                if record.ended_at is None or record.ended_at > act.at:
                    continue  # it failed meanwhile, perhaps for this very cause: not what the operator saw
                answer = retry_seen(
                    self.ledger, self.enqueue_again, record, grace_s=self.grace_s, settle_s=self.settle_s
                )
                done, left = done + (answer.verdict is Verdict.DONE), left + (answer.verdict is not Verdict.DONE)
            after = found.following
            rest = f", {left} needed no retry or had too many" if left else ""
            act = replace(act, outcome=f"{done} retried{rest}", finished=after is None)
            self.ledger.note(act)
            told(act)
            if after is None:
                return act
