"""What the rooms ask of the ledger. Two implementations, one contract suite (tests/contract/test_ledger.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from jitprov.domain.events import Acceptance, Opening
from jitprov.domain.given import Memory
from jitprov.domain.provisioning import Provisioning, State, Step
from jitprov.ledger.book import Book

# Chance alone does not bring that about; whoever repeats the event brings another id.
ID_TAKEN = "a provisioning id is taken by another agent's; nothing was written over. Send the event again"


Keep = Literal["the first", "nothing", "whatever was"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run one step, until the lease ends.

    Attributes:
        record: The provisioning as read under the lease; its `attempts` include this one.
        token: Proof of the lease; a record written with a lost lease is refused.
        now: The ledger's clock at the claim.
        look_first: The ledger was lost since it was accepted, or shortly before: what an earlier provisioning made
            for this agent may be there, and unknown.
        sealed: Why what was found so far cannot be opened, so that `record` lacks it; empty as a rule.
        memory: What is remembered of the agent from this and earlier provisionings.
    """

    record: Provisioning
    token: str
    now: datetime
    look_first: bool = False
    sealed: str = ""
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a claim was not given.

    Attributes:
        reason: `unknown` no such provisioning · `ended` · `stale` an older run's message · `done` this step is
            past · `early` an earlier step is not done · `leased` a worker holds it · `waiting` it is not due yet.
        wait_s: For `waiting`: real seconds until it is due.
    """

    reason: str
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Due:
    """A provisioning the reconciler should look at.

    Attributes:
        missed: How many looks in a row found no message of it in the broker.
        leased: True while a worker's lease runs; then nothing needs doing.
        lease_lost: True when a lease ran out without a record: the worker died.
    """

    record: Provisioning
    missed: int
    leased: bool
    lease_lost: bool


class Ledger(Protocol):
    """The truth about every provisioning.

    Every method raises `DependencyDown` when the store does not answer; a write has then perhaps happened,
    and every write is safe to repeat. Instants are the store's own clock, so a worker's clock does not matter.
    `accept`, `claim` and `trust` raise `LedgerLost`, a `DependencyDown`, on a store that is not the one worked with.
    """

    def accept(self, openings: Sequence[Opening], *, look_after_s: float) -> list[Acceptance]:
        """Open a provisioning for each event, once per event, and once per user until something changes; durable.

        A later event is served by a provisioning that will read the profile after it, if the agent has one that has
        not begun; else by one of its own, which waits for the one under way to end. One that had failed is taken over.
        One round trip for any number of openings; the answers come in their order. No provisioning is ever written
        over, and no id that leads to one is ever led to another.

        Args:
            openings: What to open.
            look_after_s: When the reconciler may first look for the message, in real seconds from now.

        Raises:
            DependencyDown: Also when an opening's id is that of another provisioning; the others are written.
        """
        ...

    def get(self, provisioning_id: str) -> Provisioning | None:
        """Return a provisioning, or None."""
        ...

    def get_many(self, provisioning_ids: Sequence[str]) -> list[Provisioning]:
        """Return those that exist, in the order asked for."""
        ...

    def find(self, any_id: str) -> Provisioning | None:
        """Return the provisioning that an id means; None when nothing is known by it.

        Args:
            any_id: A task id of any run and step, a provisioning, user or event id, or an e-mail address; case aside.
        """
        ...

    def claim(self, provisioning_id: str, step: Step, generation: int, *, token: str, lease_s: float) -> Claim | Denied:
        """Take the right to run a step; counts an attempt.

        Args:
            provisioning_id: Whose step.
            step: Which step the message is for.
            generation: Of which run the message is.
            token: Unique to this delivery; the same token again renews its own claim without a second attempt.
            lease_s: Real seconds until others may take it.
        """
        ...

    def still_held(self, claim: Claim, *, lease_s: float) -> bool:
        """Tell whether the lease is still this claim's, and if so make it last at least `lease_s` from now.

        Asked right before an effect that must not happen twice, and now and then while a step works.
        """
        ...

    def record(self, claim: Claim, record: Provisioning, *, look_after_s: float, memory: Memory | None = None) -> bool:
        """Write a step's end and give the lease back.

        Args:
            claim: The claim under which the step ran.
            record: The next record, from a move of `domain.provisioning`.
            look_after_s: When the reconciler may look for the next message, in real seconds from now.
            memory: What is remembered of the agent from now on, written in the same act; an empty one forgets the
                agent, None leaves what there is.

        Returns:
            False when the lease was lost or the record was changed meanwhile; nothing is written then.
        """
        ...

    def memories(self, user_ids: Sequence[str]) -> Mapping[str, Memory]:
        """Return what is remembered of these agents; those of whom nothing is are absent."""
        ...

    def all_memories(self) -> Mapping[str, Memory]:
        """Return what is remembered of everybody, by user id."""
        ...

    def change(self, seen: Provisioning, record: Provisioning, *, look_after_s: float) -> bool:
        """Write an operator's move (`resume`, `cancel`) if nobody holds a lease and nothing changed since `seen`.

        Returns:
            False when a worker holds it, or when it is no longer as seen.
        """
        ...

    def ask_cancel(self, provisioning_id: str) -> bool:
        """Note that the operator wants it ended; the worker that holds it, or the next, ends it. False if ended."""
        ...

    def due(self, *, limit: int) -> list[Due]:
        """Return what the reconciler should look at now, the longest due first."""
        ...

    def looked(self, provisioning_id: str, *, missed: int, look_after_s: float, republished: bool = False) -> None:
        """Note the reconciler's look: how many misses in a row, when to look again, whether it sent a message."""
        ...

    def page(self, states: Sequence[State] = (), *, offset: int = 0, limit: int = 100) -> list[Provisioning]:
        """Return provisionings by state (all states when none is named), first accepted first."""
        ...

    def count(self) -> Mapping[State, int]:
        """Return how many provisionings stand in each state; every state is a key."""
        ...

    def waiting_users(self, *, limit: int) -> Sequence[str]:
        """Return users whose first step is not done: those that a worker holds, then the first accepted."""
        ...

    def standing_at(self, step: Step, *, limit: int) -> Sequence[Provisioning]:
        """Return those under way whose next step is this one, the first accepted first, with what was found."""
        ...

    def forget(self, *, ended_before: datetime, limit: int = 500) -> int:
        """Drop ready and cancelled provisionings that ended before an instant, with their ids; return how many.

        Quarantine entries from before it go as well.
        """
        ...

    def quarantine(self, entry: Mapping[str, str], *, keep: int, sealed: str = "") -> None:
        """Keep a refused body's description among the newest `keep`, and its sealed text with it.

        Args:
            entry: Its `id`, and words about it; never its text.
            keep: Entries; older ones go, with their text.
            sealed: The body, sealed by whoever may read it; empty when it is not to be kept.
        """
        ...

    def quarantined(self, *, limit: int = 100) -> Sequence[Mapping[str, str]]:
        """Return quarantine entries, newest first."""
        ...

    def sealed_body(self, entry_id: str) -> str:
        """Return the sealed text of a quarantine entry; empty when there is none."""
        ...

    def release(self, entry_id: str) -> bool:
        """Drop a quarantine entry and its text; False when there was none."""
        ...

    def ping(self) -> datetime:
        """Return the store's clock."""
        ...

    def trust(self) -> Book:
        """Return which book the store holds, after making sure that it is the right one; the first look opens one.

        Raises:
            LedgerLost: The store was emptied, set back or exchanged, and nobody has acknowledged that yet.
        """
        ...

    def book(self) -> Book:
        """Return which book the store holds, as it is; judges and changes nothing."""
        ...

    def match_key(self, *, keep: Keep = "the first") -> None:
        """Make sure that this process' key for personal data is the one that all others seal with.

        The first key that comes is the one; of two keys the new one is from then on. Without a key nothing is matched.

        Args:
            keep: `the first` takes this process' key for the right one when there was none; `nothing` only looks;
                `whatever was` takes it in any case, when the one before is lost.

        Raises:
            ConfigurationError: It is another.
        """
        ...

    def acknowledge_loss(self, *, opens_in_s: float, looks_for_s: float) -> None:
        """Take what the store holds now for the right ledger, once a human has decided so.

        Args:
            opens_in_s: Until then nothing is accepted or claimed, so that whatever was under way at the loss has
                ended. Real seconds.
            looks_for_s: For so long, whoever was accepted before the end of it is claimed with `look_first`.
        """
        ...
