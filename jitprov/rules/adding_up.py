"""What several rules give together, and which gave what: of two that say different things the first counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jitprov.domain.agent import MediaShare, Place, Priority, RatedLanguage, RatedSkill, RoleGrant, WantedState
from jitprov.rules.given import Given, PhoneEntry, PhoneWish, grants_of, rated, share_of
from jitprov.rules.model import Defaults, Rule

DEFAULTS = "defaults"


@dataclass(frozen=True, slots=True)
class Gift:
    """One thing that an agent is given, and by which rule.

    Attributes:
        what: `skill`, `language`, `utilization`, `division`, `role`, `group`, `queue`, `mode`, `phone`,
            `site`, `phone base` or `priority`.
        name: Of the thing; its proficiency or bound in words after it.
        by: Name of the rule, or `defaults`.
    """

    what: str
    name: str
    by: str


@dataclass(frozen=True, slots=True)
class Sum:
    """What rules give together, and which gave what."""

    wanted: WantedState
    gifts: tuple[Gift, ...]


def add_up(
    rules: Sequence[Rule],
    defaults: Defaults,
    version: str,
    *,
    unsaid: Priority | None = None,
    skips_unknown: bool = False,
) -> Sum:
    """Return what rules give together; without rules, the defaults give all.

    Args:
        rules: In the order of the file; of two that differ the first counts.
        defaults: Give mode and phone where no rule says them.
        version: Of the file.
        unsaid: Priority of an agent whose rules say none.
        skips_unknown: See `WantedState`.
    """
    parts: list[tuple[str, Rule | Defaults]] = [(rule.name, rule) for rule in rules] or [(DEFAULTS, defaults)]
    said = _Said()
    for name, part in parts:
        said.take_rated(name, part)
        said.take_places(name, part)
    # After the divisions, since a role may stand for one.
    division: Place | None = next(iter(said.all("division")), None)
    for name, part in parts:
        said.take_roles(name, part, division.name if division else "")
    for name, part in (*parts, (DEFAULTS, defaults)):
        if part.mode is not None:
            said.once("mode", "", name, part.mode)
        if part.phone is not None:
            said.take_phone(name, part.phone)
    for rule in rules:
        if rule.priority is not None:
            said.once("priority", "", rule.name, rule.priority)
    wanted = WantedState(
        rules=tuple(rule.name for rule in rules),
        mode=said.all("mode")[0],
        phone=said.all("phone")[0],
        skills=tuple(said.all("skill")),
        languages=tuple(said.all("language")),
        utilization=tuple(said.all("utilization")),
        division=division,
        roles=tuple(said.all("role")),
        groups=tuple(said.all("group")),
        queues=tuple(said.all("queue")),
        rules_version=version,
        priority=next(iter(said.all("priority")), unsaid),
        site=next(iter(said.all("site")), ""),
        phone_base=next(iter(said.all("phone base")), ""),
        skips_unknown=skips_unknown,
    )
    return Sum(wanted, said.gifts())


class _Said:
    """What was said about each thing, and by whom first."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[str, Any]] = {}

    def once(self, what: str, name: str, by: str, value: Any) -> None:
        self._first.setdefault((what, name), (by, value))

    def take_rated(self, by: str, part: Given) -> None:
        for skill, proficiency in rated(part.skills).items():
            self.once("skill", skill, by, RatedSkill(skill, float(proficiency)))
        for language, proficiency in rated(part.languages).items():
            self.once("language", language, by, RatedLanguage(language, float(proficiency)))
        for media, entry in part.utilization.items():
            self.once("utilization", media, by, share_of(media, entry))

    def take_places(self, by: str, part: Given) -> None:
        if part.division is not None:
            self.once("division", "", by, Place(part.division))
        for what, names in (("group", part.groups), ("queue", part.queues)):
            for name in names:
                self.once(what, name, by, Place(name))

    def take_roles(self, by: str, part: Given, own_division: str) -> None:
        for role in part.roles:
            for grant in grants_of(role, own_division):
                self.once("role", f"{grant.role}\n{grant.division}", by, grant)

    def take_phone(self, by: str, phone: PhoneWish) -> None:
        if ("phone", "") in self._first:
            return  # with site and base it is one thing: whoever speaks first of the phone says all of it
        self.once("phone", "", by, phone is not False)
        if isinstance(phone, PhoneEntry):
            for what, name in (("site", phone.site), ("phone base", phone.base)):
                if name is not None:
                    self.once(what, "", by, name)

    def all(self, what: str) -> list[Any]:
        return [value for (each, _), (_, value) in self._first.items() if each == what]

    def gifts(self) -> tuple[Gift, ...]:
        return tuple(Gift(what, in_words(value), by) for (what, _), (by, value) in self._first.items())


def in_words(value: Any) -> str:
    """Return what a rule gives as `Gift.name` tells it."""
    match value:
        case RatedSkill() | RatedLanguage():
            return f"{value.name} {value.proficiency:g}"
        case MediaShare():
            interrupted = "" if value.interruptible is None else f", interruptible by {list(value.interruptible)}"
            return f"{value.media}: {value.capacity} at once{interrupted}"
        case RoleGrant():
            return f"{value.role} in {value.division or 'the home division'}"
        case Place():
            return value.name
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
