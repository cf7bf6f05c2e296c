"""What agents may do, over HTTP, to the sandbox: listings, languages, utilization, division, roles, groups, queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.cache.memory import MemoryCache
from jitprov.domain.agent import MediaShare, Place, RatedLanguage, RoleGrant, WantedState
from jitprov.errors import NameUnknown, NotYetConsistent
from jitprov.genesys.access import HOME, AccessClient, Kind
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.belongings import Belongings
from jitprov.genesys.catalogue import Catalogue
from jitprov.genesys.client import GenesysClient
from jitprov.genesys.naming import unknown_names
from jitprov.genesys.transport import Transport
from jitprov.rules.loader import parse_rules
from jitprov.sandbox.control_client import SandboxControl
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import read_settings
from jitprov.wiring import RealClock

SCALE = 60.0
WANTED = WantedState(
    languages=(RatedLanguage("French", 4.0),),
    division=Place("Seasonal"),
    roles=(RoleGrant("Agent", "Seasonal"), RoleGrant("Supervisor")),
    groups=(Place("Retail Floor"),),
    queues=(Place("Overflow"),),
)


@dataclass
class House:
    """A way to the API, and the sandbox behind it."""

    control: SandboxControl
    genesys: GenesysClient
    access: AccessClient
    catalogue: Catalogue
    belongings: Belongings

    def users(self, count: int) -> list[str]:
        return [str(user["id"]) for user in self.control.sign_in(count=count)]

    def state_of(self, user_id: str) -> dict[str, Any]:
        return dict(self.control.state(user_id)["users"][0])

    def calls(self) -> int:
        return int(self.control.oracle()["calls"])


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with SandboxThread(SandboxOptions(time_scale=SCALE)) as sandbox:
        clock, settings = (
            RealClock(SCALE),
            read_settings(
                _env_file=None,
                api_url=sandbox.base_url,
                time_scale=SCALE,
                client_id="sandbox-client",
                client_secret="sandbox-secret",
            ),
        )
        cache = MemoryCache(clock.monotonic_s)
        rate = BudgetRate.of(60_000, headroom=0.5, time_scale=SCALE)
        budget = MemoryBudget(rate, clock.monotonic_s, lanes=1, failures_max=5)
        transport = Transport(settings, budget, clock, TokenSource(settings, cache, clock, budget))
        genesys, access = GenesysClient(transport), AccessClient(transport)
        yield House(
            sandbox.control,
            genesys,
            access,
            Catalogue(genesys, cache, clock, settings),
            Belongings(access, cache, clock, settings),
        )
        transport._own.connection.close()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("languages", "Polish"),
        ("divisions", "Headquarters"),
        ("roles", "Seasonal Agent"),
        ("groups", "Announcements"),
        ("queues", "Overflow"),
    ],
)
def test_everything_of_a_kind_is_listed_by_name(house: House, kind: Kind, name: str) -> None:
    """Each listing holds what the organization has, with ids; one call."""
    before = house.calls()
    found = house.access.list_named(kind)

    assert name in found
    assert house.calls() - before == 1
    assert (HOME in found) == (kind == "divisions")


def test_a_wanted_state_gets_its_ids_from_one_read_of_each_kind(house: House) -> None:
    """Every name is resolved, the home division for a role without one; the second time nothing is read."""
    house.belongings.forget()
    before = house.calls()
    resolved = house.belongings.resolved(WANTED)
    divisions = house.access.list_named("divisions")

    assert house.calls() - before == 6
    assert resolved.division == Place("Seasonal", divisions["Seasonal"])
    assert [grant.division_id for grant in resolved.roles] == [divisions["Seasonal"], divisions["Home"]]
    assert all([resolved.languages[0].language_id, resolved.groups[0].place_id, resolved.queues[0].place_id])
    assert house.belongings.resolved(WANTED) == resolved
    assert house.belongings.resolved(WantedState()) == WantedState()
    assert house.calls() - before == 6


def test_an_unknown_name_is_told_with_its_nearest(house: House) -> None:
    """What the organization lacks is named, and what was probably meant."""
    with pytest.raises(NameUnknown, match=r"no queue 'Retail Cals'; nearest: 'Retail Calls'"):
        house.belongings.ids("queues", ["Retail Cals"])


def test_all_unknown_names_of_a_file_are_found_with_their_lines(house: House) -> None:
    """Each kind's unknown names come with the line at which they stand."""
    book = parse_rules(
        b"""\
version: 1
rules:
  - name: it
    skills: {Customer_Service: 1, Custmer_Service: 1}
    languages: {french: 1}
    division: Seasnal
    roles: [Agnt, {name: Agent, divisions: [Home]}]
    groups: [Floor]
    queues:
      - Overflow
      - Overflw
"""
    )

    assert [(each.kind, each.name, each.line) for each in unknown_names(book, house.catalogue, house.belongings)] == [
        ("skills", "Custmer_Service", 4),
        ("languages", "french", 5),
        ("divisions", "Seasnal", 6),
        ("roles", "Agnt", 7),
        ("groups", "Floor", 8),
        ("queues", "Overflw", 11),
    ]


