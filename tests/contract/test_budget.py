"""What every meter must keep, run on memory, on a real Redis and on a stand-in for Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from fakeredis import FakeRedis
from redis import Redis

from fixed_clock import FixedClock
from jitprov.budget import Budget, Permit, Reading, Refusal
from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.budget.redis import RedisBudget
from jitprov.errors import ConfigurationError, DependencyDown
from jitprov.redis_client import RedisClient
from own_redis import OwnRedis

# 19.6 calls a minute: one slot every 3.06 s, so that a slow machine changes no count.
SLOW = BudgetRate.of(20, headroom=0.02)
INTERVAL_S = SLOW.pace.interval_us / 1e6
# How far the real clock may run on between two lines of a test.
SLACK_S = 1.0

Make = Callable[..., Budget]


@dataclass
class Metered:
    make: Make
    pass_time: Callable[[float], None]


@pytest.fixture(params=["memory", "redis", "fakeredis"])
def metered(request: pytest.FixtureRequest, clock: FixedClock, key_prefix: str) -> Iterator[Metered]:
    if request.param == "memory":
        yield Metered(lambda rate, lanes=1: MemoryBudget(rate, time.monotonic, lanes=lanes), time.sleep)
        return
    if request.param == "fakeredis":
        client: Redis = FakeRedis(decode_responses=True)
    else:
        client = RedisClient.connect(request.getfixturevalue("redis_url"), timeout_s=5)
    yield Metered(
        lambda rate, lanes=1: RedisBudget(client, key_prefix, owner="client", rate=rate, lanes=lanes), time.sleep
    )
    client.close()


@pytest.fixture
def budget(metered: Metered) -> Budget:
    return metered.make(SLOW)


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with Redis.from_url(redis_url, decode_responses=True, socket_timeout=5) as client:
        yield client


def permitted(answer: Permit | Refusal) -> Permit:
    assert isinstance(answer, Permit), answer
    return answer


def refused(answer: Permit | Refusal) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer


def test_the_first_slot_is_now(budget: Budget) -> None:
    """A new meter lets the first caller go at once."""
    permit = permitted(budget.reserve(wait_max_s=0))

    assert permit.wait_s == 0
    assert 0 < permit.good_for_s <= SLOW.good_for_us / 1e6


def test_slots_are_evenly_spaced(budget: Budget) -> None:
    """Callers that ask at once get slots one interval apart."""
    waits = [permitted(budget.reserve(wait_max_s=60)).wait_s for _ in range(5)]

    for index, wait_s in enumerate(waits):
        assert index * INTERVAL_S - SLACK_S <= wait_s <= index * INTERVAL_S


def test_a_slot_too_far_away_is_not_reserved(budget: Budget) -> None:
    """A caller without the patience is refused as busy, and the slot is still there for one who has it."""
    budget.reserve(wait_max_s=0)
    refusal = refused(budget.reserve(wait_max_s=INTERVAL_S / 3))

    assert refusal.reason == "busy"
    assert INTERVAL_S - SLACK_S - INTERVAL_S / 6 <= refusal.wait_s <= INTERVAL_S
    assert permitted(budget.reserve(wait_max_s=INTERVAL_S)).wait_s <= INTERVAL_S
    assert budget.state().spent_total == 2


def test_a_hundred_threads_get_exactly_what_the_limit_allows(budget: Budget) -> None:
    """Of 100 threads with patience for ten and a half intervals, 11 get a slot, each its own, and 89 are refused."""
    together = threading.Barrier(100)

    def ask(_: int) -> Permit | Refusal:
        together.wait(timeout=30)
        return budget.reserve(wait_max_s=10.5 * INTERVAL_S)

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(ask, range(100)))
    waits = sorted(answer.wait_s for answer in answers if isinstance(answer, Permit))

    assert budget.state().spent_total == 11
    # On a busy machine an answer may come too late to be used: its slot is given up, never given twice.
    assert 8 <= len(waits) <= 11
    assert all(later - sooner > INTERVAL_S / 2 for sooner, later in pairwise(waits))
    assert {answer.reason for answer in answers if isinstance(answer, Refusal)} == {"busy"}


def test_a_burst_is_given_after_idling_and_not_before(metered: Metered) -> None:
    """A new meter has no burst; after idling long enough the burst and the slot that is due leave at once."""
    rate = BudgetRate.of(40, headroom=0.5, burst=5, time_scale=60)
    budget = metered.make(rate)
    assert permitted(budget.reserve(wait_max_s=0)).wait_s == 0
    assert refused(budget.reserve(wait_max_s=0)).reason == "busy"

    metered.pass_time(8 * rate.pace.interval_us / 1e6)

    began_s = time.monotonic()
    at_once = [budget.reserve(wait_max_s=0) for _ in range(20)]
    due = (time.monotonic() - began_s) * 1e6 // rate.pace.interval_us + 1  # a busy machine takes its time
    given = sum(isinstance(answer, Permit) for answer in at_once)
    assert 6 <= given <= 6 + due < 20


def test_a_pause_holds_everyone_back(budget: Budget) -> None:
    """During a pause a caller without the patience for it is refused as paused, with the rest of the pause."""
    budget.pause(for_s=30, reason="429")
    refusal = refused(budget.reserve(wait_max_s=20))

    assert refusal.reason == "paused"
    assert 30 - SLACK_S <= refusal.wait_s <= 30
    assert budget.state().spent_total == 0


def test_a_patient_caller_gets_a_slot_after_the_pause(budget: Budget) -> None:
    """A pause that ends within a caller's patience gives a slot at its end, the next one an interval later."""
    budget.pause(for_s=10, reason="429")
    first, second = (permitted(budget.reserve(wait_max_s=20)).wait_s for _ in range(2))

    assert 10 - SLACK_S <= first <= 10
    assert second - first == pytest.approx(INTERVAL_S, abs=SLACK_S)


