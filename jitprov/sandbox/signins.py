"""People who sign in for the first time: makes their users, with invented names where none are given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jitprov.sandbox.answers import Json
from jitprov.sandbox.directory import User
from jitprov.sandbox.people_routes import add_user
from jitprov.sandbox.world import World

AGENTS_MAX = 20_000
DEPARTMENTS = ("Seasonal_Retail", "Seasonal_Tech_Support")
_FIRST = (
    "Alex", "Amari", "Ariel", "Blair", "Bo", "Cameron", "Casey", "Charlie", "Dana", "Devon", "Drew", "Eden",
    "Ellis", "Emery", "Finley", "Frankie", "Gray", "Harper", "Hayden", "Jamie", "Jordan", "Kai", "Kerry", "Lee",
    "Logan", "Luca", "Marlow", "Micah", "Morgan", "Noa", "Oakley", "Parker", "Quinn", "Reese", "Remy", "Riley",
    "Robin", "Rowan", "Sage", "Sam", "Sasha", "Skyler", "Taylor", "Toni", "Val", "Wren", "Yael",
)  # fmt: skip
_LAST = (
    "Ash", "Baker", "Birch", "Brook", "Carver", "Cedar", "Cooper", "Dale", "Elm", "Farrow", "Field", "Fletcher",
    "Ford", "Glen", "Grove", "Hale", "Hart", "Hill", "Hollis", "Kemp", "Lake", "Lane", "Marsh", "Mason", "Mead",
    "Moor", "North", "Penn", "Pike", "Reed", "Ridge", "Rivers", "Sawyer", "Shore", "Stone", "Thorn", "Tyler",
    "Vale", "Wade", "Wells", "West", "Wood", "York",
)  # fmt: skip
_AGENT_KEYS = frozenset({"name", "email", "department", "title", "state", "location"})
_CALL_KEYS = frozenset({"agents", "count", "departments", "state", "title", "location", "announce", "return_events"})


class SignInError(ValueError):
    """A sign-in cannot be understood; nobody was made."""


def sign_in(world: World, asked: Mapping[str, Any]) -> list[User]:
    """Make the users a sign-in asks for.

    Args:
        world: The organization.
        asked: `agents`, a list of name, email, department, title, state, location; or `count` with `departments`,
            `state` and `location`.

    Raises:
        SignInError: Something in `asked` makes no sense, or an address is in use.
    """
    people = [_described(world, agent, asked) for agent in _asked_agents(world, asked)]
    addresses = [str(profile["email"]).casefold() for profile, _ in people]
    for address, times in Counter(addresses).items():
        if times > 1 or world.directory.by_email(address) is not None:
            message = f"the address {address} is in use"
            raise SignInError(message)
    return [add_user(world, profile, state=state) for profile, state in people]


def _asked_agents(world: World, asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    unknown = sorted(asked.keys() - _CALL_KEYS)
    if unknown:
        message = f"unknown: {', '.join(unknown)}"
        raise SignInError(message)
    if "agents" in asked:
        agents = asked["agents"]
        if not isinstance(agents, list) or not all(map(_is_agent, agents)):
            message = f"agents must be objects with {', '.join(sorted(_AGENT_KEYS))}"
            raise SignInError(message)
        return agents
    number, departments = asked.get("count"), asked.get("departments") or DEPARTMENTS
    if not isinstance(number, int) or not 0 <= number <= AGENTS_MAX:
        message = f"count must be 0 to {AGENTS_MAX}"
        raise SignInError(message)
    return [_invented(world, departments[at % len(departments)]) for at in range(number)]


def _is_agent(given: object) -> bool:
    return isinstance(given, dict) and given.keys() <= _AGENT_KEYS


def _invented(world: World, department: str) -> Json:
    while True:
        at, world.invented_people = world.invented_people, world.invented_people + 1
        turn = at // (len(_FIRST) * len(_LAST))  # the lengths share no divisor, so a turn repeats no pair
        first, last = _FIRST[at % len(_FIRST)], _LAST[at % len(_LAST)]
        number = f".{turn + 1}" if turn else ""
        email = f"{first}.{last}{number}@example.test".lower()
        if world.directory.by_email(email) is None:
            return {"name": f"{first} {last}", "email": email, "department": department}


def _location(world: World, name: str) -> Json:
    """Return where somebody is, as the users' expansion tells it."""
    if name not in world.locations:
        world.locations[name] = world.ids.new("location")
    location_id = world.locations[name]
    definition = {"id": location_id, "name": name, "selfUri": f"/api/v2/locations/{location_id}"}
    return {"id": location_id, "locationDefinition": definition}


def _described(world: World, agent: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[Json, str]:
    """Return the profile and the state of one who signs in."""
    state = agent.get("state") or asked.get("state") or world.options.sign_in_state
    if state not in {"active", "inactive"}:
        message = f"state {state!r} is neither active nor inactive"
        raise SignInError(message)
    if not agent.get("name") or not agent.get("email"):
        message = "an agent needs name and email"
        raise SignInError(message)
    title = agent.get("title") or asked.get("title") or "Seasonal Agent"
    profile: Json = {"name": agent["name"], "email": agent["email"], "title": title}
    if location := agent.get("location") or asked.get("location"):
        profile["locations"] = [_location(world, location)]
    return (profile | {"department": agent["department"]} if agent.get("department") else profile), state
