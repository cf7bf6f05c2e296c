"""Taking a slot of the budget: in time, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from fixed_clock import FixedClock
from jitprov.budget import Budget, Permit, Refusal
from jitprov.budget.port import Denial
from jitprov.errors import BudgetDenied, CallsHeldUp, DependencyDown, LeaseLost
from jitprov.genesys import slot
from jitprov.settings import Settings, read_settings


class ScriptedBudget:
    """Gives the verdicts it was made with, in order; the last one for ever. Some permits do not hold."""

    def __init__(self, *verdicts: Permit | Refusal | Exception, broken: int = 0) -> None:
        self.verdicts = list(verdicts)
        self.asked: list[float] = []
        self.confirmed = 0
        self.broken = broken
        self.clock = FixedClock()

    def reserve(self, *, wait_max_s: float, lanes: Sequence[int] | None = None) -> Permit | Refusal:
        self.asked.append(wait_max_s)
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        if isinstance(verdict, Exception):
            raise verdict
        if isinstance(verdict, Permit):
            return replace(verdict, slot_at_s=self.clock.monotonic_s() + verdict.wait_s)
        return verdict

    def confirm(self, permit: Permit) -> bool:
        self.confirmed += 1
        self.broken -= 1
        return self.broken < 0


class SleepyClock(FixedClock):
    """Wakes late: as often as told."""

    def __init__(self, late_s: float, times: int) -> None:
        super().__init__()
        self.late_s, self.times = late_s, times

    def wait(self, api_s: float) -> None:
        super().wait(api_s)
        if self.times:
            self.times -= 1
            self.advance(self.late_s)


def take_slot(budget: ScriptedBudget, clock: FixedClock, *given: Any, **more: Any) -> Permit:
    budget.clock = clock
    return slot.take_slot(cast("Budget", budget), clock, *given, **more)


def settings(**changes: Any) -> Settings:
    return read_settings(_env_file=None, **changes)


@pytest.fixture
def scaled() -> Callable[[], Settings]:
    return lambda: settings(api_url="http://127.0.0.1:1", time_scale=60.0)


def test_a_slot_is_waited_for(clock: FixedClock) -> None:
    """The request may leave when the slot has come, asked for with the setting's patience."""
    budget = ScriptedBudget(Permit(1.5, 0.5))

    take_slot(budget, clock, settings(budget_wait_max_s=7.0))

    assert clock.monotonic_s() == pytest.approx(1.5)
    assert budget.asked == [7.0]


def test_waits_pass_in_real_seconds(scaled: Callable[[], Settings], clock: FixedClock) -> None:
    """The meter counts real seconds, the clock waits API seconds."""
    take_slot(ScriptedBudget(Permit(0.02, 99.0)), clock, scaled())

    assert sum(clock.waits) == pytest.approx(1.2)


def test_a_busy_meter_sends_nothing(scaled: Callable[[], Settings], clock: FixedClock) -> None:
    """The step goes back to the queue, and its wait is in API seconds."""
    with pytest.raises(BudgetDenied, match="busy") as caught:
        take_slot(ScriptedBudget(Refusal(0.8, "busy")), clock, scaled())

    assert caught.value.wait_s == pytest.approx(48.0)
    assert (clock.waits, caught.value.keeps_its_place) == ([], False)


@pytest.mark.parametrize(
    ("reason", "word", "looks"), [("paused", "paused: 429", 2), ("broken", "open: 429", 2), ("held", "by people", 21)]
)
def test_what_holds_up_everybody_is_waited_for_in_place(clock: FixedClock, reason: str, word: str, looks: int) -> None:
    """Nobody else could use the worker's slot: it waits its patience out, and the message keeps its place in line."""
    budget = ScriptedBudget(Refusal(300.0, cast("Denial", reason), "429"))

    with pytest.raises(CallsHeldUp, match=word) as caught:
        take_slot(budget, clock, settings(budget_wait_max_s=20.0))

    assert sum(clock.waits) == pytest.approx(20.0)
    assert len(budget.asked) == looks
    assert caught.value.keeps_its_place


def test_people_who_resume_are_heard_soon(clock: FixedClock) -> None:
    """A pause without an end is looked at every second."""
    budget = ScriptedBudget(Refusal(60.0, "held", "look"), Refusal(60.0, "held", "look"), Permit(0.0, 1.0))

    take_slot(budget, clock, settings(budget_wait_max_s=20.0))

    assert clock.waits == [1.0, 1.0]


def test_an_answer_that_came_too_late_is_asked_again(scaled: Callable[[], Settings], clock: FixedClock) -> None:
    """A meter that is busy for a moment is asked again in place; the step does not go back to the queue for it."""
    budget = ScriptedBudget(Refusal(0.02, "busy"), Permit(0.0, 1.0))

    take_slot(budget, clock, scaled())

    assert len(budget.asked) == 2