def test_the_longer_pause_stays(budget: Budget) -> None:
    """A shorter pause does not shorten one that runs; a longer one prolongs it."""
    budget.pause(for_s=30, reason="429")
    budget.pause(for_s=5, reason="operator")
    assert budget.state().pause_reason == "429"
    assert budget.state().paused_s > 30 - SLACK_S

    budget.pause(for_s=60, reason="operator")
    assert budget.state().pause_reason == "operator"
    assert budget.state().paused_s > 60 - SLACK_S


def test_a_pause_ends(metered: Metered) -> None:
    """After its time a pause is gone, its reason too, and slots are given again."""
    budget = metered.make(SLOW)
    budget.pause(for_s=0.05, reason="429")
    metered.pass_time(0.1)

    assert budget.state().paused_s == 0
    assert budget.state().pause_reason == ""
    assert permitted(budget.reserve(wait_max_s=0)).wait_s == 0


def test_people_pause_everyone_and_resume(budget: Budget) -> None:
    """People's pause holds until they end it, whatever the API asked for meanwhile; both are told apart."""
    budget.hold(reason="a change in Genesys")
    budget.pause(for_s=0.01, reason="429")
    refusal = refused(budget.reserve(wait_max_s=20))
    state = budget.state()

    assert (refusal.reason, refusal.why) == ("held", "a change in Genesys")
    assert refusal.wait_s <= 60  # asked again soon, so that a resume works soon
    assert (state.paused_by, state.pause_reason) == ("people", "a change in Genesys")
    assert state.paused_s > 86_400

    time.sleep(0.02)
    assert budget.state().paused_by == "people"
    budget.resume()
    assert permitted(budget.reserve(wait_max_s=1)).wait_s <= 1
    assert budget.state().paused_by == ""


def test_people_lower_the_rate_and_lift_it(budget: Budget) -> None:
    """A lower rate is kept from the next slot on, and the setting's limit lifts it at once."""
    budget.reserve(wait_max_s=0)
    budget.set_rate(2)
    slow_s = permitted(budget.reserve(wait_max_s=60)).wait_s
    assert slow_s == pytest.approx(60 / (2 * 0.98), abs=SLACK_S)
    assert (budget.state().limit_per_min, budget.state().rate_per_min) == (2, 2)

    budget.set_rate(20)
    assert permitted(budget.reserve(wait_max_s=60)).wait_s == pytest.approx(slow_s + INTERVAL_S, abs=SLACK_S)
    assert (budget.state().limit_per_min, budget.state().rate_per_min) == (20, None)


