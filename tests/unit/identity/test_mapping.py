"""Mapping files: both forms, their faults, and what they change in the comparison."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jitprov.errors import ConfigurationError
from jitprov.identity.assertion import Assertion, Attribute
from jitprov.identity.claims import WARNING, IdentityProvider, claims_for
from jitprov.identity.findings import find_mismatches
from jitprov.identity.mapping import ACTED_ON, Expectations, read_mapping

NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)
GIVEN_NAME = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"


def an_assertion(**sent: tuple[str, ...] | str) -> Assertion:
    """Return a signed assertion without times and addresses that sends these attributes; `__` stands for `://`."""
    attributes = tuple(
        Attribute(name.replace("__", "://"), "", (values,) if isinstance(values, str) else values)
        for name, values in sent.items()
    )
    return Assertion(
        "Response", 1, 0, ("Response",), "Success", "", "", "name", "", attributes, (), (), None, None, None, None, ()
    )


def codes(assertion: Assertion, text: str) -> list[str]:
    found = find_mismatches(assertion, read_mapping(text.encode(), "mapping.yaml"), now=NINE, exact=True)
    return [finding.code for finding in found if finding.severity != "note"]


def test_lines_of_field_and_attribute() -> None:
    """`Field: attribute` lines are read with URIs and all; each is required."""
    read = read_mapping(f"E-mail: email\nGiven Name: {GIVEN_NAME}\n".encode(), "m")

    assert [(field.field, field.attribute, field.required) for field in read.fields] == [
        ("E-mail", "email", True),
        ("Given Name", GIVEN_NAME, True),
    ]


def test_a_field_may_be_spared() -> None:
    """What is not required may be left out, may hold several values where that is said, and must not be empty."""
    text = "fields:\n  roles: {attribute: roles, required: false, several: true}\n"

    assert codes(an_assertion(), text) == []
    assert codes(an_assertion(roles=("a", "b")), text) == []
    assert codes(an_assertion(roles=""), text) == ["empty"]


@pytest.mark.parametrize(
    ("sent", "wanted", "code"),
    [
        ("givenname", GIVEN_NAME, "short_name_for_uri"),
        ("firstName", GIVEN_NAME, "short_name_for_uri"),
        ("https://schemas.example.test/claims/givenname", GIVEN_NAME, "namespace"),
        (GIVEN_NAME.upper(), GIVEN_NAME, "case"),
        ("mail", "email", "other_name"),
        ("urn:oid:2.5.4.4", "surname", "uri_for_short_name"),
        ("emial", "email", "missing"),
    ],
)
def test_the_likely_cause(sent: str, wanted: str, code: str) -> None:
    """Another namespace, a short name for a URI, a synonym, a slip of the pen: each is told from the others."""
    assertion = an_assertion(**{sent: "robin@example.test"})

    assert codes(assertion, f"field: {wanted}") == [code]


def test_the_nearest_name_is_offered() -> None:
    """Where no cause is known, the name that looks most like the wanted one is named."""
    (finding,) = find_mismatches(an_assertion(emial="x"), Expectations((ACTED_ON[1],)), now=NINE, exact=True)[:1]

    assert finding.cause == "'email' is not sent; nearest: 'emial'"


def test_the_name_identifier_is_a_field_too() -> None:
    """A field may be the subject's NameID."""
    assert codes(an_assertion(), "id: NameID") == []


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("fields:\n  email:\n    atribute: email\n", 3, "atribute"),
        ("fields:\n  email: email\nisuer: x\n", 3, "isuer"),
        ("email: 7\n", 1, "email"),
        ("- email\n", 1, "Field: attribute"),
        ("fields: {}\n", 1, "fields"),
        ("email: a\nemail: b\n", 2, "twice"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, line: int, said: str) -> None:
    """A mapping that cannot be used names file, line and place."""
    with pytest.raises(ConfigurationError) as caught:
        read_mapping(text.encode(), "mapping.yaml")

    assert f"mapping.yaml:{line}" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("provider", list(IdentityProvider))
def test_a_template_tells_what_is_acted_on(provider: IdentityProvider) -> None:
    """Each template names first what Genesys Cloud acts on, exactly, then where all else must come from."""
    claims = claims_for(provider)
    acted_on = [claim.name for claim in claims if claim.acted_on]

    assert acted_on == ["NameID", "OrganizationName", "email", "ServiceName"]
    assert all(bool(claim.acted_on) != bool(claim.instead) for claim in claims)
    assert [claim.purpose for claim in claims[4:]] == ["given name", "surname", "roles", "location", "manager"]
    assert all(claim.source for claim in claims)
    assert "creates nobody" in WARNING
