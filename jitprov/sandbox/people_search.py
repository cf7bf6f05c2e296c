"""The criteria of a user search, applied to users one by one.

Values are compared without case. Refuses criterion types that the description does not list (the schema does that)
and fields that users do not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jitprov.sandbox.answers import Json, bad_field
from jitprov.sandbox.directory import User
from jitprov.sandbox.world import World

_FIELDS = frozenset({"id", "name", "email", "username", "department", "title", "state", "divisionId"})
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "EXACT": lambda held, wanted: held == wanted,
    "STARTS_WITH": lambda held, wanted: held.startswith(wanted),
    "CONTAINS": lambda held, wanted: wanted in held,
    "TERM": lambda held, wanted: wanted in held.split(),
    "TERMS": lambda held, wanted: wanted in held.split(),
    "REGEX": lambda held, wanted: re.fullmatch(wanted, held) is not None,
}


def matching(world: World, criteria: Sequence[Json]) -> list[User]:
    """Return the users that meet all criteria; deleted users only when a criterion names their state.

    Raises:
        ApiError: 400; a field is unknown, a value is missing, or an expression cannot be read.
    """
    for criterion in criteria:
        _check(criterion)
    with_deleted = any("state" in criterion.get("fields", ()) for criterion in criteria)
    return [
        user
        for user in _candidates(world, criteria)
        if (with_deleted or user.state != "deleted") and _meets(user, criteria)
    ]


def _candidates(world: World, criteria: Sequence[Json]) -> Iterable[User]:
    """Narrow the search by index where one criterion names single users."""
    users = world.directory.users
    for criterion in criteria:
        if criterion["type"] != "EXACT" or criterion.get("operator", "AND") != "AND":
            continue
        if any(other.get("operator") == "OR" for other in criteria):
            break
        if criterion.get("fields") == ["id"]:
            return [users[each] for each in _values(criterion) if each in users]
        if criterion.get("fields") == ["email"] and not any("state" in other.get("fields", ()) for other in criteria):
            found = (world.directory.by_email(each) for each in _values(criterion))
            return [user for user in found if user is not None]
    return users.values()


def _check(criterion: Json) -> None:
    for inner in criterion.get("group", ()):
        _check(inner)
    for name in criterion.get("fields", ()):
        if name not in _FIELDS:
            raise bad_field("query.fields", f"{name[:60]!r} cannot be searched", "invalid.value")
    if criterion["type"] in _TESTS and not criterion.get("group") and not _values(criterion):
        raise bad_field("query.value", "a value or values is needed", "invalid.value")
    if criterion["type"] == "REGEX":
        for value in _values(criterion):
            _check_expression(value)


def _check_expression(value: str) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise bad_field("query.value", f"not a regular expression: {error}", "invalid.value") from None


def _meets(user: User, criteria: Sequence[Json]) -> bool:
    verdict: bool | None = None
    for criterion in criteria:
        met, operator = _met(user, criterion), criterion.get("operator", "AND")
        if operator == "NOT":
            met = not met
        if verdict is None:
            verdict = met
            continue
        verdict = (verdict or met) if operator == "OR" else (verdict and met)
    return verdict is None or verdict


def _met(user: User, criterion: Json) -> bool:
    if criterion.get("group"):
        return _meets(user, criterion["group"])
    kind, names = criterion["type"], criterion.get("fields", ())
    if kind == "MATCH_ALL":
        return True
    if kind == "REQUIRED_FIELDS":
        return all(_held(user, name) for name in names)
    test = _TESTS.get(kind)
    if test is None:
        return False
    wanted = [value.casefold() for value in _values(criterion)]
    return any(test(_held(user, name).casefold(), value) for name in names for value in wanted)


def _values(criterion: Json) -> list[str]:
    single: list[Any] = [criterion["value"]] if "value" in criterion else []
    return [*single, *criterion.get("values", ())]


def _held(user: User, name: str) -> str:
    if name == "id":
        return user.id
    if name == "state":
        return user.state
    if name == "divisionId":
        return user.division_id
    if name == "username":
        return str(user.profile.get("username", user.email))
    return str(user.profile.get(name) or "")
