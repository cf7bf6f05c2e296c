"""Routes of the audit service: the realtime query of the last 14 days, and which services it knows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jitprov.sandbox.answers import ApiError, Json, Reply, bad_field
from jitprov.sandbox.audits import KEPT_S, Audit
from jitprov.sandbox.calls import Call, Handler

_ACTIONS = ("Create", "Update", "Delete", "Restore", "Activate", "Deactivate")
_SERVICES = {"Directory": {"User": _ACTIONS}}
_PAGE_MAX = 500
_TESTED = {
    "Action": lambda audit: audit.action,
    "EntityType": lambda _: "User",
    "EntityId": lambda audit: audit.user_id,
    "ClientId": lambda audit: audit.client_id,
}


def query_realtime(call: Call) -> Reply:
    """Return a page of the audits in an interval, newest first unless asked otherwise."""
    body: Json = call.body
    begin_s, end_s = _interval(call, body["interval"])
    size, number = int(body.get("pageSize", 25)), int(body.get("pageNumber", 1))
    if not 1 <= size <= _PAGE_MAX or number < 1:
        raise bad_field("pageSize", f"1 to {_PAGE_MAX}", "invalid.value")
    if body.get("serviceName", "Directory") not in _SERVICES:
        raise bad_field("serviceName", "is not a service of realtime audits", "invalid.value")
    found = [audit for audit in call.world.audits if begin_s <= audit.at_s < end_s and _fits(audit, body)]
    if not any(sort["sortOrder"] == "ascending" for sort in body.get("sort", ())):
        found.reverse()
    first = (number - 1) * size
    organization_id = call.world.organization_id
    answer: Json = {
        "entities": [audit.to_json(organization_id) for audit in found[first : first + size]],
        "pageSize": size,
        "pageNumber": number,
        "total": len(found),
        "pageCount": -(-len(found) // size),
    }
    return Reply(200, answer)


def list_services(_: Call) -> Reply:
    """Return the services, entities and actions that can be asked for."""
    services = [
        {"name": service, "entities": [{"name": name, "actions": list(actions)} for name, actions in entities.items()]}
        for service, entities in _SERVICES.items()
    ]
    return Reply(200, {"services": services})


def _fits(audit: Audit, body: Json) -> bool:
    for each in body.get("filters", ()):
        held: Any = _TESTED.get(each["property"])
        if held is None or held(audit).casefold() != each["value"].casefold():
            return False
    return True


def _interval(call: Call, text: str) -> tuple[float, float]:
    begin, _, end = text.partition("/")
    try:
        begin_s, end_s = (_sandbox_s(call, each) for each in (begin, end))
    except ValueError:
        raise bad_field("interval", "two instants with a slash between them", "invalid.interval") from None
    if end_s <= begin_s:
        raise bad_field("interval", "ends before it begins", "invalid.interval")
    if begin_s < call.now_s - KEPT_S - 60:
        raise ApiError(400, "invalid.interval", "realtime audits are kept for 14 days", field_name="interval")
    return begin_s, end_s


def _sandbox_s(call: Call, text: str) -> float:
    instant = datetime.fromisoformat(text)
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return call.world.clock.at_s(aware.timestamp())


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/api/v2/audits/query/realtime"): query_realtime,
    ("GET", "/api/v2/audits/query/realtime/servicemapping"): list_services,
}
