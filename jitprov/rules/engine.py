"""Rules and a profile → what the agent shall have. Pure: reads no file, asks nobody, knows no ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate

from jitprov.domain.agent import Priority, Profile, WantedState
from jitprov.errors import NoRuleMatched
from jitprov.rules.adding_up import Gift, Sum, add_up
from jitprov.rules.examples import Difference, Example, differences, profile_of
from jitprov.rules.given import Kind
from jitprov.rules.model import Defaults, Rule, Rules, When

_SHOWN_CHARS = 60


_Conditions = tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]


@dataclass(frozen=True, slots=True)
class _Covering:
    """A rule with its conditions ready to be compared: part of the profile → what it may be."""

    conditions: _Conditions
    rule: Rule

    def covers(self, facts: Mapping[str, tuple[str, ...]]) -> bool:
        return _hold(self.conditions, facts)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an agent shall have, and why.

    Attributes:
        wanted: As `RuleBook.wanted_for` returns it.
        gifts: Each thing with the rule that gave it.
        overruled: Rules that cover the agent too and stand after the one that decides (`match: first`).
    """

    wanted: WantedState
    gifts: tuple[Gift, ...]
    overruled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A rule that does not cover an agent, and what it asks for in vain: part of the profile → what it may be."""

    rule: str
    asks: dict[str, list[str]]


class RuleBook:
    """The rules in force.

    Args:
        rules: As read.
        rules_version: Tells one file's contents from another's.
        lines: Line at which each name first stands in the file, by kind and name; without it all lines are 0.
    """

    def __init__(
        self, rules: Rules, *, rules_version: str = "", lines: Mapping[tuple[Kind, str], int] | None = None
    ) -> None:
        self.rules_version = rules_version
        self.examples: tuple[Example, ...] = tuple(rules.tests)
        self._merges = rules.match == "merge"
        self._defaults = rules.defaults
        self._unmatched = rules.unmatched == "defaults"
        # While no rule has a priority, nobody has one, and agents go as they come.
        self._unsaid: Priority | None = "normal" if any(rule.priority for rule in rules.rules) else None
        self._covering = tuple(_Covering(_conditions(rule.when), rule) for rule in rules.rules)
        self._expected = tuple((_conditions(each.when), frozenset(each.roles)) for each in rules.expected_roles)
        self.roles_written = rules.roles_written
        self._made: dict[tuple[str, ...], Sum] = {}
        known = lines or {}
        parts: list[Defaults | Rule] = [rules.defaults, *rules.rules]
        self._lines = {(kind, name): known.get((kind, name), 0) for part in parts for kind, name, _ in part.names()}
        self.release_phone = rules.release_phone
        self.looks_at_department_or_title = any(rule.when.department or rule.when.title for rule in rules.rules)
        self.looks_at_division = any(rule.when.division is not None for rule in rules.rules)
        looking = [*(rule.when for rule in rules.rules), *(each.when for each in rules.expected_roles)]
        self.looks_at_location = any(when.location is not None for when in looking)
        self.names_roles = any(part.roles for part in parts)
        self._skips_unknown = rules.unknown == "skip"
        self._has_utilization = any(part.utilization for part in parts)

    def wanted_for(self, profile: Profile) -> WantedState:
        """Return what an agent shall have, ids still empty.

        Raises:
            NoRuleMatched: No rule covers the agent and `unmatched` is `fail`.
        """
        return self._sum(profile).wanted

    def explain(self, profile: Profile) -> Explanation:
        """Return what an agent shall have and which rule gave what.

        Raises:
            NoRuleMatched: As `wanted_for`.
        """
        made = self._sum(profile)
        facts = _facts(profile)
        names = [each.rule.name for each in self._covering if each.covers(facts)]
        return Explanation(made.wanted, made.gifts, tuple(name for name in names if name not in made.wanted.rules))

    def passed_over(self, profile: Profile) -> tuple[PassedOver, ...]:
        """Return the rules that do not cover an agent, in the file's order, each with the conditions that fail."""
        facts = _facts(profile)
        return tuple(
            PassedOver(each.rule.name, _failing(each, facts)) for each in self._covering if not each.covers(facts)
        )

    def try_example(self, example: Example) -> list[Difference]:
        """Return how what the profile of a test gets differs from what the test expects."""
        try:
            wanted = self.wanted_for(profile_of(example))
        except NoRuleMatched:
            return differences(example, None)
        return differences(example, wanted)

    def named(self, kind: Kind) -> dict[str, int]:
        """Return every name of one kind that the rules use, with the line at which it first stands."""
        return {name: line for (each, name), line in self._lines.items() if each == kind}

    def skill_names(self) -> dict[str, int]:
        """Return every skill that the rules name, with the line at which it first stands."""
        return self.named("skills")

    def expected_roles(self, profile: Profile) -> frozenset[str] | None:
        """Return the roles that the identity provider asserts of an agent; None when the file does not say."""
        facts = _facts(profile)
        found = [roles for conditions, roles in self._expected if _hold(conditions, facts)]
        return frozenset[str]().union(*found) if found else None

    def name_lines(self) -> dict[str, int]:
        """Return every name of something in the organization, with the line at which it first stands."""
        lines: dict[str, int] = {}
        for (_, name), line in self._lines.items():
            lines[name] = min(line, lines.get(name, line))
        return lines

    def departments(self) -> list[str]:
        """Return the departments that rules look for, as they stand in the file; patterns among them."""
        return list(
            dict.fromkeys(text for each in self._covering for text in each.rule.when.conditions().get("department", ()))
        )

    @property
    def asks_utilization(self) -> bool:
        """Whether some rule says how much agents handle at once."""
        return self._has_utilization

    @property
    def asks_access(self) -> bool:
        """Whether some rule gives a division, a role, a group or a queue."""
        return any(kind in {"divisions", "roles", "groups", "queues"} for kind, _ in self._lines)

    def _sum(self, profile: Profile) -> Sum:
        facts = _facts(profile)
        covering = [each.rule for each in self._covering if each.covers(facts)]
        if not covering and not self._unmatched:
            shown = ", ".join(
                f"{part} {_shown(getattr(profile, part))}" for part in ("department", "title", "division")
            )
            raise NoRuleMatched(f"no rule covers an agent with {shown}")
        deciding = covering if self._merges else covering[:1]
        key = tuple(rule.name for rule in deciding)
        if key not in self._made:
            self._made[key] = add_up(
                deciding,
                self._defaults,
                self.rules_version,
                unsaid=self._unsaid,
                skips_unknown=self._skips_unknown,
            )
        return self._made[key]


