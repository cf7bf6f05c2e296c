"""Rules and a profile → what the agent shall have. Pure: reads no file, asks nobody, knows no skill ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import Literal

from jitprov.domain.agent import Profile, RatedSkill, WantedState
from jitprov.errors import NoRuleMatched
from jitprov.rules.model import Defaults, Rule, Rules

_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class _Covering:
    """A rule with its conditions ready to be compared: part of the profile → what it may be."""

    conditions: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]
    wanted: WantedState

    def covers(self, facts: Mapping[str, str]) -> bool:
        return all(any(may.fullmatch(facts[part]) for may in mays) for part, mays in self.conditions)


class RuleBook:
    """The rules in force.

    Args:
        rules: As read.
        rules_version: Tells one file's contents from another's.
        skill_lines: Line at which each skill name first stands in the file; without it all lines are 0.
    """

    def __init__(self, rules: Rules, *, rules_version: str = "", skill_lines: Mapping[str, int] | None = None) -> None:
        self.rules_version = rules_version
        self._covering = tuple(_covering(rule, rules.defaults) for rule in rules.rules)
        self._unmatched = (
            _wanted((), rules.defaults, mode=rules.defaults.mode, phone=rules.defaults.phone)
            if rules.unmatched == "defaults"
            else None
        )
        lines = skill_lines or {}
        parts: list[Defaults | Rule] = [rules.defaults, *rules.rules]
        self._skill_lines = {name: lines.get(name, 0) for part in parts for name in part.rated()}

    def wanted_for(self, profile: Profile) -> WantedState:
        """Return what an agent shall have, skill ids still empty: the first rule that covers the agent decides.

        Raises:
            NoRuleMatched: No rule covers the agent and `unmatched` is `fail`.
        """
        facts = _facts(profile)
        for rule in self._covering:
            if rule.covers(facts):
                return rule.wanted
        if self._unmatched is not None:
            return self._unmatched
        shown = ", ".join(f"{part} {_shown(getattr(profile, part))}" for part in ("department", "title", "division"))
        raise NoRuleMatched(f"no rule covers an agent with {shown}")

    def skill_names(self) -> dict[str, int]:
        """Return every skill that the rules name, with the line at which it first stands."""
        return dict(self._skill_lines)


def _facts(profile: Profile) -> dict[str, str]:
    """Return the parts of a profile that rules look at, as they are compared."""
    _, _, domain = profile.email.rpartition("@")
    given = {
        "department": profile.department,
        "title": profile.title,
        "division": profile.division,
        "email_domain": domain,
    }
    return {part: text.strip().casefold() for part, text in given.items()}


def _covering(rule: Rule, defaults: Defaults) -> _Covering:
    conditions = tuple(
        (part, tuple(_pattern(text) for text in texts)) for part, texts in rule.when.conditions().items()
    )
    phone = defaults.phone if rule.phone is None else rule.phone
    return _Covering(conditions, _wanted((rule.name,), rule, mode=rule.mode or defaults.mode, phone=phone))


def _wanted(
    names: tuple[str, ...], part: Defaults | Rule, *, mode: Literal["merge", "replace"], phone: bool
) -> WantedState:
    skills = tuple(RatedSkill(name, float(proficiency)) for name, proficiency in part.rated().items())
    return WantedState(rules=names, mode=mode, skills=skills, phone=phone)


def _pattern(text: str) -> re.Pattern[str]:
    # In fnmatch's language a bracket opens a set of characters; departments are named "Sales [EU]".
    return re.compile(translate(text.strip().casefold().replace("[", "[[]")))


def _shown(text: str) -> str:
    if not text.strip():
        return "(none)"
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…")
