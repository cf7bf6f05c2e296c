"""Whatever happens to a meter, no window holds more than the limit: drawn histories, on memory and on the scripts.

The scripts run on a stand-in for Redis whose clock the test moves; tests/contract/test_budget.py runs them on a real
one. `make test-meter` draws far more histories than the suite does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitprov.budget import Budget, Permit, Reading, Refusal
from jitprov.budget.rate import BudgetRate
from metered import Judge, Workshop, workshop

EXAMPLES = int(os.environ.get("METER_EXAMPLES", "25"))
WORKERS = 3
ROUNDING_S = 5e-5

RATES = st.builds(
    BudgetRate.of,
    st.integers(6, 12),
    headroom=st.sampled_from([0.02, 0.1, 0.5]),
    burst=st.sampled_from([0, 0, 1, 2]),
    time_scale=st.sampled_from([1.0, 7.5, 60.0]),
)
# Shares of an interval, of a window: what matters happens around them.
GAPS = st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.3, 1.0, 1.5, 4.0, 30.0])
ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [*["ask"] * 6, *"come pause hold resume rate hear fail ok restart lose".split()]  # noqa: SIM905  it reads
        ),
        GAPS,
        st.integers(0, 11),
    ),
    min_size=20,
    max_size=60,
)


@dataclass
class History:
    """Plays acts on a workshop and has every slot judged."""

    place: Workshop
    judges: list[Judge]
    skews_s: Sequence[float]
    chosen: int | None = None
    allowed: dict[int, int] = field(default_factory=dict)
    waiting: list[tuple[Budget, Permit]] = field(default_factory=list)
    struck: list[Permit] = field(default_factory=list)
    told: list[object] = field(default_factory=list)
    workers: list[Budget] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workers = [self.place.worker(skew_s) for skew_s in self.skews_s]
        for worker in self.workers:
            worker.reserve(wait_max_s=0)  # each has known the meter before it may be lost
        self.place.clock.advance(3 * self.place.rate.keep_us / 1e6)

    @property
    def interval_s(self) -> float:
        return self.place.rate.pace.interval_us / 1e6

    def play(self, act: str, gap: float, number: int) -> None:
        self.place.clock.advance(gap * self.interval_s)
        getattr(self, act)(number)

    def limit(self, lane: int) -> int:
        return min(self.place.rate.limit_per_min, self.chosen or 10**9, self.allowed.get(lane, 10**9))

    def ask(self, number: int) -> None:
        budget = self.workers[number % WORKERS]
        lanes = None if number % 2 else (number % self.place.lanes,)
        answer = budget.reserve(wait_max_s=((number % 5) * 2.2 + 0.01) * self.interval_s, lanes=lanes)
        self.told.append(answer)
        if isinstance(answer, Permit):
            self.judges[answer.lane].given(answer.slot_us, self.limit(answer.lane))
            self.waiting.append((budget, answer))

    def come(self, number: int) -> None:
        """A slot has come: its holder asks whether it still holds."""
        if not self.waiting:
            return
        budget, permit = self.waiting.pop(number % len(self.waiting))
        late_s = permit.slot_us / 1e6 - self.now_us() / 1e6
        if late_s > 0:
            self.place.clock.advance(late_s)
        good = budget.confirm(permit)
        self.told.append(good)
        if permit in self.struck:
            assert not good, "a slot that others' calls took was used"
        elif not good:
            self.judges[permit.lane].taken_back(permit.slot_us)

    def hear(self, number: int) -> None:
        """An answer tells of a lower allowance, and of others' calls."""
        if not self.waiting:
            return
        budget, permit = self.waiting[number % len(self.waiting)]
        self.place.clock.advance(1e-3)  # no two answers come at one instant
        now_s = self.now_us() / 1e6
        heard_s = permit.slot_at_s + now_s - permit.slot_us / 1e6
        if heard_s < permit.slot_at_s + 5e-4:
            return
        allowed = (3, 7, 400)[number % 3]
        budget.heard(permit, Reading(allowed, number, 30, permit.slot_at_s, heard_s))
        budget.reserve(wait_max_s=-1, lanes=(permit.lane,))  # gives nothing; takes what was heard along
        told = budget.state().lanes[permit.lane].allowed_per_min
        self.told.append(told)
        for _, waits in self.waiting:
            if waits.lane == permit.lane and waits not in self.struck and not self.place.holds(waits):
                self.struck.append(waits)
                self.judges[permit.lane].taken_back(waits.slot_us)
        if told is not None:
            self.allowed[permit.lane] = told

    def pause(self, number: int) -> None:
        self.workers[0].pause(for_s=number * self.interval_s, reason="429", lane=number % self.place.lanes)

    def hold(self, number: int) -> None:
        self.workers[0].hold(for_s=number * self.interval_s, reason="people")

    def resume(self, _: int) -> None:
        self.workers[0].resume()

    def rate(self, number: int) -> None:
        per_min = min(number + 1, self.place.rate.limit_per_min)
        self.workers[0].set_rate(per_min)
        self.chosen = per_min

    def fail(self, number: int) -> None:
        if self.waiting:
            budget, permit = self.waiting[number % len(self.waiting)]
            self.told.append(budget.failed(permit, "503", final=number == 0))

    def ok(self, number: int) -> None:
        if self.waiting:
            budget, permit = self.waiting[number % len(self.waiting)]
            budget.succeeded(permit)

    def restart(self, number: int) -> None:
        """A worker is replaced by one that knows nothing; its slots are lost."""
        index = number % WORKERS
        self.workers[index] = self.place.worker(self.skews_s[index])
        self.told.append(self.workers[index].reserve(wait_max_s=-1))

    def lose(self, number: int) -> None:
        """The store is emptied; a worker that knew the meter is the first to ask."""
        if self.place.client is None or number:
            return
        longest_s = max((permit.wait_s for _, permit in self.waiting), default=0.0)
        self.place.lose()
        for lane in range(self.place.lanes):
            for worker in self.workers:
                worker.reserve(wait_max_s=max(longest_s, 8 * self.interval_s), lanes=(lane,))
        self.chosen, self.allowed = None, {}

    def now_us(self) -> int:
        return self.place.now_us()


