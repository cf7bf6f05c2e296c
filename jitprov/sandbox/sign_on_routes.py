"""Routes of identity providers for single sign-on: what an organization has set up."""

from __future__ import annotations

from jitprov.sandbox.answers import Json, Reply, not_found
from jitprov.sandbox.calls import Call, Handler


def list_providers(call: Call) -> Reply:
    """Return all identity providers."""
    found = list(call.world.identity_providers.values())
    return Reply(200, {"entities": found, "pageSize": 25, "pageNumber": 1, "total": len(found), "pageCount": 1})


def get_provider(call: Call) -> Reply:
    """Return one identity provider."""
    provider = call.world.identity_providers.get(call.ids["providerId"])
    if provider is None:
        raise not_found("identity provider", call.ids["providerId"])
    return Reply(200, provider)


def create_provider(call: Call) -> Reply:
    """Take in an identity provider."""
    provider_id = call.world.ids.new("identity provider")
    provider: Json = call.body | {"id": provider_id, "selfUri": f"/api/v2/identityproviders/{provider_id}"}
    call.world.identity_providers[provider_id] = provider
    return Reply(200, provider)


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/api/v2/identityproviders"): list_providers,
    ("POST", "/api/v2/identityproviders"): create_provider,
    ("GET", "/api/v2/identityproviders/{providerId}"): get_provider,
}
