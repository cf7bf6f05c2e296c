"""What the rooms ask of the meter. Two implementations, one contract suite (tests/contract/test_budget.py).

The meter has one lane per access token (one, unless the settings say more); who reserves gets the lane whose slot comes
first, and must send with that lane's token. It answers `reserve` in one round trip; what answers of the API say is
remembered by `heard` and goes along with the next `reserve`. All times are real seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

#: Real seconds before its slot at which a caller may confirm a permit, at the earliest; a slot that was nearer when it
#: was given need not be confirmed.
ASK_AHEAD_S = 0.05
#: A pause without an end lasts ten years.
ENDLESS_S = 315_360_000.0


@dataclass(frozen=True, slots=True)
class Permit:
    """A slot of the shared budget.

    Attributes:
        wait_s: Until the slot; 0.0 when it is now.
        good_for_s: After the slot, how long the request may still leave. A caller that wakes later must ask again:
            late permits bunch up and would break the promise.
        lane: Whose token must be used, from 0.
        number: The slot's own, in its lane; 0 in a stand-in's permit.
        made: Which meter gave it: a lost one's slots do not hold in the next.
        slot_us: The slot by the meter's clock, in microseconds.
        slot_at_s: The slot by the caller's steady count; the meter's clock was at `slot_us` then, or up to `took_s`
            later.
        took_s: How long the meter's answer took.
        probe: The circuit is open, and this request alone finds out whether it may close.
        failures: Failures in a row that the meter knew of; when there are any, a success is news.
    """

    wait_s: float
    good_for_s: float
    lane: int = 0
    number: int = 0
    made: str = ""
    slot_us: int = 0
    slot_at_s: float = 0.0
    took_s: float = 0.0
    probe: bool = False
    failures: int = 0

    @property
    def leave_by_s(self) -> float:
        """Until when the request may begin to leave, by the caller's steady count."""
        return self.slot_at_s + self.good_for_s


Denial = Literal["busy", "paused", "held", "broken"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """No slot was reserved.

    Attributes:
        wait_s: Until it is worth asking again.
        reason: `busy`: all slots in reach are taken. `paused`: the API wants a pause. `held`: people paused it.
            `broken`: the circuit is open.
        why: In words; empty when busy.
    """

    wait_s: float
    reason: Denial
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer of the API said about its token's allowance (`inin-ratelimit-*`).

    Attributes:
        allowed: Requests per API minute.
        count: Requests in the API's window so far, this one included.
        reset_s: API seconds until the window ends, or until its oldest request leaves it; whole ones.
        sent_s: When the request left, by the caller's steady count.
        heard_s: When the answer had come.
    """

    allowed: int
    count: int
    reset_s: int
    sent_s: float
    heard_s: float


@dataclass(frozen=True, slots=True)
class LaneState:
    """One token's meter at this moment.

    Attributes:
        limit_per_min: The limit in force: the least of the setting, what the API allows, and what people chose.
        allowed_per_min: What the API's last answer allowed; None before it said so.
        spent_last_min: Slots that have come in the last API minute, without others' calls.
        others_last_min: Calls that others made with this token in the last API minute, as far as the API's answers
            gave them away.
        spent_total: Slots given since the meter was made.
        next_slot_s: Until a new caller's slot.
        paused_s: Until the pause that the API asked for ends; 0.0 when there is none.
        pause_reason: Why; empty when not paused.
    """

    limit_per_min: int
    allowed_per_min: int | None
    spent_last_min: int
    others_last_min: int
    spent_total: int
    next_slot_s: float
    paused_s: float
    pause_reason: str


@dataclass(frozen=True, slots=True)
class BudgetState:
    """The meter at this moment, for people: all lanes together.

    Attributes:
        limit_per_min: The limits in force, in calls per API minute, of all lanes.
        spent_last_min: Slots given in the last API minute.
        spent_total: Slots given since the meter was made.
        next_slot_s: Until a new caller's slot.
        paused_s: Until calls go on, whatever holds them back; 0.0 when nothing does.
        pause_reason: Why; empty when not paused.
        paused_by: `people`, `circuit`, `api`, or empty.
        setting_per_min: The limit that the settings allow, per lane.
        rate_per_min: The lower limit that people chose, per lane; None when they did not.
        circuit: `closed`, `open`, or `half-open`: one request is let through to find out.
        failures: Failures of the API in a row.
        lanes: Each token's meter.
    """

    limit_per_min: int
    spent_last_min: int
    spent_total: int
    next_slot_s: float
    paused_s: float
    pause_reason: str
    paused_by: str = ""
    setting_per_min: int = 0
    rate_per_min: int | None = None
    circuit: str = "closed"
    failures: int = 0
    lanes: Sequence[LaneState] = field(default_factory=tuple)


class Budget(Protocol):
    """One meter for all workers on all machines; raises `DependencyDown` when it cannot be asked (fail closed)."""

    def reserve(self, *, wait_max_s: float, lanes: Sequence[int] | None = None) -> Permit | Refusal:
        """Reserve the next slot of any of these lanes (all when None) if it is at most `wait_max_s` away."""
        ...

    def confirm(self, permit: Permit) -> bool:
        """Tell, when its slot has come, whether a permit still holds; if not, it is given up: ask again.

        Asked `ASK_AHEAD_S` before its slot, or later. It does not hold when a pause came, the circuit opened, others'
        calls took its place, the meter was lost, or the slot was longer ago than `good_for`. Safe to repeat: what was
        given up once stays so.
        """
        ...

    def heard(self, permit: Permit, reading: Reading) -> None:
        """Remember what the answer to a permit's request said; asks nobody."""
        ...

    def pause(self, *, for_s: float, reason: str, lane: int = 0) -> None:
        """Give no slot of a lane for so long, as the API asked; a longer pause that runs already stays."""
        ...

    def failed(self, permit: Permit, why: str, *, final: bool = False) -> float:
        """Count a failure of the API (5xx, silence); many in a row, a probe's, or a final one open the circuit.

        Returns:
            How long the circuit stays open before the next probe; 0.0 when it is closed.
        """
        ...

    def succeeded(self, permit: Permit) -> None:
        """Tell that the API answered; asks nobody unless that is news (`Permit.probe`, `Permit.failures`)."""
        ...

    def hold(self, *, for_s: float = ENDLESS_S, reason: str) -> None:
        """Give no slot at all until the time has passed or `resume` is called: people's pause."""
        ...

    def resume(self) -> None:
        """End people's pause; let an open circuit's probe go at once. What the API asked for stays."""
        ...

    def set_rate(self, per_min: int) -> None:
        """Lower the limit in force to so many calls per API minute and lane; the setting's limit lifts that.

        Raises:
            ConfigurationError: Not between 1 and the setting's limit.
        """
        ...

    def state(self) -> BudgetState:
        """Return the meter for people."""
        ...

    def close(self) -> None:
        """Close what was opened."""
        ...