def _facts(profile: Profile) -> dict[str, tuple[str, ...]]:
    """Return the parts of a profile that rules look at, as they are compared."""
    _, _, domain = profile.email.rpartition("@")
    given = {
        "department": profile.department,
        "title": profile.title,
        "division": profile.division,
        "email_domain": domain,
    }
    facts: dict[str, tuple[str, ...]] = {part: (text,) for part, text in given.items()}
    # Like an empty department: an empty text means that there is none.
    facts["location"] = profile.locations or ("",)
    return {part: tuple(text.strip().casefold() for text in texts) for part, texts in facts.items()}


def _conditions(when: When) -> _Conditions:
    return tuple((part, tuple(_pattern(text) for text in texts)) for part, texts in when.conditions().items())


def _hold(conditions: _Conditions, facts: Mapping[str, tuple[str, ...]]) -> bool:
    return all(any(may.fullmatch(fact) for may in mays for fact in facts[part]) for part, mays in conditions)


def _failing(covering: _Covering, facts: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    asked = covering.rule.when.conditions()
    return {part: asked[part] for part, mays in covering.conditions if not _hold(((part, mays),), facts)}


def _pattern(text: str) -> re.Pattern[str]:
    # In fnmatch's language a bracket opens a set of characters; departments are named "Sales [EU]".
    return re.compile(translate(text.strip().casefold().replace("[", "[[]")))


def _shown(text: str) -> str:
    if not text.strip():
        return "(none)"
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…")
