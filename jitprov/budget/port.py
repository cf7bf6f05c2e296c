"""What the rooms ask of the meter. Two implementations, one contract suite (tests/contract/test_budget.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Permit:
    """A slot of the shared budget.

    Attributes:
        wait_s: Real seconds until the slot; 0.0 when it is now.
        good_for_s: Real seconds after the slot during which the request may still leave. A caller that wakes
            later must ask again: late permits bunch up and would break the promise.
    """

    wait_s: float
    good_for_s: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """No slot was reserved.

    Attributes:
        wait_s: Real seconds until it is worth asking again.
        reason: `paused` or `busy`.
    """

    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class BudgetState:
    """The meter at this moment, for people.

    Attributes:
        limit_per_min: The allowance the meter works with, in calls per API minute.
        spent_last_min: Slots given in the last API minute.
        spent_total: Slots given since the meter was made.
        next_slot_s: Real seconds until a new caller's slot.
        paused_s: Real seconds until a pause ends; 0.0 when not paused.
        pause_reason: Why it is paused; empty when not.
    """

    limit_per_min: int
    spent_last_min: int
    spent_total: int
    next_slot_s: float
    paused_s: float
    pause_reason: str


class Budget(Protocol):
    """One meter for all workers on all machines; raises `DependencyDown` when it cannot be asked (fail closed)."""

    def reserve(self, *, wait_max_s: float) -> Permit | Refusal:
        """Reserve the next slot if it is at most `wait_max_s` real seconds away."""
        ...

    def pause(self, *, for_s: float, reason: str) -> None:
        """Give no slot for `for_s` real seconds; a longer pause that runs already stays."""
        ...

    def state(self) -> BudgetState:
        """Return the meter for people."""
        ...