@pytest.mark.parametrize("per_min", [0, -1, 21])
def test_a_rate_beyond_the_setting_is_refused(budget: Budget, per_min: int) -> None:
    """Nobody can be talked into more than the setting, and to stop there is pause."""
    with pytest.raises(ConfigurationError, match="between 1 and 20"):
        budget.set_rate(per_min)


def test_a_confirmed_slot_holds_until_a_pause_comes(budget: Budget) -> None:
    """What was reserved before somebody's pause is given up, and its place in the schedule with it."""
    permit = permitted(budget.reserve(wait_max_s=0))
    assert budget.confirm(permit)

    budget.hold(for_s=30, reason="people")
    assert not budget.confirm(permit)
    budget.resume()
    assert permitted(budget.reserve(wait_max_s=0)).wait_s == 0


def test_what_was_given_up_once_stays_so(budget: Budget) -> None:
    """A confirm whose answer was lost is asked again: it must not use a slot that is somebody else's by now."""
    permit = permitted(budget.reserve(wait_max_s=0))
    budget.hold(for_s=30, reason="people")
    assert not budget.confirm(permit)
    budget.resume()

    assert not budget.confirm(permit)


def answered(permit: Permit, *, allowed: int = 20, count: int = 1, reset_s: int = 60) -> Reading:
    sent_s = permit.slot_at_s
    return Reading(allowed, count, reset_s, sent_s, sent_s + 0.001)


def test_others_calls_take_slots_like_our_own(budget: Budget) -> None:
    """What the API counted beyond our own calls is charged once, and seen; it asks the store nothing by itself."""
    permit = permitted(budget.reserve(wait_max_s=0))
    time.sleep(0.01)
    budget.heard(permit, answered(permit, count=4))
    wait_s = permitted(budget.reserve(wait_max_s=60)).wait_s
    budget.heard(permit, answered(permit, count=4))

    assert wait_s == pytest.approx(4 * INTERVAL_S, abs=SLACK_S)
    assert permitted(budget.reserve(wait_max_s=60)).wait_s == pytest.approx(5 * INTERVAL_S, abs=SLACK_S)
    assert budget.state().lanes[0].others_last_min == 3


def test_our_own_calls_are_not_taken_for_others(budget: Budget) -> None:
    """A count that our own slots explain changes nothing."""
    permit = permitted(budget.reserve(wait_max_s=0))
    time.sleep(0.01)
    budget.heard(permit, answered(permit, count=1, reset_s=61))  # as in the one sample of Genesys' own

    assert permitted(budget.reserve(wait_max_s=60)).wait_s == pytest.approx(INTERVAL_S, abs=SLACK_S)
    assert budget.state().lanes[0].others_last_min == 0


@pytest.mark.parametrize(("allowed", "in_force"), [(5, 5), (20, 20), (600, 20)])
def test_a_lower_allowance_is_kept_and_a_higher_one_only_shown(budget: Budget, allowed: int, in_force: int) -> None:
    """The API's word lowers the limit; beyond the setting it is told to people and not used."""
    permit = permitted(budget.reserve(wait_max_s=0))
    time.sleep(0.01)
    budget.heard(permit, answered(permit, allowed=allowed))
    wait_s = permitted(budget.reserve(wait_max_s=60)).wait_s

    assert wait_s == pytest.approx(60 / (in_force * 0.98), abs=SLACK_S)
    assert (budget.state().limit_per_min, budget.state().lanes[0].allowed_per_min) == (in_force, allowed)


def test_failures_in_a_row_open_the_circuit_for_all(budget: Budget) -> None:
    """The tenth failure in a row opens it; a success in between begins the count anew."""
    permit = permitted(budget.reserve(wait_max_s=0))
    for _ in range(9):
        assert budget.failed(permit, "503") == 0
    noticed = permitted(budget.reserve(wait_max_s=60))
    assert noticed.failures == 9
    budget.succeeded(noticed)
    assert [budget.failed(permit, "503") > 0 for _ in range(10)] == [False] * 9 + [True]

    refusal = refused(budget.reserve(wait_max_s=60))
    assert (refusal.reason, refusal.why) == ("broken", "503")
    assert (budget.state().circuit, budget.state().paused_by) == ("open", "circuit")


