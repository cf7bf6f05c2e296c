"""The claims to configure in an identity provider, and what Genesys Cloud does with each. Facts, no logic.

Source: FACTS section 5: single sign-on acts on `OrganizationName`, `email` and, where sent, `ServiceName`, with case;
the user must exist before the first sign-in; no attribute creates or changes one. Section 1.3: what SCIM can set.
The sources are the providers' own words for a person's fields, as their consoles show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

WARNING = (
    "Single sign-on lets a person in whom Genesys Cloud knows already, by e-mail. It creates nobody (no setting of the "
    "API switches that on), and it does not set name, roles, location, manager, skills or phone. Users come by SCIM or "
    "the API; skills and phone come by jitprov."
)


class IdentityProvider(StrEnum):
    """Whose words the sources are told in."""

    ENTRA = "entra"
    OKTA = "okta"
    PING = "ping"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim to configure.

    Attributes:
        purpose: What it says of the person.
        name: Its exact name in the assertion; case counts.
        source: The provider's field that feeds it.
        acted_on: What Genesys Cloud does with it at sign-in; empty when nothing.
        instead: Where the value has to come from, since the sign-in ignores it; empty when it does not.
    """

    purpose: str
    name: str
    source: str
    acted_on: str
    instead: str = ""


# In the order of `_PURPOSES`.
_SOURCES: dict[IdentityProvider, tuple[str, ...]] = {
    IdentityProvider.ENTRA: (
        "user.mail, format Email address",
        "constant: your organization's short name",
        "user.mail, namespace cleared",
        "constant, only if wanted",
        "user.givenname",
        "user.surname",
        "user.assignedroles",
        "user.officelocation",
        "user.manager (by a claims mapping policy)",
    ),
    IdentityProvider.OKTA: (
        "user.email, format EmailAddress",
        "constant: your organization's short name",
        "user.email",
        "constant, only if wanted",
        "user.firstName",
        "user.lastName",
        "a group attribute statement",
        "user.city, or a profile field of your own",
        "user.manager",
    ),
    IdentityProvider.PING: (
        "Email Address, format emailAddress",
        "static: your organization's short name",
        "Email Address",
        "static, only if wanted",
        "Given Name",
        "Family Name",
        "Group Names",
        "Locality, or an attribute of your own",
        "an attribute of your own",
    ),
    IdentityProvider.GENERIC: (
        "the person's e-mail address, format emailAddress",
        "constant: your organization's short name",
        "the person's e-mail address",
        "constant, only if wanted",
        "the person's given name",
        "the person's family name",
        "the person's roles or groups",
        "the person's location",
        "the manager's e-mail address",
    ),
}

_PURPOSES: tuple[tuple[str, str, str, str], ...] = (
    ("name identifier", "NameID", "identifies the session; the user is found by email", ""),
    ("organization", "OrganizationName", "chooses the organization", ""),
    ("e-mail", "email", "finds the user, who must exist", ""),
    ("service", "ServiceName", "chooses where to land; may be left out", ""),
    ("given name", "givenName", "", "SCIM name.givenName"),
    ("surname", "surname", "", "SCIM name.familyName"),
    ("roles", "roles", "", "SCIM roles of the Genesys extension, or the rules' roles"),
    ("location", "location", "", "the API's user locations; SCIM has none"),
    ("manager", "manager", "", "SCIM manager of the enterprise extension"),
)


def claims_for(provider: IdentityProvider) -> tuple[Claim, ...]:
    """Return the claims in the order to configure them: those acted on first."""
    return tuple(
        Claim(purpose, name, source, acted_on, instead)
        for (purpose, name, acted_on, instead), source in zip(_PURPOSES, _SOURCES[provider], strict=True)
    )
