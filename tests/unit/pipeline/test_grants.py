"""Calls that serve many: who is served along, what is remembered, and what a failure costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import uuid4

import pytest

from builders import a_profile, a_provisioning
from fixed_clock import FixedClock
from jitprov.cache.memory import MemoryCache
from jitprov.domain.agent import Granted, Place, Profile, RoleGrant, WantedState
from jitprov.domain.provisioning import ENTRANCE, Findings, Provisioning, Step
from jitprov.errors import NameUnknown, NoRuleMatched, RateLimited, Refused, StepError, Unavailable
from jitprov.genesys.shelf import Shelf
from jitprov.pipeline.grants import Grants
from jitprov.settings import read_settings

WANTED = WantedState(
    division=Place("Seasonal", "d"), roles=(RoleGrant("Agent", "", "r", "home"),), groups=(Place("Floor", "g"),)
)


class House:
    """Agents who wait, their rules, and an API that notes each call; stands for access, rules, profiles and ledger."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.wanted: dict[str, WantedState | StepError] = {}
        self.profiles: dict[str, Profile] = {}
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.refuse: Callable[[str, Sequence[str]], StepError | None] = lambda *_: None
        self.looks_at_division = self.looks_at_location = False
        self.standing: list[Provisioning] = []
        shelf = Shelf(MemoryCache(clock.monotonic_s), clock, read_settings(_env_file=None))
        parts = cast("Any", self)
        self.grants = Grants(parts, parts, parts, parts, parts, shelf)

    def agent(self, wanted: WantedState | StepError = WANTED, **profile: Any) -> str:
        user_id = str(uuid4())
        self.wanted[user_id] = wanted
        self.profiles[user_id] = a_profile(user_id=user_id, **profile)
        return user_id

    def give(self, user_id: str, **more: Any) -> tuple[Granted, ...]:
        wanted = self.wanted[user_id]
        assert isinstance(wanted, WantedState)
        return self.grants.give(user_id, wanted, self.profiles[user_id], **more)

    def served(self, what: str) -> list[int]:
        return [len(users) for name, users in self.calls if name == what]

    # --- what the grants use --------------------------------------------------------------------------------
    def _call(self, what: str, users: Sequence[str]) -> None:
        self.calls.append((what, tuple(users)))
        error = self.refuse(what, users)
        if error:
            raise error

    def move_to_division(self, _: str, users: Sequence[str]) -> None:
        self._call("division", users)

    def grant_role(self, _: str, __: str, users: Sequence[str]) -> None:
        self._call("role", users)

    def add_to_group(self, _: str, users: Sequence[str]) -> None:
        self._call("group", users)

    def add_to_queue(self, _: str, users: Sequence[str]) -> None:
        self._call("queue", users)

    def in_force(self) -> House:
        return self

    def wanted_for(self, profile: Profile) -> WantedState:
        wanted = self.wanted[profile.user_id]
        if isinstance(wanted, StepError):
            raise wanted
        return wanted

    def resolved(self, wanted: WantedState) -> WantedState:
        if wanted.groups and wanted.groups[0].name == "unknown":
            raise NameUnknown("no group 'unknown'")
        return wanted

    def waiting_users(self, *, limit: int) -> list[str]:
        return list(self.profiles)[:limit]

    def standing_at(self, step: Step, *, limit: int) -> list[Provisioning]:
        return [record for record in self.standing if record.step is step]

    def read_ahead(self, users: Sequence[str]) -> dict[str, Profile]:
        return {user_id: self.profiles[user_id] for user_id in users if user_id in self.profiles}


@pytest.fixture
def house(clock: FixedClock) -> House:
    return House(clock)


def test_one_turn_serves_all_who_wait_for_the_same(house: House) -> None:
    """The first turn makes each call once, for as many as a call takes; their own turns then make none."""
    users = [house.agent() for _ in range(60)]

    first = house.give(users[0])
    assert [(given.what, given.how, given.together) for given in first] == [
        ("division", "own", 50),
        ("role", "own", 50),
        ("group", "own", 50),
    ]
    for user_id in users[1:50]:
        assert {given.how for given in house.give(user_id)} == {"earlier"}
    assert len(house.calls) == 3

    house.give(users[50])
    assert (house.served("role"), house.served("division")) == ([50, 10], [50, 10])
    assert all({given.how for given in house.give(user_id)} == {"earlier"} for user_id in users[51:])
    assert len(house.calls) == 6