def test_a_probe_closes_the_circuit_or_opens_it_for_longer(budget: Budget) -> None:
    """One caller probes while the others wait; a failure doubles the time, a success ends it."""
    permit = permitted(budget.reserve(wait_max_s=0))
    assert budget.failed(permit, "refused", final=True) == pytest.approx(10.0)
    budget.resume()
    assert budget.state().circuit == "half-open"
    probe = permitted(budget.reserve(wait_max_s=60))
    assert probe.probe
    assert refused(budget.reserve(wait_max_s=60)).reason == "broken"
    assert budget.failed(probe, "refused still") == pytest.approx(20.0)

    budget.resume()
    probe = permitted(budget.reserve(wait_max_s=60))
    budget.succeeded(probe)
    assert budget.state().circuit == "closed"
    assert permitted(budget.reserve(wait_max_s=60)).failures == 0


def test_the_earliest_slot_of_all_lanes_wins(metered: Metered) -> None:
    """Each token has its own meter: two lanes give two slots at once, and a paused lane gives none."""
    budget = metered.make(SLOW, lanes=2)
    assert {permitted(budget.reserve(wait_max_s=0)).lane for _ in range(2)} == {0, 1}
    assert permitted(budget.reserve(wait_max_s=60, lanes=[1])).lane == 1
    assert permitted(budget.reserve(wait_max_s=60)).lane == 0

    budget.pause(for_s=50, reason="429", lane=0)
    assert permitted(budget.reserve(wait_max_s=60)).lane == 1
    assert [lane.paused_s > 0 for lane in budget.state().lanes] == [True, False]
    assert budget.state().paused_s == 0
    assert budget.state().limit_per_min == 40


def test_a_meter_that_gave_nothing_says_so(budget: Budget) -> None:
    """A new meter shows its limit, nothing spent, and a slot at once."""
    state = budget.state()

    assert (state.limit_per_min, state.spent_last_min, state.spent_total) == (20, 0, 0)
    assert (state.next_slot_s, state.paused_s, state.pause_reason) == (0, 0, "")


def test_the_state_counts_slots_once_they_have_come(metered: Metered) -> None:
    """Slots still to come are in the total and not in the last minute; old ones leave the last minute."""
    rate = BudgetRate.of(6, headroom=0.5, time_scale=60)  # one slot every third of a second
    budget = metered.make(rate)
    for _ in range(3):
        permitted(budget.reserve(wait_max_s=5))
    state = budget.state()
    assert (state.spent_last_min, state.spent_total) == (1, 3)
    assert state.next_slot_s > 0.6

    metered.pass_time(0.8)
    assert budget.state().spent_last_min == 3

    metered.pass_time(1.2)
    state = budget.state()
    assert (state.spent_last_min, state.spent_total, state.next_slot_s) == (0, 3, 0)


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_no_sliding_window_is_over_the_limit_and_the_meter_is_not_idle(
    request: pytest.FixtureRequest, kind: str, key_prefix: str
) -> None:
    """Twelve impatient callers for three API minutes: never over the limit in a window, 90 % of it used."""
    rate = BudgetRate.of(60, headroom=0.1, time_scale=60)
    if kind == "memory":
        budget: MemoryBudget | RedisBudget = MemoryBudget(rate, time.monotonic)
    else:
        budget = RedisBudget.connect(request.getfixturevalue("redis_url"), key_prefix, owner="client", rate=rate)
    left_s: list[float] = []
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            answer = budget.reserve(wait_max_s=0.5)
            answered_s = time.monotonic()
            time.sleep(answer.wait_s)
            now_s = time.monotonic()
            if isinstance(answer, Permit) and now_s <= answered_s + answer.wait_s + answer.good_for_s:
                left_s.append(now_s)

    callers = [threading.Thread(target=call) for _ in range(12)]
    for caller in callers:
        caller.start()
    time.sleep(3)
    stop.set()
    for caller in callers:
        caller.join(timeout=10)
    budget.close()

    left_s.sort()
    worst = max(sum(1 for other in left_s[first:] if other <= left_s[first] + 1.0) for first in range(len(left_s)))
    assert worst <= rate.limit_per_min
    assert len(left_s) >= 0.9 * 3 * 54


