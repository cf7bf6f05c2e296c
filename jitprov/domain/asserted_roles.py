"""The roles that agents hold against those that the identity provider asserts. Pure.

Where the provider's roles overwrite those of Genesys Cloud, what it does not assert goes, whoever granted it. Single
sign-on by SAML takes no roles; SCIM does, at its next sync, and so may something of an organization's own at sign-in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

When = Literal["sign_in", "sync"] | None


class Verdict(StrEnum):
    """What is wrong with a role."""

    GOES = "goes"  # held, not asserted
    MISSING = "missing"  # asserted, not held
    UNSTABLE = "unstable"  # wanted by the rules, not asserted: given here, and taken again there
    UNKNOWN = "unknown"  # the export does not name the agent


@dataclass(frozen=True, slots=True)
class RoleFinding:
    """One role of one agent that is not as the identity provider asserts.

    Attributes:
        user_id: Of the agent.
        role: Its name; empty for `UNKNOWN`.
        verdict: What is wrong.
        text: A sentence that names role, agent, when, and what to do.
    """

    user_id: str
    role: str
    verdict: Verdict
    text: str


_WHEN = {
    "sign_in": "at the agent's next sign-in",
    "sync": "at the identity provider's next sync",
    None: "when the identity provider's roles are written next (its SCIM sync, or a sign-in of yours that sets roles; "
    "Genesys' own SAML sign-on sets none)",
}


def compare_roles(
    user_id: str,
    who: str,
    *,
    held: Iterable[str],
    asserted: Iterable[str] | None,
    wanted: Iterable[str] = (),
    written: When = None,
) -> list[RoleFinding]:
    """Return what is wrong with an agent's roles.

    Args:
        user_id: Of the agent.
        who: What the agent is called, for the sentences.
        held: Names of the roles now held.
        asserted: Names of those that the identity provider asserts; None when its export does not name the agent.
        wanted: Names of those that the rules give.
        written: When its roles overwrite what agents hold.
    """
    holds, wants = set(held), set(wanted)
    if asserted is None:
        text = (
            f"{who} is not in the export: nothing is known to be asserted. Export all users, or look the agent up there"
        )
        return [RoleFinding(user_id, "", Verdict.UNKNOWN, text)]
    asserts = set(asserted)
    when = _WHEN[written]
    found = [
        RoleFinding(
            user_id,
            role,
            Verdict.UNSTABLE if role in wants else Verdict.GOES,
            f"{role} on {who} is not in the assertion: it goes {when}; ask for it in the identity provider"
            + (", or take it out of the rules" if role in wants else ", or let it go"),
        )
        for role in sorted(holds - asserts)
    ]
    found += [
        RoleFinding(
            user_id,
            role,
            Verdict.UNSTABLE,
            f"{role} is wanted by the rules for {who} and is not in the assertion: once given, it goes {when}; ask for "
            "it in the identity provider, or take it out of the rules",
        )
        for role in sorted(wants - holds - asserts)
    ]
    found += [
        RoleFinding(
            user_id,
            role,
            Verdict.MISSING,
            f"{role} is asserted of {who} and not held: it comes {when}, unless no role of Genesys Cloud is named "
            "exactly so (case counts)",
        )
        for role in sorted(asserts - holds - wants)
    ]
    return found
