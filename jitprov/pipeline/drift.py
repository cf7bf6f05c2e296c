"""How agents have drifted: from the rules, and from what the identity provider asserts. Sends nothing but reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jitprov.domain.agent import Profile
from jitprov.domain.asserted_roles import RoleFinding, Verdict, compare_roles
from jitprov.pipeline.comparison import Compared, Comparison
from jitprov.rules.engine import RuleBook
from jitprov.wiring import Services

Asserted = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Drift:
    """What was found.

    Attributes:
        compared: Everybody in scope, against the rules.
        roles: Roles against what the identity provider asserts.
        calls: Of the API, that it took to find out.
    """

    compared: Sequence[Compared]
    roles: Sequence[RoleFinding]
    calls: int

    @property
    def differing(self) -> list[Compared]:
        """Those who are not as the rules want; those whom no rule covers are not among them."""
        return [each for each in self.compared if each.difference]

    @property
    def doubled(self) -> list[Compared]:
        """Those who have more than one WebRTC phone."""
        return [each for each in self.compared if each.actual and len(each.actual.phones or ()) > 1]

    @property
    def unjudged(self) -> list[Compared]:
        """Those who have no wanted state."""
        return [each for each in self.compared if each.error]

    def __bool__(self) -> bool:
        """Whether anything is not as it should be."""
        return bool(self.differing or self.doubled or self.unjudged or self.roles)

    def counts(self) -> dict[str, int]:
        """Return how much of what was found, for people and metrics; no names."""
        changes = Counter(
            "surplus" if change.how == "take" else "missing"
            for each in self.differing
            for change in each.difference.changes
        )
        verdicts = Counter(finding.verdict for finding in self.roles)
        return {
            "agents": len(self.compared),
            "differ": len(self.differing),
            "missing": changes["missing"],
            "surplus": changes["surplus"],
            "two_phones": len(self.doubled),
            "no_wanted_state": len(self.unjudged),
            "roles_that_go": verdicts[Verdict.GOES] + verdicts[Verdict.UNSTABLE],
            "roles_missing": verdicts[Verdict.MISSING],
            "not_in_export": verdicts[Verdict.UNKNOWN],
        }

    @property
    def calls_per_1000(self) -> int:
        """How many calls a thousand agents take at this rate."""
        return round(self.calls * 1000 / len(self.compared)) if self.compared else 0


def everybody(kept: Services) -> Drift:
    """Compare every active agent with the rules in force, without asking about single agents.

    Raises:
        StepError: The organization cannot be read now.
    """
    book, before = kept.rules.in_force(), kept.holdings.calls_made
    comparison = Comparison(book, kept.catalogue, kept.belongings, kept.actual_reader(), kept.ledger.memories)
    compared = comparison.compare(list(kept.holdings.active_users()), thorough=False)
    return Drift(compared, role_findings(compared, book), kept.holdings.calls_made - before)


def role_findings(compared: Sequence[Compared], book: RuleBook, asserted: Asserted | None = None) -> list[RoleFinding]:
    """Return what is wrong with roles.

    Args:
        compared: Who, with the roles that they hold.
        book: Tells which roles are expected of whom, and when they overwrite what agents hold.
        asserted: What the identity provider's export says, by user id or address in lower case; in place of what the
            rules expect.
    """
    found: list[RoleFinding] = []
    for each in compared:
        profile = each.listed.profile
        expected = book.expected_roles(profile) if asserted is None else _asserted_of(profile, asserted)
        if expected is None and asserted is None:
            continue  # the rules say nothing about this agent
        found += compare_roles(
            each.user_id,
            profile.name or each.user_id,
            held=each.listed.roles,
            asserted=expected,
            wanted=[grant.role for grant in each.wanted.roles] if each.wanted else [],
            written=book.roles_written,
        )
    return found


def _asserted_of(profile: Profile, asserted: Asserted) -> frozenset[str] | None:
    by_id = asserted.get(profile.user_id)
    return by_id if by_id is not None else asserted.get(profile.email.strip().casefold())