def test_only_those_are_served_whose_rules_ask_for_the_same(house: House) -> None:
    """Nobody is given what their own rules do not say; who cannot be judged yet, or is gone, is left for their turn."""
    user_id = house.agent()
    same = house.agent(WantedState(groups=WANTED.groups))
    house.agent(WantedState(groups=(Place("Other", "o"),)))
    house.agent(WantedState())
    house.agent(NoRuleMatched("no rule"))
    house.agent(WantedState(groups=(Place("unknown", "g"),)))
    house.agent(state="deleted")
    moved = house.agent(division_id="d")

    house.give(user_id)

    assert dict(house.calls) == {"division": (user_id,), "role": (user_id, moved), "group": (user_id, same, moved)}
    assert house.give(moved)[0] == Granted("division", "Seasonal", "there")


def test_those_who_wait_for_their_turn_are_served_by_their_own_records(house: House) -> None:
    """Who was judged and is not begun is served by what was found for them, where rules look at the division too."""
    house.looks_at_division = True
    user_id = house.agent()
    waiting, cancelled = (
        a_provisioning(step=ENTRANCE, findings=Findings(profile=a_profile(), wanted=WANTED), cancel_asked=asked)
        for asked in (False, True)
    )
    house.standing = [waiting, cancelled, a_provisioning()]

    house.give(user_id)

    assert dict(house.calls) == dict.fromkeys(("division", "role", "group"), (user_id, waiting.user_id))


def test_nobody_is_moved_ahead_of_rules_that_look_at_the_division(house: House) -> None:
    """Where rules look at the division, moving others early would change what their rules say: each waits."""
    house.looks_at_division = True
    users = [house.agent() for _ in range(3)]

    house.give(users[0])

    assert (house.served("division"), house.served("role")) == ([1], [3])


@pytest.mark.parametrize("error", [Refused("one of them", http_status=400), Unavailable("503", http_status=503)])
def test_a_shared_call_that_fails_is_made_again_alone(house: House, error: StepError) -> None:
    """A failure that may be somebody else's fails nobody: the call is made again for the one."""
    users = [house.agent() for _ in range(3)]
    house.refuse = lambda what, asked: error if what == "role" and len(asked) > 1 else None

    given = house.give(users[0])

    assert [each.together for each in given] == [3, 1, 3]
    assert house.served("role") == [3, 1]
    house.refuse = lambda *_: None
    assert [each.how for each in house.give(users[1])] == ["earlier", "own", "earlier"]
    assert house.served("role") == [3, 1, 2]


def test_a_call_for_one_alone_that_fails_is_that_ones(house: House) -> None:
    """What was given before the failure is kept, and not given again."""
    user_id = house.agent()
    house.refuse = lambda what, _: Refused("no", http_status=403) if what == "role" else None
    with pytest.raises(Refused):
        house.give(user_id)
    house.refuse = lambda *_: None

    assert [given.how for given in house.give(user_id)] == ["earlier", "own", "own"]


def test_a_pause_of_the_token_is_no_reason_to_go_alone(house: House) -> None:
    """When nothing may be sent now, the whole turn waits."""
    user_id, _ = house.agent(), house.agent()
    house.refuse = lambda *_: RateLimited("429", wait_s=10)
    with pytest.raises(RateLimited):
        house.give(user_id)

    assert len(house.calls) == 1


def test_an_operators_retry_trusts_no_note(house: House) -> None:
    """Anew, everything is given again, to this agent alone."""
    users = [house.agent() for _ in range(2)]
    house.give(users[0])

    assert [given.together for given in house.give(users[1], anew=True)] == [1, 1, 1]


def test_notes_are_forgotten(house: House, clock: FixedClock) -> None:
    """After a quarter of an hour what was noted counts for nothing any more."""
    users = [house.agent() for _ in range(2)]
    house.give(users[0])
    clock.advance(901)

    assert {given.how for given in house.give(users[1])} == {"own"}
