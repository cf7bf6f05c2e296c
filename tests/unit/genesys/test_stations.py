"""What is learned about an organization's stations, by all workers together."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fixed_clock import FixedClock
from jitprov.cache.memory import MemoryCache
from jitprov.genesys.stations import WAIT_MAX_S, StationLore
from jitprov.settings import read_settings


@pytest.fixture
def cache(clock: FixedClock) -> MemoryCache:
    return MemoryCache(clock.monotonic_s)


def a_lore(cache: MemoryCache, clock: FixedClock, **changes: Any) -> StationLore:
    return StationLore(cache, clock, read_settings(_env_file=None, **changes))


@pytest.fixture
def lore(cache: MemoryCache, clock: FixedClock) -> StationLore:
    return a_lore(cache, clock)


@pytest.mark.parametrize("source", ["line_id", "lookup"])
def test_where_stations_come_from_is_remembered_for_a_day(cache: MemoryCache, clock: FixedClock, source: Any) -> None:
    """One agent finds out for all workers; the next day somebody tries again."""
    first, second = (a_lore(cache, clock) for _ in range(2))
    assert second.source() is None
    first.learn(source)
    clock.advance(86_000)
    assert second.source() == source
    clock.advance(500)

    assert second.source() is None
    with second.trial("robin") as trial:
        assert trial == "yours"


def test_organizations_do_not_share(cache: MemoryCache, clock: FixedClock) -> None:
    """Another region on the same Redis learns its own source and waits."""
    here, there = a_lore(cache, clock), a_lore(cache, clock, region="mypurecloud.de")
    here.learn("lookup")
    here.looked("lookup", after_s=6.0, found=False)

    assert there.source() is None
    assert there.wait_s("lookup") == 6.0


def test_one_agent_tries_and_the_others_wait_for_it(lore: StationLore) -> None:
    """Whoever comes first tries; whoever comes meanwhile is told so; the first may come back to it."""
    with lore.trial("robin") as trial:
        assert trial == "yours"
        lore.trying("robin")
    with lore.trial("kim") as trial:
        assert trial == "anothers"
    with lore.trial("robin") as trial:
        assert trial == "under_way"
        lore.tried_in_vain()

    for user_id in ("kim", "robin"):
        with lore.trial(user_id) as trial:
            assert trial == "over"


def test_a_try_that_broke_off_is_anothers_turn(lore: StationLore, clock: FixedClock) -> None:
    """When the one who tries is never seen again another tries, half a minute later; after a failed call at once."""
    with lore.trial("robin") as trial:
        assert trial == "yours"
    with lore.trial("kim") as trial:
        assert trial == "yours"
        lore.trying("kim")
    clock.advance(31)

    with lore.trial("robin") as trial:
        assert trial == "yours"


def test_nobody_tries_what_is_known(lore: StationLore) -> None:
    """Once the source is known there is nothing to try."""
    lore.learn("lookup")

    with lore.trial("robin") as trial:
        assert trial == "over"


@pytest.mark.parametrize(
    ("known", "same", "then"),
    [
        (None, True, "line_id"),
        (None, False, "lookup"),
        ("line_id", True, "line_id"),
        ("line_id", False, "lookup"),
        ("lookup", True, "lookup"),
        ("lookup", False, "lookup"),
    ],
)
def test_a_station_that_was_looked_up_tells(lore: StationLore, known: Any, *, same: bool, then: str) -> None:
    """Its id is its line's or not; but what failed once is not tried again that day."""
    if known:
        lore.learn(known)

    lore.compare(same=same)

    assert lore.source() == then


@pytest.mark.parametrize("late_s", [1.5, 6.0, 20.0])
def test_the_wait_follows_how_late_stations_are(lore: StationLore, clock: FixedClock, late_s: float) -> None:
    """Stations late by up to so much are mostly looked for in time, and not much later than need be."""
    chance = random.Random(7)
    missed = 0

    for number in range(2000):
        clock.advance(1)
        wait_s = lore.wait_s("lookup")
        found = chance.uniform(0.5, late_s) <= wait_s
        missed += number >= 1000 and not found
        lore.looked("lookup", after_s=wait_s, found=found)

    assert missed <= 25
    assert 0.7 * late_s <= lore.wait_s("lookup") <= 1.5 * late_s


def test_agents_of_one_moment_count_once(lore: StationLore) -> None:
    """A crowd that looked in vain after the same wait makes it longer once, not once each."""
    for _ in range(50):
        lore.looked("lookup", after_s=6.0, found=False)

    assert lore.wait_s("lookup") == pytest.approx(8.4)


def test_one_station_that_never_comes_tells_little(lore: StationLore) -> None:
    """Later looks for the same station do not count: it may be broken, and the others are not."""
    for waited_s in (6.0, 9.6, 15.4, 24.6, 39.4):
        lore.looked("lookup", after_s=waited_s, found=False)

    assert lore.wait_s("lookup") == pytest.approx(8.4)


def test_the_wait_is_bounded(lore: StationLore, clock: FixedClock) -> None:
    """However late stations are, half a minute is the longest first wait; and a second the least for a listing."""
    for _ in range(20):
        lore.looked("lookup", after_s=lore.wait_s("lookup"), found=False)
    assert lore.wait_s("lookup") == WAIT_MAX_S

    for _ in range(2000):
        clock.advance(1)
        lore.looked("lookup", after_s=lore.wait_s("lookup"), found=True)
    assert lore.wait_s("lookup") == 1.0


def test_line_ids_are_not_waited_for_until_one_was_too_early(lore: StationLore, clock: FixedClock) -> None:
    """A line's id is tried at once; refused, it is given time; in time for long, it is tried at once again."""
    assert lore.wait_s("line_id") == 0.0
    lore.looked("line_id", after_s=0.0, found=True)
    assert lore.wait_s("line_id") == 0.0
    lore.looked("line_id", after_s=0.0, found=False)
    assert lore.wait_s("line_id") == 1.4

    for _ in range(100):
        clock.advance(1)
        lore.looked("line_id", after_s=lore.wait_s("line_id"), found=True)
    assert lore.wait_s("line_id") == 0.0


def test_workers_share_what_they_saw(cache: MemoryCache, clock: FixedClock) -> None:
    """What one worker saw another knows, at the latest when its own copy is a few seconds old."""
    first, second = (a_lore(cache, clock) for _ in range(2))
    assert second.wait_s("lookup") == 6.0

    first.looked("lookup", after_s=6.0, found=False)
    clock.advance(6)

    assert second.wait_s("lookup") == pytest.approx(8.4)


@pytest.mark.parametrize("rubbish", [b"{", b"[]", b'{"lookup": "x", "line_id": 1}', b"null"])
def test_rubbish_on_the_shelf_is_no_knowledge(lore: StationLore, cache: MemoryCache, rubbish: bytes) -> None:
    """What cannot be read is forgotten: nothing known, the waits as at the start."""
    lore.learn("lookup")
    lore.wait_s("lookup")
    for key in list(cache._kept):
        cache.put(key, rubbish, ttl_s=60)

    assert lore.source() is None
    assert lore.wait_s("lookup") == 6.0
    assert lore.wait_s("line_id") == 0.0
