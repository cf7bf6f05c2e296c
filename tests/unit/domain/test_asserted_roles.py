"""Roles held against roles asserted."""

from __future__ import annotations

from jitprov.domain.asserted_roles import Verdict, compare_roles


def test_a_role_that_is_not_asserted_goes() -> None:
    """The sentence names role, agent, when, and whom to ask."""
    [found] = compare_roles("id", "Robin", held=["Agent", "Quality Evaluator"], asserted=["Agent"], written="sign_in")

    assert (found.role, found.verdict) == ("Quality Evaluator", Verdict.GOES)
    assert found.text == (
        "Quality Evaluator on Robin is not in the assertion: it goes at the agent's next sign-in; "
        "ask for it in the identity provider, or let it go"
    )


def test_nobody_is_told_of_a_sign_in_that_takes_nothing() -> None:
    """Unless the rules say when roles are written, the sentence does not claim that a SAML sign-in takes them."""
    [found] = compare_roles("id", "Robin", held=["Agent"], asserted=[])

    assert "Genesys' own SAML sign-on sets none" in found.text


def test_every_other_way_to_be_wrong() -> None:
    """Wanted here and not asserted is unstable, held or not; asserted and not held is missing; equal is fine."""
    found = compare_roles("id", "Robin", held=["A", "B"], asserted=["A", "D"], wanted=["B", "C"], written="sync")

    assert [(each.role, each.verdict) for each in found] == [
        ("B", Verdict.UNSTABLE),
        ("C", Verdict.UNSTABLE),
        ("D", Verdict.MISSING),
    ]
    assert compare_roles("id", "Robin", held=["A"], asserted=["A"], wanted=["A"]) == []
    assert [each.verdict for each in compare_roles("id", "Robin", held=["A"], asserted=None)] == [Verdict.UNKNOWN]