def played(kind: str, rate: BudgetRate, lanes: int, acts: Sequence[tuple[str, float, int]]) -> History:
    with workshop(kind, rate, lanes) as place:
        skews_s = [0.0, 0.0, 0.0] if kind == "memory" else [0.0, -7200.0, 86_400.0]  # one store needs one clock
        history = History(place, [Judge(rate) for _ in range(lanes)], skews_s)
        for act in acts:
            history.play(*act)
    return history


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_no_window_ever_holds_more_than_the_limit(kind: str) -> None:
    """Any clocks of workers, lanes, pauses, rates down and up, others' calls, restarts, a lost meter: never over."""

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(RATES, st.integers(1, 3), ACTS)
    def holds(rate: BudgetRate, lanes: int, acts: list[tuple[str, float, int]]) -> None:
        played(kind, rate, lanes, acts)

    holds()


def alike(one: object, other: object) -> bool:
    """Tell whether two meters said the same; instants are whole microseconds, and so may differ by some."""
    if isinstance(one, Permit) and isinstance(other, Permit):
        same = (one.lane, one.number, one.probe, one.failures) == (
            other.lane,
            other.number,
            other.probe,
            other.failures,
        )
        return same and abs(one.wait_s - other.wait_s) < ROUNDING_S
    if isinstance(one, Refusal) and isinstance(other, Refusal):
        return (one.reason, one.why) == (other.reason, other.why) and abs(one.wait_s - other.wait_s) < ROUNDING_S
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < ROUNDING_S
    return one == other


def test_both_meters_say_the_same() -> None:
    """Memory and scripts give the same slots, refusals and verdicts to the same history."""

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(RATES, st.integers(1, 3), ACTS)
    def holds(rate: BudgetRate, lanes: int, acts: list[tuple[str, float, int]]) -> None:
        one_store = [act for act in acts if act[0] not in {"restart", "lose"}]
        first, second = (played(kind, rate, lanes, one_store) for kind in ("memory", "redis"))
        assert len(first.told) == len(second.told)
        assert all(map(alike, first.told, second.told))

    holds()
