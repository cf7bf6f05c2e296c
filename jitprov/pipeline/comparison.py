"""Agents against the rules: who differs how, by which rule, and which calls it takes. Sends nothing but reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jitprov.domain.actual import Actual
from jitprov.domain.agent import MediaShare, Profile, WantedState
from jitprov.domain.change import Change, What
from jitprov.domain.difference import Difference, differ
from jitprov.domain.given import Given, Memory, settled, surplus
from jitprov.errors import NameUnknown, NoRuleMatched, SkillUnknown, StepError
from jitprov.genesys.actual import ActualReader
from jitprov.genesys.belongings import Belongings
from jitprov.genesys.catalogue import Catalogue
from jitprov.genesys.holdings import Listed
from jitprov.genesys.naming import with_ids
from jitprov.rules.adding_up import in_words
from jitprov.rules.engine import Explanation, RuleBook
from jitprov.rules.given import Kind

# Under which name of the rules file a kind of change stands.
_KINDS: Mapping[What, Kind] = {
    "skill": "skills",
    "language": "languages",
    "division": "divisions",
    "role": "roles",
    "group": "groups",
    "queue": "queues",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something shall change: the rule, and the line at which the name first stands in the file; 0 without one."""

    rule: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """One agent against the rules.

    Attributes:
        listed: Who.
        difference: From what the rules want.
        wanted: With ids; None when no rule covers the agent, or the organization lacks what the rules name.
        actual: As it was looked at.
        reasons: One for each change.
        error: Why there is no wanted state.
    """

    listed: Listed
    difference: Difference = field(default_factory=Difference)
    wanted: WantedState | None = None
    actual: Actual | None = None
    reasons: tuple[Reason, ...] = ()
    error: StepError | None = None

    @property
    def user_id(self) -> str:
        """Of the agent."""
        return self.listed.profile.user_id


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares agents with the rules. Errors of reads are those of the clients.

    Attributes:
        book: The rules.
        catalogue: Knows the ids of skills.
        belongings: Knows all other ids, and the organization's utilization.
        reader: Reads what agents have.
        memories: Tells what jitprov gave, by user id.
    """

    book: RuleBook
    catalogue: Catalogue
    belongings: Belongings
    reader: ActualReader
    memories: Callable[[Sequence[str]], Mapping[str, Memory]]

    def compare(self, listed: Sequence[Listed], *, thorough: bool) -> list[Compared]:
        """Return each agent against the rules, in the order given.

        Args:
            listed: Who.
            thorough: See `ActualReader.read`.
        """
        told: dict[str, Explanation] = {}
        errors: dict[str, StepError] = {}
        for each in listed:
            try:
                told[each.profile.user_id] = self.book.explain(each.profile)
            except NoRuleMatched as error:
                errors[each.profile.user_id] = error
        wanted = self._with_ids(told, errors)
        actual = self.reader.read(listed, wanted, thorough=thorough)
        asks_shares = any(wish.utilization for wish in wanted.values())
        usual = self.belongings.utilization() if thorough and asks_shares else {}
        memories = self.memories(list(wanted))
        return [self._compared(each, told, wanted, actual, memories, errors, usual) for each in listed]

    def _with_ids(self, told: Mapping[str, Explanation], errors: dict[str, StepError]) -> dict[str, WantedState]:
        # Those whom the same rules cover have the same wanted state: it is resolved once.
        resolved: dict[WantedState, WantedState | StepError] = {}
        found = {}
        for user_id, explanation in told.items():
            wanted = explanation.wanted
            if wanted not in resolved:
                try:
                    resolved[wanted] = with_ids(wanted, self.catalogue, self.belongings)
                except (SkillUnknown, NameUnknown) as error:
                    resolved[wanted] = error
            made = resolved[wanted]
            if isinstance(made, StepError):
                errors[user_id] = made
            else:
                found[user_id] = made
        return found

    def _compared(
        self,
        each: Listed,
        told: Mapping[str, Explanation],
        wanted: Mapping[str, WantedState],
        actual: Mapping[str, Actual],
        memories: Mapping[str, Memory],
        errors: Mapping[str, StepError],
        usual: Mapping[str, MediaShare],
    ) -> Compared:
        user_id = each.profile.user_id
        if user_id in errors:
            return Compared(each, error=errors[user_id])
        too_much = _surplus(memories.get(user_id), wanted[user_id], each.profile)
        difference = differ(wanted[user_id], actual[user_id], usual, too_much)
        by = {(gift.what, gift.name): gift.by for gift in told[user_id].gifts}
        reasons = tuple(self._reason(change, by) for change in difference.changes)
        return Compared(each, difference, wanted[user_id], actual[user_id], reasons)

    def _reason(self, change: Change, by: Mapping[tuple[str, str], str]) -> Reason:
        if change.how == "take":
            return Reason(by.get(("mode", "replace"), "") or "no rule any more")
        if change.what in {"phone", "station"}:
            return Reason(by.get(("phone", "yes"), ""))
        rule = by.get((change.what, in_words(change.wanted)), "")
        name = getattr(change.wanted, "role", change.name) if change.what == "role" else change.name
        kind = _KINDS.get(change.what)
        return Reason(rule, self.book.named(kind).get(name, 0) if kind else 0)


def _surplus(memory: Memory | None, wanted: WantedState, profile: Profile) -> Given:
    return surplus(settled(memory or Memory(), profile), wanted)


def changes_with_reasons(compared: Iterable[Compared]) -> Iterable[tuple[Compared, Change, Reason]]:
    """Yield every change of several agents with its reason."""
    for each in compared:
        for change, reason in zip(each.difference.changes, each.reasons, strict=True):
            yield each, change, reason
