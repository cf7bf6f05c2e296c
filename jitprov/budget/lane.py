"""One token's meter, pure: its slots, the pause that the API asked for, and what the API's answers gave away.

reserve.lua is the same in Redis; tests/contract/test_budget.py and tests/unit/budget hold both to it. All times are
real microseconds on the meter's own clock.

Others' calls. Each answer tells how many requests the API has counted (`count`) and when its window ends (`reset`), so
when it began: a fixed window at its opening, a sliding one with its oldest request. Own requests in that span are
known, since they have slots. What the API counted beyond them, others made with the same token: as many slots are
written down as theirs, and from then on they count like our own. The meter so gives what others leave over, and more
again as soon as they are gone. Nothing is charged that may be our own: `reset` is in whole seconds, so the window's end
is narrowed down by all answers of that window; a request may leave `good_for` after its slot; and the largest `reset`
ever heard tells how long the API's window is (a published sample says 61).

A call that came to light while own slots were reserved ahead takes the first of these: it is struck out at once, and
its holder, who confirms it before use, asks again. So it is paid soon, and once: were the slot left standing until
then, everybody who reserves meanwhile would wait for both. What is nearer than `ASK_AHEAD_S` may be confirmed already.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field

from jitprov.budget.port import ASK_AHEAD_S
from jitprov.budget.rate import BudgetRate, Pace, to_us

_SECONDS_PER_WINDOW = 60
_RESETS_MAX = 2
_OTHERS = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """A reading in the meter's time: see `Reading`; `slot_us` is the slot of the request that was answered."""

    allowed: int
    count: int
    reset_us: int
    slot_us: int
    sent_us: int
    heard_us: int


@dataclass(slots=True)
class Lane:
    """One token's meter.

    Attributes:
        rate: At the setting's limit.
        even_us: See budget/rate.py.
        floor_us: `even` is never earlier, whatever the slots say: a new meter does not know what was spent before it.
        pace: At the limit in force when `even` was made.
        slots: Instant and number of each slot of the last `keep`, earliest first; number 0 is another's call.
        given: Slots given so far.
        paused_until_us: End of the API's pause.
        pause_reason: Why.
        allowed: Requests a minute, as the API said last; None before.
        shared_until_us: Until when others' calls count.
        heard_us: Of the latest answer that was read.
        ends_us: Between which instants the API's window ends.
        longest_us: The API's window: a minute, or the largest `reset` heard.
    """

    rate: BudgetRate
    even_us: int
    floor_us: int
    pace: Pace
    slots: list[tuple[int, int]] = field(default_factory=list)
    given: int = 0
    paused_until_us: int = 0
    pause_reason: str = ""
    allowed: int | None = None
    shared_until_us: int = 0
    heard_us: int = 0
    ends_us: tuple[int, int] = (0, 0)
    longest_us: int = 0

    @classmethod
    def new(cls, rate: BudgetRate, now_us: int) -> Lane:
        """Return a meter without a burst to give: nobody knows what was spent before it."""
        floor_us = now_us + rate.pace.burst_us
        return cls(rate, floor_us, floor_us, rate.pace, longest_us=rate.window_us)

    def limit(self, chosen_per_min: int | None) -> int:
        """Return the limit in force: the least of setting, the API's word and people's choice."""
        return min(number for number in (self.rate.limit_per_min, self.allowed, chosen_per_min) if number is not None)

    def tune(self, chosen_per_min: int | None, now_us: int) -> None:
        """Take on the limit in force."""
        pace = self.rate.pace_at(self.limit(chosen_per_min), shared=now_us < self.shared_until_us)
        if pace != self.pace:
            self.pace = pace
            self._make_anew(now_us)

    def slot_us(self, now_us: int, not_before_us: int = 0) -> int:
        """Return the slot that a caller would get."""
        return max(now_us, self.even_us - self.pace.burst_us, self.paused_until_us, not_before_us)

    def give(self, slot_us: int, now_us: int) -> int:
        """Write down a slot and return its number."""
        self.given += 1
        self.forget(now_us)
        insort(self.slots, (slot_us, self.given))
        self.even_us = max(self.even_us, slot_us) + self.pace.interval_us
        return self.given

    def holds(self, number: int) -> bool:
        """Tell whether a slot was given and not given up."""
        return any(number == held for _, held in self.slots)

    def give_up(self, number: int, now_us: int) -> None:
        """Strike out a slot that will not be used."""
        self.slots = [slot for slot in self.slots if slot[1] != number]
        self._make_anew(now_us)

    def hear(self, heard: Heard, now_us: int) -> None:
        """Read an answer, unless a later one was read already."""
        if not self.heard_us < heard.heard_us <= now_us + self.rate.good_for_us:
            return
        self.heard_us, self.allowed = heard.heard_us, heard.allowed
        if heard.reset_us > _RESETS_MAX * self.rate.window_us:
            return
        self.longest_us = max(self.longest_us, heard.reset_us)
        least_us = heard.sent_us + heard.reset_us - self.rate.window_us // _SECONDS_PER_WINDOW
        most_us = heard.heard_us + heard.reset_us
        if least_us <= self.ends_us[1] and self.ends_us[0] <= most_us:
            self.ends_us = (max(self.ends_us[0], least_us), min(self.ends_us[1], most_us))
        else:
            self.ends_us = (least_us, most_us)
        began_us = min(self.ends_us[0] - self.longest_us - self.rate.good_for_us, heard.slot_us)
        known = bisect_right(self.slots, (heard.heard_us, self.given)) - bisect_left(self.slots, (began_us, 0))
        self._charge(heard.count - known, heard.heard_us, now_us)

    def forget(self, now_us: int) -> None:
        """Drop the slots that no longer count."""
        del self.slots[: bisect_right(self.slots, (now_us - self.rate.keep_us, self.given))]

    def in_last_minute(self, now_us: int, *, others: bool) -> int:
        """Return how many slots came in the last API minute: own ones, or others' calls."""
        return sum(
            1
            for slot_us, number in self.slots
            if now_us - self.rate.window_us < slot_us <= now_us and (number == _OTHERS) == others
        )

    def _charge(self, calls: int, at_us: int, now_us: int) -> None:
        # More than fill the window change nothing but memory.
        calls = min(calls, self.rate.limit_per_min)
        if calls <= 0:
            return
        free_us = now_us + to_us(ASK_AHEAD_S)
        struck = [slot for slot in self.slots if slot[0] > free_us and slot[1] != _OTHERS][:calls]
        self.slots = [slot for slot in self.slots if slot not in struck]
        for _ in range(calls):
            insort(self.slots, (at_us, _OTHERS))
        self.shared_until_us = at_us + self.rate.keep_us
        self._make_anew(now_us)

    def _make_anew(self, now_us: int) -> None:
        self.forget(now_us)
        self.even_us = max(self.floor_us, self.rate.even_of((slot_us for slot_us, _ in self.slots), self.pace))