def test_languages_are_added_and_rated_anew(house: House) -> None:
    """What is sent is held and shown in the profile; what is not sent stays; more than fifty take two calls."""
    [user_id] = house.users(1)
    ids = house.access.list_named("languages")
    french, polish = (RatedLanguage(name, rating, ids[name]) for name, rating in (("French", 4.0), ("Polish", 1.0)))

    house.access.patch_languages(user_id, [french])
    house.access.patch_languages(user_id, [polish])
    before = house.calls()
    house.access.patch_languages(user_id, [french] * 51)

    assert house.calls() - before == 2
    assert set(house.genesys.get_user(user_id).languages) == {french, polish}


def test_a_language_is_taken_away_and_may_be_gone(house: House) -> None:
    """One language goes and the others stay; taking it again does no harm."""
    [user_id] = house.users(1)
    ids = house.access.list_named("languages")
    french, polish = (RatedLanguage(name, 1.0, ids[name]) for name in ("French", "Polish"))
    house.access.patch_languages(user_id, [french, polish])

    for _ in range(2):
        house.access.remove_language(user_id, polish.language_id)

    assert house.genesys.get_user(user_id).languages == (french,)


def test_utilization_is_set_and_the_organization_is_known(house: House) -> None:
    """An agent gets exactly what is said; the organization's own is read by media."""
    [user_id] = house.users(1)
    usual = house.access.get_organization_utilization()

    house.access.put_utilization(user_id, [MediaShare("chat", 2, ("call",))])
    utilization = house.state_of(user_id)["utilization"]["utilization"]

    assert usual["email"] == MediaShare("email", 1, ("call", "chat"))
    assert (utilization["chat"]["maximumCapacity"], utilization["chat"]["interruptableMediaTypes"]) == (2, ["call"])
    assert utilization["email"]["interruptableMediaTypes"] == ["call", "chat"]
    assert house.belongings.utilization() == usual


def test_one_call_serves_many_agents_and_may_be_repeated(house: House) -> None:
    """Division, role, group and queue take many agents in one call; the same again changes nothing."""
    users = house.users(3)
    wanted = house.belongings.resolved(WANTED)
    assert wanted.division
    before = house.calls()

    for _ in range(2):
        house.access.move_to_division(wanted.division.place_id, users)
        house.access.grant_role(wanted.roles[0].role_id, wanted.roles[0].division_id, users)
        house.access.add_to_group(wanted.groups[0].place_id, users)
        house.access.add_to_queue(wanted.queues[0].place_id, users)

    assert house.calls() - before == 8
    for user_id in users:
        state = house.state_of(user_id)
        assert state["division_id"] == wanted.division.place_id
        assert [(role["name"], role["division_id"]) for role in state["roles"] if role["name"] == "Agent"] == [
            ("Agent", wanted.division.place_id)
        ]
        assert (state["groups"], state["queues"]) == (["Retail Floor"], ["Overflow"])


def test_too_many_and_nobody_are_refused_before_they_are_sent(house: House) -> None:
    """More users than a call takes, none, and what is no id never reach the API."""
    one = str(uuid4())
    writes: list[tuple[Callable[[list[str]], None], int]] = [
        (lambda users: house.access.move_to_division(one, users), 50),
        (lambda users: house.access.grant_role(one, one, users), 50),
        (lambda users: house.access.add_to_group(one, users), 50),
        (lambda users: house.access.add_to_queue(one, users), 100),
    ]
    before = house.calls()

    for write, at_most in writes:
        for users in ([], [one] * (at_most + 1), ["../x"]):
            with pytest.raises(ValueError, match=r"per call|UUID"):
                write(users)
    assert house.calls() == before


def test_what_the_api_does_not_know_may_yet_come(house: House) -> None:
    """A 404 is no final word: the user, or the role, may just have been made."""
    with pytest.raises(NotYetConsistent):
        house.access.grant_role(str(uuid4()), str(uuid4()), house.users(1))
