"""Profiles read ahead: one call for many, and never a wrong or an old one."""

from __future__ import annotations

from typing import Any

import pytest

from builders import a_profile, a_skill, an_opening
from fake_organization import FakeOrganization
from fixed_clock import FixedClock
from jitprov.cache.memory import MemoryCache
from jitprov.domain.agent import Profile
from jitprov.errors import NotYetConsistent, Unavailable
from jitprov.genesys.client import USERS_PER_GET
from jitprov.ledger.memory import MemoryLedger
from jitprov.pipeline.profiles import ProfileReader
from jitprov.sealing import Seals

SEALS = Seals("d" * 40)


class Office:
    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.ledger = MemoryLedger(clock.now)
        self.cache = MemoryCache(clock.monotonic_s)
        self.organization = FakeOrganization()

    def reader(self, *, seals: Seals = SEALS, **changes: Any) -> ProfileReader:
        parts: Any = self.organization
        return ProfileReader(parts, self.cache, self.ledger, self.clock, seals, **changes)

    def sign_in(self, count: int, *, known: bool = True) -> list[Profile]:
        profiles = [a_profile(skills=(a_skill("", 2.0, "s"),)) for _ in range(count)]
        for profile in profiles:
            if known:
                self.organization.add(profile).skills["s"] = 2.0
            self.ledger.accept([an_opening(user_id=profile.user_id)], look_after_s=9)
        return profiles


@pytest.fixture
def office(clock: FixedClock) -> Office:
    return Office(clock)


def test_one_read_serves_all_who_wait(office: Office) -> None:
    """The first agent's read brings the profiles of all who wait, whole, and theirs cost no call."""
    profiles = office.sign_in(5)
    reader = office.reader()

    assert [reader.of(profile.user_id) for profile in profiles] == profiles
    assert office.organization.names() == ["get_users"]


def test_a_read_asks_for_no_more_than_the_api_takes(office: Office) -> None:
    """Of more agents than one call may name, the asked one is in the first call and all are served in the fewest."""
    profiles = office.sign_in(2 * USERS_PER_GET + 1)
    reader = office.reader()

    for profile in reversed(profiles):
        assert reader.of(profile.user_id) == profile

    asked = [call[1] for call in office.organization.calls]
    assert len(asked) == 3
    assert max(len(users) for users in asked) == USERS_PER_GET
    assert asked[0][0] == profiles[-1].user_id
    assert all(len(set(users)) == len(users) for users in asked)


def test_nothing_is_read_ahead_that_could_not_be_sealed(office: Office) -> None:
    """Without a key nobody's profile is kept for later: each agent is read alone, and nothing lies in the cache."""
    profiles = office.sign_in(2)
    reader = office.reader(seals=Seals(""))

    assert [reader.of(profile.user_id) for profile in profiles] == profiles
    assert [call[1] for call in office.organization.calls] == [(profile.user_id,) for profile in profiles]


def test_what_another_key_sealed_is_read_anew(office: Office) -> None:
    """A profile read ahead before the data key was changed is no use after it, and costs a read, not an agent."""
    first, second = office.sign_in(2)
    office.reader().of(first.user_id)

    assert office.reader(seals=Seals("e" * 40)).of(second.user_id) == second
    assert office.organization.names() == ["get_users", "get_users"]


def test_a_profile_read_ahead_grows_old(office: Office) -> None:
    """A profile that waited longer than it keeps is read again, and the keeping is in API seconds."""
    first, second = office.sign_in(2)
    reader = office.reader(keep_s=300.0, time_scale=60.0)
    reader.of(first.user_id)
    office.clock.advance(5.1)

    reader.of(second.user_id)

    assert office.organization.names() == ["get_users", "get_users"]


def test_a_fresh_profile_is_read_by_itself(office: Office) -> None:
    """Asking for the profile as it is now reads it, and what was read ahead is not used afterwards either."""
    first, second = office.sign_in(2)
    reader = office.reader()
    reader.of(first.user_id)

    assert reader.fresh(second.user_id) == second
    reader.of(second.user_id)
    assert office.organization.names() == ["get_users", "get_user", "get_users"]


def test_a_user_left_out_of_the_list_is_asked_for_alone(office: Office) -> None:
    """A user whom the list does not show is asked for alone before anybody says that there is none."""
    (profile,) = office.sign_in(1)
    meddle = office.organization.meddle
    office.organization.meddle = lambda name, apply: {} if name == "get_users" else meddle(name, apply)

    assert office.reader().of(profile.user_id) == profile
    assert office.organization.names() == ["get_users", "get_user"]


def test_a_user_whom_the_api_does_not_know_yet_is_tried_again(office: Office) -> None:
    """A user that does not exist yet concerns that agent alone; those read with it are served."""
    (unknown,) = office.sign_in(1, known=False)
    (known,) = office.sign_in(1)
    reader = office.reader()

    with pytest.raises(NotYetConsistent):
        reader.of(unknown.user_id)

    assert reader.of(known.user_id) == known
    assert office.organization.names() == ["get_users", "get_user"]


def test_a_failed_read_is_the_askers_alone(office: Office) -> None:
    """When the shared read fails the asker is told, and the next one reads for all again."""
    first, second = office.sign_in(2)

    def fail(_: str, __: Any) -> Any:
        raise Unavailable("503")

    office.organization.meddle = fail
    with pytest.raises(Unavailable):
        office.reader().of(first.user_id)
    office.organization.meddle = lambda _, apply: apply()

    assert office.reader().of(second.user_id) == second
    assert office.reader().of(first.user_id) == first
    assert office.organization.names() == ["get_users", "get_users"]


def test_who_waits_for_another_read_makes_none(office: Office) -> None:
    """A worker that finds another one reading waits in real seconds and takes what that one brought."""
    first, second = office.sign_in(2)
    reader = office.reader(time_scale=60.0)
    turn = office.cache.single_flight("profiles", hold_s=45, wait=office.clock.wait, wait_max_s=1)
    turn.__enter__()
    wait = office.clock.wait

    def other_finishes(api_s: float) -> None:
        office.clock.wait = wait  # type: ignore[method-assign]
        turn.__exit__(None, None, None)
        office.reader().of(first.user_id)
        wait(api_s)

    office.clock.wait = other_finishes  # type: ignore[method-assign]

    assert reader.of(second.user_id) == second
    assert office.organization.names() == ["get_users"]
