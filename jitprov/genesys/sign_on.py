"""Identity providers as Genesys Cloud has them set up: what it expects of an assertion. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jitprov.domain.skills import nearest_names
from jitprov.errors import NameUnknown
from jitprov.genesys.payloads import entities_of, pages_of, text_of
from jitprov.genesys.transport import Transport
from jitprov.genesys.understanding import understood

_PER_PAGE = 100
_PAGES_MAX = 10  # an organization may have 30 of them


@dataclass(frozen=True, slots=True)
class Provider:
    """One identity provider; what is not set is empty.

    Attributes:
        name: As its administrator named it.
        disabled: Whether nobody can sign in by it.
        issuer: The identity provider's own id, which an assertion's issuer must be.
        audience: The relying party's id, which an assertion's audience must be.
        name_id_format: URN.
    """

    provider_id: str
    name: str
    disabled: bool
    issuer: str
    audience: str
    name_id_format: str


class SignOnClient:
    """Reads identity providers. Errors are those of `Transport.request` unless said."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def find(self, name_or_id: str) -> Provider:
        """Return an identity provider by exact name or id, case aside.

        The API models have no mapping of attributes: what an assertion's attributes must be named, no read can tell.

        Raises:
            NameUnknown: Names those there are.

        Source: GET /api/v2/identityproviders, sso:provider:view. Cost: 1.
        """
        known: list[Provider] = []
        for number in range(1, _PAGES_MAX + 1):
            content = self._transport.request(
                "GET", "/api/v2/identityproviders", safe=True, params={"pageSize": _PER_PAGE, "pageNumber": number}
            )
            known += understood(lambda content=content: [_parsed(each) for each in entities_of(content)])  # type: ignore[misc]
            if number >= understood(lambda content=content: pages_of(content)):  # type: ignore[misc]
                break
        wanted = name_or_id.strip().casefold()
        for provider in known:
            if wanted in {provider.name.casefold(), provider.provider_id.casefold()}:
                return provider
        names = [provider.name for provider in known]
        near = nearest_names(name_or_id, names) or names[:10]
        hint = f"; there are: {', '.join(map(repr, near))}" if near else "; there are none"
        raise NameUnknown(f"no identity provider {name_or_id!r}{hint}", remedy="Name one of them")


def _parsed(entity: Mapping[str, Any]) -> Provider:
    """Return a provider. Source: models SAMLProvider, CustomProvider, GenericSAML."""

    def said(field: str) -> str:
        return str(entity.get(field) or "")

    return Provider(
        provider_id=text_of(entity, "id"),
        name=said("name") or said("providerName"),
        disabled=entity.get("disabled") is True,
        issuer=said("issuerURI"),
        audience=said("relyingPartyIdentifier"),
        name_id_format=said("nameIdentifierFormat"),
    )