def test_an_overslept_slot_is_given_up() -> None:
    """Who wakes later than the permit is good for asks again."""
    budget = ScriptedBudget(Permit(1.0, 0.5))

    take_slot(budget, SleepyClock(late_s=0.6, times=1), settings())

    assert len(budget.asked) == 2


def test_a_little_late_is_in_time() -> None:
    """Within what the permit is good for, the slot counts."""
    budget = ScriptedBudget(Permit(1.0, 0.5))

    take_slot(budget, SleepyClock(late_s=0.4, times=1), settings())

    assert len(budget.asked) == 1


def test_a_machine_that_always_oversleeps_gives_up() -> None:
    """Slots are not wasted for ever: the step goes back to the queue."""
    budget = ScriptedBudget(Permit(1.0, 0.5))

    with pytest.raises(BudgetDenied) as caught:
        take_slot(budget, SleepyClock(late_s=0.6, times=99), settings())

    assert caught.value.wait_s > 0
    assert len(budget.asked) <= 10


def test_a_meter_that_is_away_lets_nothing_out(clock: FixedClock) -> None:
    """The budget fails closed."""
    with pytest.raises(BudgetDenied):
        take_slot(ScriptedBudget(DependencyDown("away")), clock, settings())


def test_a_slot_that_no_longer_holds_is_given_up(clock: FixedClock) -> None:
    """A pause, an open circuit or others' calls that came during the wait are kept: the meter is asked again."""
    budget = ScriptedBudget(Permit(2.0, 1.0), Refusal(28.0, "paused", "the API answered 429"), broken=1)

    with pytest.raises(BudgetDenied, match="429"):
        take_slot(budget, clock, settings())

    assert (len(budget.asked), budget.confirmed) == (3, 1)


def test_the_patience_is_for_all_waits_together(clock: FixedClock) -> None:
    """Slots that others took over and over leave less patience each time, so a step is not held up for ever."""
    budget = ScriptedBudget(Permit(6.0, 1.0), Permit(6.0, 1.0), Permit(6.0, 1.0), Refusal(6.0, "busy"), broken=99)

    with pytest.raises(BudgetDenied):
        take_slot(budget, clock, settings(budget_wait_max_s=20.0))

    assert budget.asked == pytest.approx([20.0, 14.05, 8.1, 2.15])


def test_an_open_circuit_is_waited_for_in_place(clock: FixedClock) -> None:
    """A probe that is near is waited for; one that is far sends the step back with the rest."""
    budget = ScriptedBudget(
        Refusal(9.0, "broken", "503"), Refusal(9.0, "broken", "503"), Refusal(18.0, "broken", "503")
    )

    with pytest.raises(BudgetDenied, match="circuit is open: 503") as caught:
        take_slot(budget, clock, settings(budget_wait_max_s=20.0))

    assert clock.waits == [9.0, 9.0, 2.0]
    assert caught.value.wait_s == 18.0


def test_a_slot_that_is_now_asks_no_more(clock: FixedClock) -> None:
    """Without a wait no pause can have come: one question a call."""
    budget = ScriptedBudget(Permit(0.0, 1.0))

    take_slot(budget, clock, settings())

    assert (len(budget.asked), budget.confirmed) == (1, 0)


def test_a_slow_last_question_costs_the_slot(clock: FixedClock) -> None:
    """A ledger that is slow to tell of the lease makes the request late: the slot is given up, both are asked again."""
    budget, asked = ScriptedBudget(Permit(1.0, 0.5)), []

    def slow_at_first() -> None:
        asked.append(clock.monotonic_s())
        if len(asked) == 1:
            clock.advance(0.05 + 0.6)

    take_slot(budget, clock, settings(), slow_at_first)

    assert (len(budget.asked), len(asked)) == (2, 2)


def test_the_last_question_is_asked_right_before_the_slot_comes(clock: FixedClock) -> None:
    """A lease that ran out during the wait stops the request; what the answer takes is no lateness."""

    def lost() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        take_slot(ScriptedBudget(Permit(14.0, 0.5)), clock, settings(), lost)

    assert clock.monotonic_s() == pytest.approx(13.95)


def test_a_permit_tells_until_when_the_request_may_leave(clock: FixedClock) -> None:
    """The last instant counts from the slot, not from when somebody looked."""
    permit = take_slot(ScriptedBudget(Permit(1.0, 0.5)), clock, settings(), lambda: clock.advance(0.2))

    assert permit.leave_by_s == pytest.approx(1.5)
    assert clock.monotonic_s() == pytest.approx(1.15)
