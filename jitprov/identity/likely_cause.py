"""Which sent attribute was probably meant to be the wanted one, and how it differs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jitprov.identity.assertion import Attribute


@dataclass(frozen=True, slots=True)
class Likely:
    """The attribute that was probably meant.

    Attributes:
        code: `case`, `spaces`, `friendly_name`, `uri_for_short_name`, `short_name_for_uri`, `namespace`, `other_name`.
        sent: Its name as sent.
        why: How it differs, for people.
    """

    code: str
    sent: str
    why: str


def likely_cause(wanted: str, sent: Sequence[Attribute]) -> Likely | None:
    """Return what was probably meant by an attribute that is not sent; None when nothing looks like it."""
    for code, alike, why in _LIKELY:
        found = next((attribute for attribute in sent if alike(wanted, attribute)), None)
        if found:
            return Likely(code, found.name, why)
    return None


# Names that identity providers give to the same thing, by the last part of the name, case aside.
_SYNONYMS = (
    frozenset({"email", "emailaddress", "mail", "user.email", "user.mail", "0.9.2342.19200300.100.1.3"}),
    frozenset({"organizationname", "organization", "orgname", "company", "companyname", "organisationname"}),
    frozenset({"servicename", "service"}),
    frozenset({"givenname", "firstname", "first_name", "user.firstname", "2.5.4.42"}),
    frozenset({"surname", "lastname", "last_name", "familyname", "sn", "user.lastname", "2.5.4.4"}),
    frozenset({"displayname", "name", "cn", "fullname", "2.16.840.1.113730.3.1.241", "2.5.4.3"}),
    frozenset({"roles", "role", "groups", "memberof"}),
    frozenset({"department", "dept", "ou", "2.5.4.11"}),
    frozenset({"title", "jobtitle", "2.5.4.12"}),
    frozenset({"manager", "manageremail", "0.9.2342.19200300.100.1.10"}),
)


def _last(name: str) -> str:
    return name.rstrip("/").replace("#", "/").rpartition("/")[2].rpartition(":")[2].casefold()


def _is_uri(name: str) -> bool:
    return "://" in name or name.lower().startswith("urn:")


def _same_thing(wanted: str, found: str) -> bool:
    ends = {_last(wanted), _last(found)}
    return len(ends) == 1 or any(ends <= names for names in _SYNONYMS)


_LIKELY: tuple[tuple[str, Callable[[str, Attribute], bool], str], ...] = (
    ("case", lambda wanted, sent: wanted.casefold() == sent.name.casefold(), "names are compared with case"),
    (
        "spaces",
        lambda wanted, sent: wanted.casefold() == sent.name.strip().casefold(),
        "its name has a space around it",
    ),
    (
        "friendly_name",
        lambda wanted, sent: wanted.casefold() == sent.friendly_name.casefold(),
        "that is its FriendlyName only, which nobody reads",
    ),
    (
        "uri_for_short_name",
        lambda wanted, sent: not _is_uri(wanted) and _is_uri(sent.name) and _same_thing(wanted, sent.name),
        "a URI where a short name is expected (in Entra: clear the claim's namespace)",
    ),
    (
        "short_name_for_uri",
        lambda wanted, sent: _is_uri(wanted) and not _is_uri(sent.name) and _same_thing(wanted, sent.name),
        "a short name where a URI is expected",
    ),
    (
        "namespace",
        lambda wanted, sent: _is_uri(wanted) and _is_uri(sent.name) and _same_thing(wanted, sent.name),
        "the same name in another namespace",
    ),
    ("other_name", lambda wanted, sent: _same_thing(wanted, sent.name), "the same thing under another name"),
)
