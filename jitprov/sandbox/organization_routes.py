"""Routes of what rarely changes: the organization, its limits, divisions, sites, phone and line bases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jitprov.sandbox.answers import Json, Reply, bad_field, not_found, page_of
from jitprov.sandbox.calls import Call, Handler
from jitprov.sandbox.phone_routes import wildcard
from jitprov.sandbox.telephony import EDGES

REQUEST_BYTES_MAX = 512_000


def get_organization(call: Call) -> Reply:
    """Return the organization; `defaultSiteId` among the rest."""
    world = call.world
    body: Json = {
        "id": world.organization_id,
        "name": "Sandbox Organization",
        "defaultLanguage": "en-US",
        "defaultCountryCode": "US",
        "domain": "sandbox.example.test",
        "version": 1,
        "state": "active",
        "defaultSiteId": next(iter(world.telephony.sites)),
        "voicemailEnabled": False,
        "productPlatform": "GenesysCloud",
        "selfUri": f"/api/v2/organizations/{world.organization_id}",
    }
    return Reply(200, body)


def get_limits(call: Call) -> Reply:
    """Return the limits in effect in one namespace."""
    namespace = call.ids["namespaceName"]
    if namespace != "platform.api":
        raise not_found("namespace", namespace)
    limit = call.world.options.limit_per_min
    values = {
        "client.credentials.token.rate.per.minute": limit,
        "token.rate.per.minute": limit,
        "org.user.rate.per.minute": 3000,
        "request.bytes.max": REQUEST_BYTES_MAX,
    }
    entities = [{"namespace": namespace, "key": key, "value": value} for key, value in values.items()]
    return Reply(200, {"entities": entities})


def list_divisions(call: Call) -> Reply:
    """Return a page of the divisions."""
    found = list(call.world.divisions.values())
    if call.query["id"] is not None:
        found = [division for division in found if division["id"] in call.query["id"]]
    if call.query["name"] is not None:
        test = wildcard(call.query["name"])
        found = [division for division in found if test(division["name"])]
    return page_of(found, call.query, call.path, dict)


def get_home_division(call: Call) -> Reply:
    """Return the home division."""
    return Reply(200, call.world.home_division)


def move_to_division(call: Call) -> Reply:
    """Move users to a division, all or none."""
    world = call.world
    division = world.division(call.ids["divisionId"])
    if call.ids["objectType"] != "USER":
        raise bad_field("objectType", "only USER is served here", "invalid.value")
    users = [world.user(user_id) for user_id in call.body]
    for user in users:
        user.division_id = division["id"]
    return Reply(200)


def _listing(pool: Callable[[Call], Mapping[str, Json]]) -> Handler:
    def handle(call: Call) -> Reply:
        found = sorted(pool(call).values(), key=lambda entity: str(entity["name"]))
        name = call.query.get("name")
        if name is not None:
            test = wildcard(name)
            found = [entity for entity in found if test(entity["name"])]
        return page_of(found, call.query, call.path, dict, counted=True)

    return handle


def _one(pool: Callable[[Call], Mapping[str, Json]], variable: str, what: str, code: str) -> Handler:
    def handle(call: Call) -> Reply:
        entity = pool(call).get(call.ids[variable])
        if entity is None:
            raise not_found(what, call.ids[variable], code)
        return Reply(200, entity)

    return handle


def _sites(call: Call) -> Mapping[str, Json]:
    return call.world.telephony.sites


def _line_bases(call: Call) -> Mapping[str, Json]:
    return call.world.telephony.line_bases


def _phone_bases(call: Call) -> Mapping[str, Json]:
    with_lines: Any = "lines" in (call.query.get("expand") or ()) or "phoneBaseId" in call.ids
    return {
        base.id: base.body
        | {"lines": base.line_bases if with_lines else [_line_reference(each) for each in base.line_bases]}
        for base in call.world.telephony.bases.values()
    }


def _line_reference(line_base: Json) -> Json:
    return {name: line_base[name] for name in ("id", "name", "selfUri")}


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/api/v2/organizations/me"): get_organization,
    ("GET", "/api/v2/organizations/limits/namespaces/{namespaceName}"): get_limits,
    ("GET", "/api/v2/authorization/divisions"): list_divisions,
    ("GET", "/api/v2/authorization/divisions/home"): get_home_division,
    ("POST", "/api/v2/authorization/divisions/{divisionId}/objects/{objectType}"): move_to_division,
    ("GET", f"{EDGES}/sites"): _listing(_sites),
    ("GET", f"{EDGES}/sites/{{siteId}}"): _one(_sites, "siteId", "site", "entity.not.found"),
    ("GET", f"{EDGES}/phonebasesettings"): _listing(_phone_bases),
    ("GET", f"{EDGES}/phonebasesettings/{{phoneBaseId}}"): _one(
        _phone_bases, "phoneBaseId", "phone base settings", "entity.not.found"
    ),
    ("GET", f"{EDGES}/linebasesettings"): _listing(_line_bases),
    ("GET", f"{EDGES}/linebasesettings/{{lineBaseId}}"): _one(
        _line_bases, "lineBaseId", "line base settings", "general.resource.not.found"
    ),
}
