"""The ledger as the operator sees it: found by filter, counted, grouped by cause, drawn over time; and the log of acts.

What the board asks costs the same in a stampede of 10,000 as on a quiet day: counts and the curve are ranks in sorted
sets, a search walks bounded stretches. Two implementations, one contract suite (tests/contract/test_overview.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from jitprov.domain.provisioning import Provisioning, State, Step
from jitprov.ledger.port import Ledger


@dataclass(frozen=True, slots=True)
class Filter:
    """Which provisionings are meant; what is left out matches all.

    Attributes:
        states: In one of these.
        step: At this step.
        error: Failed with this code, or waits for it.
        department: The whole name, case aside.
        text: Words that all stand in name, address or user id, case aside.
        since: Accepted then or later.
    """

    states: tuple[State, ...] = ()
    step: Step | None = None
    error: str = ""
    department: str = ""
    text: str = ""
    since: datetime | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the text, as they are compared."""
        return tuple(self.text.casefold().split())

    def told(self) -> str:
        """Return the filter for people, without the text that may be a name."""
        parts = [
            " or ".join(self.states),
            f"at step {self.step}" if self.step else "",
            f"with error {self.error}" if self.error else "",
            f"of department {self.department}" if self.department else "",
            "with a name or id" if self.text else "",
            f"since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else "",
        ]
        return ", ".join(part for part in parts if part) or "all"


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch of what a filter matches, first accepted first.

    Attributes:
        records: At most as many as asked for.
        following: Where to go on, to be handed back; None at the end. It stays good while provisionings come and move.
    """

    records: Sequence[Provisioning]
    following: str | None


def place_of(following: str) -> tuple[int, str]:
    """Return instant (µs) and id of the provisioning after which a search goes on; ValueError when it is no place."""
    instant, _, last = following.partition("-")
    if not (instant.isascii() and instant.isdigit() and last):
        msg = "not a place in a list"
        raise ValueError(msg)
    return int(instant), last


@dataclass(frozen=True, slots=True)
class Cause:
    """Provisionings that fail, or wait, for the same reason.

    Attributes:
        count: How many.
        step: At which step.
        code: Of the failure.
        message: What happened.
        remedy: What to do next.
        retry_helps: False when something must be mended first.
        example: Id of the one accepted first.
    """

    count: int
    step: Step
    code: str
    message: str
    remedy: str
    retry_helps: bool
    example: str


#: States in which somebody may still be needed.
UNFINISHED = (State.ACCEPTED, State.RUNNING, State.WAITING, State.FAILED)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where everybody stands, at one instant: no count is of another than the next.

    Attributes:
        now: The store's clock.
        counts: Per state, of those accepted since the instant asked for; every state is a key.
        older: Under way or failed, and accepted before the instant asked for.
        under_way: Per step, all that have not ended, whenever accepted; every step is a key.
        first_accepted_at: Of those accepted since; None when there are none.
        last_ready_at: When the last one so far became ready.
        oldest_under_way_at: When the one that is under way the longest was accepted; None when nobody is.
    """

    now: datetime
    counts: Mapping[State, int]
    older: int
    under_way: Mapping[Step, int]
    first_accepted_at: datetime | None
    last_ready_at: datetime | None
    oldest_under_way_at: datetime | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the curve: how many by then, of those accepted since the instant asked for."""

    at: datetime
    arrived: int
    ready: int
    failed: int


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator did, for the log of acts.

    Attributes:
        act_id: Unique; a later note with the same id replaces the earlier (a long act tells how far it is).
        at: When it was begun.
        who: Name given at the login, or whose key it was.
        what: `retry`, `cancel`, `pause`, `resume`, `turn`.
        whom: A provisioning id, a filter in words, or what else it was done to.
        why: The operator's reason; may be empty.
        outcome: What became of it, for people.
    """

    act_id: str
    at: datetime
    who: str
    what: str
    whom: str
    why: str = ""
    outcome: str = ""
    finished: bool = field(default=True)


class Overview(Ledger, Protocol):
    """A ledger that can be looked over. Raises as `Ledger` does."""

    def search(self, wanted: Filter, *, after: str | None = None, limit: int = 100) -> Found:
        """Return what matches, first accepted first.

        Args:
            wanted: The filter.
            after: `following` of the stretch before; ValueError when it is none.
            limit: At most this many records, at least 1.
        """
        ...

    def tally(self, wanted: Filter) -> Mapping[Step, int]:
        """Return how many match, per step at which they stand; steps with none are left out."""
        ...

    def causes(self, wanted: Filter) -> Sequence[Cause]:
        """Return failures or waits by cause, the most frequent first; only failed and waiting ones have one."""
        ...

    def standing(self, since: datetime | None = None) -> Standing:
        """Return where everybody stands."""
        ...

    def curve(self, since: datetime | None, instants: Sequence[datetime]) -> Sequence[Mark]:
        """Return how many had arrived, were ready and had failed by each instant."""
        ...

    def ahead(self, record: Provisioning) -> Mapping[Step, int]:
        """Return how many under way are served before one: those at later steps, and at its step accepted earlier."""
        ...

    def departments(self) -> Sequence[str]:
        """Return the departments seen so far, sorted."""
        ...

    def note(self, act: Act, *, keep: int = 10_000) -> None:
        """Keep an act among the newest `keep`."""
        ...

    def acts(self, *, limit: int = 100) -> Sequence[Act]:
        """Return acts, newest first."""
        ...
