"""The scheduled look for drift."""

from __future__ import annotations

from datetime import timedelta

from builders import NINE_AM, a_profile
from fixed_clock import FixedClock
from jitprov.alerts.drift_watch import DRIFT, DriftWatch, last_look
from jitprov.cache.memory import MemoryCache
from jitprov.domain.asserted_roles import compare_roles
from jitprov.genesys.holdings import Listed
from jitprov.pipeline.comparison import Compared
from jitprov.pipeline.drift import Drift


def test_counts_are_kept_and_nobody_is_named(clock: FixedClock) -> None:
    """What a look finds is kept as counts with its instant; no name, id or role is."""
    cache, profile = MemoryCache(clock.monotonic_s), a_profile()
    roles = compare_roles(profile.user_id, profile.name, held=["Quality Evaluator"], asserted=[])
    drift = Drift([Compared(Listed(profile, {}))], roles, calls=20)

    assert DriftWatch(lambda: drift, cache, lambda: NINE_AM, timedelta(hours=1)).look()

    looked = last_look(cache)
    assert looked is not None
    assert (looked.at, looked.counts["agents"], looked.counts["roles_that_go"]) == (NINE_AM, 1, 1)
    kept = (cache.get(DRIFT) or b"").decode()
    assert not any(word in kept for word in (profile.name, profile.user_id, "Quality"))


def test_of_several_reconcilers_one_looks(clock: FixedClock) -> None:
    """Who finds that somebody has just looked does not look again, until the pause is over."""
    cache, looks = MemoryCache(clock.monotonic_s), []

    def watch(after: timedelta) -> DriftWatch:
        def find() -> Drift:
            looks.append(after)
            return Drift([], [], calls=0)

        return DriftWatch(find, cache, lambda: NINE_AM + after, timedelta(hours=1))

    told = [watch(timedelta(minutes=minutes)).look() for minutes in (0, 1, 30, 60)]

    assert told == [True, False, False, True]
    assert len(looks) == 2


def test_what_cannot_be_read_counts_as_no_look(clock: FixedClock) -> None:
    """Damaged counts are no counts: the next look writes them anew."""
    cache = MemoryCache(clock.monotonic_s)
    for damaged in (b"x", b"[]", b'{"at": "never", "counts": {}}'):
        cache.put(DRIFT, damaged, ttl_s=60)

        assert last_look(cache) is None