def test_meters_in_two_processes_are_one(client: Any, key_prefix: str) -> None:
    """Two meters of the same OAuth client share one allowance."""
    one, other = (RedisBudget(client, key_prefix, owner="client", rate=SLOW) for _ in range(2))
    permitted(one.reserve(wait_max_s=0))

    assert refused(other.reserve(wait_max_s=0)).reason == "busy"


def test_two_oauth_clients_do_not_share(client: Any, key_prefix: str) -> None:
    """Another OAuth client has an allowance of its own, and no client's id lies open in Redis."""
    owner = str(uuid4())
    permitted(RedisBudget(client, key_prefix, owner=owner, rate=SLOW).reserve(wait_max_s=0))
    permitted(RedisBudget(client, key_prefix, owner="other", rate=SLOW).reserve(wait_max_s=0))

    keys = list(client.scan_iter(f"{key_prefix}*"))
    assert len(keys) == 4
    assert not any(owner in key for key in keys)


def test_a_lost_meter_starts_after_the_permits_of_the_old_one(client: Any, key_prefix: str) -> None:
    """When Redis lost its data, a worker that knew the old meter keeps everyone from its permits' time."""
    knew, newborn = (RedisBudget(client, key_prefix, owner="client", rate=SLOW) for _ in range(2))
    for _ in range(3):
        knew.reserve(wait_max_s=60)
    client.delete(*client.scan_iter(f"{key_prefix}*"))

    assert refused(knew.reserve(wait_max_s=10)).reason == "busy"
    assert permitted(newborn.reserve(wait_max_s=60)).wait_s > 10
    assert permitted(knew.reserve(wait_max_s=60)).wait_s <= 10 + 3 * INTERVAL_S


def test_a_lost_meter_has_no_burst(client: Any, key_prefix: str) -> None:
    """A meter that Redis does not know starts without its burst."""
    budget = RedisBudget(client, key_prefix, owner="client", rate=BudgetRate.of(40, headroom=0.5, burst=5))
    permitted(budget.reserve(wait_max_s=0))

    assert refused(budget.reserve(wait_max_s=0)).reason == "busy"


def test_a_lost_meters_slots_do_not_hold_in_the_next(client: Any, key_prefix: str) -> None:
    """A worker that knew nothing may ask the new meter first: nobody's old slot may be used beside what it gets."""
    before = RedisBudget(client, key_prefix, owner="client", rate=SLOW)
    first, second = (permitted(before.reserve(wait_max_s=60)) for _ in range(2))
    for key in list(client.scan_iter(f"{key_prefix}*")):
        client.delete(key)
    after = RedisBudget(client, key_prefix, owner="client", rate=SLOW)
    new = permitted(after.reserve(wait_max_s=60))

    assert new.number == first.number
    assert [before.confirm(permit) for permit in (first, second)] == [False, False]
    assert after.confirm(new)


def test_a_clock_set_back_neither_stops_nor_frees_the_meter(client: Any, key_prefix: str) -> None:
    """After Redis' clock was set back an hour, slots go on an interval apart and a pause keeps its rest."""
    budget = RedisBudget(client, key_prefix, owner="client", rate=SLOW)
    permitted(budget.reserve(wait_max_s=0))
    waiting = permitted(budget.reserve(wait_max_s=60))
    budget.pause(for_s=5, reason="429")
    (meter,) = (key for key in client.scan_iter(f"{key_prefix}*") if not key.endswith(":slots"))
    for field in ("seen_us", "even_us", "floor_us", "paused_until_us"):
        client.hincrby(meter, field, 3_600_000_000)
    for number in ("1", "2"):
        client.zincrby(f"{meter}:slots", 3_600_000_000, number)

    wait_s = permitted(budget.reserve(wait_max_s=60)).wait_s

    assert 2 * INTERVAL_S - SLACK_S < wait_s <= 2 * INTERVAL_S + SLACK_S
    assert 5 - SLACK_S < budget.state().paused_s <= 5 + SLACK_S
    time.sleep(max(0.0, waiting.slot_at_s - time.monotonic()))
    assert not budget.confirm(waiting)  # for the pause
    assert permitted(budget.reserve(wait_max_s=60)).wait_s == pytest.approx(2 * INTERVAL_S, abs=SLACK_S)


