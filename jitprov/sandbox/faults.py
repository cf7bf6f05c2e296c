"""Rules that make the API misbehave: which requests they strike, at which phase, and with what.

Repeatable: a rule counts the requests it matches and draws from a source of its own, seeded by the sandbox's seed and
its id. Does nothing to a connection itself; `breakage` does.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

from jitprov.sandbox.answers import Json

PHASES = ("before_apply", "after_apply", "mid_body")
# Each action and the settings it understands.
ACTIONS: dict[str, frozenset[str]] = {
    "status": frozenset({"code", "headers", "body"}),
    "delay": frozenset({"ms"}),
    "reset": frozenset(),
    "close": frozenset(),
    "hang": frozenset(),
    "truncate": frozenset({"n"}),
    "bad_json": frozenset(),
    "html200": frozenset(),
    "huge": frozenset({"bytes"}),
    "wrong_type": frozenset({"field"}),
    "retry_after": frozenset({"value", "after_s"}),
    "expire_token": frozenset(),
    "dup_apply": frozenset(),
}
_MID_BODY_ACTIONS = frozenset({"reset", "close", "hang", "delay"})
_MATCH_KEYS = frozenset({"method", "path_re", "route", "user", "token", "nth", "every", "prob", "between"})


class RuleError(ValueError):
    """A rule or barrier cannot be understood."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What rules can tell about a request."""

    method: str
    path: str
    route: str
    user_id: str
    token: str
    now_s: float


@dataclass(slots=True)
class Match:
    """Which requests: all conditions given must hold; `nth`, `every` and `prob` count only those the others let by."""

    method: str | None = None
    path_re: re.Pattern[str] | None = None
    route: str | None = None
    user: str | None = None
    token: str | None = None
    nth: int | None = None
    every: int | None = None
    prob: float | None = None
    between: tuple[float, float] | None = None
    seen: int = 0
    chance: random.Random = field(default_factory=random.Random)

    @classmethod
    def from_json(cls, given: Mapping[str, Any], chance: random.Random) -> Self:
        """Read a match.

        Raises:
            RuleError: A key is unknown or a value makes no sense.
        """
        _refuse_unknown("match", given, _MATCH_KEYS)
        try:
            values = dict(given)
            if "path_re" in values:
                values["path_re"] = re.compile(values["path_re"])
            if "between" in values:
                first, last = values["between"]
                values["between"] = (float(first), float(last))
            if values.get("every") is not None and values["every"] < 1:
                _fail("every must be 1 or more")
            return cls(**values, chance=chance)
        except (TypeError, ValueError, re.error) as error:
            message = f"match: {error}"
            raise RuleError(message) from error

    def strikes(self, subject: Subject) -> bool:
        """Return whether this request is meant; counts it."""
        if not self._fits(subject):
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        if self.every is not None and self.seen % self.every:
            return False
        return self.prob is None or self.chance.random() < self.prob

    def _fits(self, subject: Subject) -> bool:
        wanted = (
            (self.method, subject.method),
            (self.route, subject.route),
            (self.user, subject.user_id),
            (self.token, subject.token),
        )
        if any(want is not None and want != have for want, have in wanted):
            return False
        if self.path_re is not None and self.path_re.search(subject.path) is None:
            return False
        return self.between is None or self.between[0] <= subject.now_s <= self.between[1]


@dataclass(slots=True)
class Rule:
    """One fault."""

    id: str
    match: Match
    phase: str
    kind: str
    settings: Json
    times: int | None
    given: Json
    fired: int = 0

    @classmethod
    def from_json(cls, given: Mapping[str, Any], index: int, seed: int) -> Self:
        """Read a rule; `action` is an object with `kind` and its settings, or the kind alone.

        Raises:
            RuleError: It cannot be understood.
        """
        _refuse_unknown("rule", given, frozenset({"id", "match", "phase", "action", "times"}))
        rule_id = str(given.get("id", f"rule-{index + 1}"))
        action = given.get("action")
        if isinstance(action, str):
            action = {"kind": action}
        if not isinstance(action, dict) or action.get("kind") not in ACTIONS:
            _fail(f"{rule_id}: action.kind must be one of {', '.join(ACTIONS)}")
        kind = action["kind"]
        settings = {name: value for name, value in action.items() if name != "kind"}
        _refuse_unknown(f"{rule_id}: action {kind}", settings, ACTIONS[kind])
        phase = given.get("phase", "before_apply")
        if phase not in PHASES or (phase == "mid_body" and kind not in _MID_BODY_ACTIONS):
            _fail(f"{rule_id}: phase {phase!r} does not go with {kind}")
        match = Match.from_json(given.get("match", {}), random.Random(f"{seed}-{rule_id}"))  # noqa: S311  repeatable
        return cls(rule_id, match, phase, kind, settings, given.get("times"), dict(given))

    def to_json(self) -> Json:
        """Return the rule as it was given, and how often it has matched and fired."""
        return self.given | {"id": self.id, "seen": self.match.seen, "fired": self.fired}

    def strikes(self, subject: Subject) -> bool:
        """Return whether the rule fires for this request; counts it."""
        if self.times is not None and self.fired >= self.times:
            return False
        if not self.match.strikes(subject):
            return False
        self.fired += 1
        return True


class FaultBook:
    """The rules in force and what they have covered."""

    def __init__(self, seed: int) -> None:
        """Begin without rules."""
        self.rules: list[Rule] = []
        self.coverage: Counter[tuple[str, str, str]] = Counter()
        self._seed = seed

    def put(self, given: list[Mapping[str, Any]]) -> None:
        """Replace all rules, counters at zero.

        Raises:
            RuleError: One cannot be understood; the old rules stay.
        """
        self.rules = [Rule.from_json(each, index, self._seed) for index, each in enumerate(given)]

    def strike(self, subject: Subject) -> Rule | None:
        """Return the first rule that fires for this request."""
        for rule in self.rules:
            if rule.strikes(subject):
                self.coverage[f"{subject.method} {subject.route}", rule.phase, rule.kind] += 1
                return rule
        return None

    def coverage_json(self) -> list[Json]:
        """Return which cells of route, phase and action have fired, and how often."""
        return [
            {"route": route, "phase": phase, "action": kind, "fired": fired}
            for (route, phase, kind), fired in sorted(self.coverage.items())
        ]


def _refuse_unknown(what: str, given: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        _fail(f"{what}: unknown {', '.join(unknown)}")


def _fail(message: str) -> NoReturn:
    raise RuleError(message)