def test_a_clock_set_forward_does_not_double_the_pace(client: Any, key_prefix: str) -> None:
    """The meter takes what it gave for long gone then, and gives anew: whoever still waits for a slot asks again."""
    budget = RedisBudget(client, key_prefix, owner="client", rate=BudgetRate.of(300, headroom=0.02))
    permitted(budget.reserve(wait_max_s=0))
    waiting = permitted(budget.reserve(wait_max_s=60))
    (meter,) = (key for key in client.scan_iter(f"{key_prefix}*") if not key.endswith(":slots"))
    for field in ("seen_us", "even_us", "floor_us"):
        client.hincrby(meter, field, -30_000_000)
    client.zincrby(f"{meter}:slots", -30_000_000, str(waiting.number))
    time.sleep(waiting.wait_s)

    assert not budget.confirm(waiting)


def test_the_meter_does_not_grow(client: Any, key_prefix: str) -> None:
    """However many slots were given, Redis keeps those of the last API minute, and lets them go when idle."""
    rate = BudgetRate.of(100, headroom=0.5, time_scale=600)  # a slot every 2 ms, a minute every 100 ms
    budget = RedisBudget(client, key_prefix, owner="client", rate=rate)
    # On a busy machine an answer may come too late to be used; its slot was given all the same.
    for _ in range(300):
        time.sleep(budget.reserve(wait_max_s=5).wait_s)
    (slots,) = (key for key in client.scan_iter(f"{key_prefix}*") if key.endswith(":slots"))

    # Those that count still, both ends included, and the one that was reserved last and lies ahead.
    assert client.zcard(slots) <= rate.keep_us // rate.pace.interval_us + 2
    time.sleep(0.3)
    assert not client.exists(slots)
    assert budget.state().spent_total == 300


def test_an_answer_that_took_too_long_gives_no_permit(client: Any, key_prefix: str) -> None:
    """A permit whose answer took longer than it is good for is not handed out."""
    instants_s = iter([0.0, 0.1, 10.0, 12.0])
    budget = RedisBudget(client, key_prefix, owner="client", rate=SLOW, monotonic_s=lambda: next(instants_s))

    assert permitted(budget.reserve(wait_max_s=60)).good_for_s == pytest.approx(SLOW.good_for_us / 1e6 - 0.1)
    assert refused(budget.reserve(wait_max_s=60)) == Refusal(2.0, "busy")


@pytest.mark.parametrize(
    "ask",
    [
        lambda budget: budget.reserve(wait_max_s=1),
        lambda budget: budget.pause(for_s=1, reason="429"),
        lambda budget: budget.state(),
    ],
    ids=["reserve", "pause", "state"],
)
def test_without_redis_nothing_is_given(own_redis: OwnRedis, key_prefix: str, ask: Callable[[Budget], object]) -> None:
    """A Redis that is away gives no slot; once it is back the meter goes on where it was."""
    budget = RedisBudget.connect(own_redis.url, key_prefix, owner="client", rate=SLOW, timeout_s=1.0)
    permitted(budget.reserve(wait_max_s=0))
    own_redis.kill()

    with pytest.raises(DependencyDown, match="JITPROV_REDIS_URL"):
        ask(budget)

    own_redis.start()
    assert permitted(budget.reserve(wait_max_s=60)).wait_s > 0
    assert budget.state().spent_total == 2
    budget.close()


def test_a_wrong_redis_gives_nothing(client: Any, key_prefix: str) -> None:
    """A key of another type, as any error of Redis, gives no slot."""
    budget = RedisBudget(client, key_prefix, owner="client", rate=SLOW)
    permitted(budget.reserve(wait_max_s=0))
    (meter,) = (key for key in client.scan_iter(f"{key_prefix}*") if not key.endswith(":slots"))
    client.set(meter, "something else")

    with pytest.raises(DependencyDown):
        budget.reserve(wait_max_s=0)
