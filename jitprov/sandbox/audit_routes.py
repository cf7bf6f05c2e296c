"""Routes of the audit service: the realtime query of the last 14 days, the query that is run and fetched, the services.

A record is found once `audit_lag_s` have passed since what it tells. What is asked for later finds it in its place.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

from jitprov.sandbox.answers import ApiError, Json, Reply, bad_field, not_found
from jitprov.sandbox.audits import KEPT_S, REALTIME_S, SPAN_MAX_S, Audit, AuditQuery
from jitprov.sandbox.calls import Call, Handler

Services = dict[str, dict[str, tuple[str, ...]]]

_ACTIONS = ("Create", "Update", "Delete", "Restore", "Activate", "Deactivate")
_DIRECTORY = "Directory"
_SERVICES: Services = {_DIRECTORY: {"User": _ACTIONS}}
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
    size, number = int(body.get("pageSize", 25)), int(body.get("pageNumber", 1))
    if not 1 <= size <= _PAGE_MAX or number < 1:
        raise bad_field("pageSize", f"1 to {_PAGE_MAX}", "invalid.value")
    if body.get("serviceName", _DIRECTORY) not in _realtime_services(call):
        raise bad_field("serviceName", "is not a service of realtime audits", "invalid.value")
    found = _found(call, body, kept_s=REALTIME_S)
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


def begin_query(call: Call) -> Reply:
    """Begin a query over all that is kept; it takes `audit_query_s`."""
    body: Json = call.body
    if body.get("serviceName", _DIRECTORY) not in _SERVICES:
        raise bad_field("serviceName", "is not a service of audits", "invalid.value")
    found = _found(call, body, kept_s=KEPT_S, span_max_s=SPAN_MAX_S)
    query = AuditQuery(call.world.ids.new("audit query"), call.now_s, body, tuple(found))
    call.world.audit_queries[query.id] = query
    return Reply(200, _status(call, query))


def get_query(call: Call) -> Reply:
    """Return how far a query is."""
    return Reply(200, _status(call, _query(call)))


def get_results(call: Call) -> Reply:
    """Return a page of what a query that has succeeded found; the cursor leads to the next one."""
    query = _query(call)
    if _state(call, query) != "Succeeded":
        raise ApiError(400, "query.not.complete", "the query has not succeeded yet", entity_id=query.id)
    size, first = int(call.query["pageSize"] or 25), _offset(call.query["cursor"])
    organization_id = call.world.organization_id
    answer: Json = {
        "id": query.id,
        "pageSize": size,
        "entities": [audit.to_json(organization_id) for audit in query.found[first : first + size]],
    }
    if first + size < len(query.found):
        answer["cursor"] = urlsafe_b64encode(str(first + size).encode()).decode()
    return Reply(200, answer)


def list_realtime_services(call: Call) -> Reply:
    """Return the services, entities and actions that the realtime query knows."""
    return Reply(200, _mapping(_realtime_services(call)))


def list_services(_: Call) -> Reply:
    """Return the services, entities and actions that can be asked for."""
    return Reply(200, _mapping(_SERVICES))


def _realtime_services(call: Call) -> Services:
    return _SERVICES if call.world.options.audits_in_realtime else {}


def _mapping(services: Services) -> Json:
    told = [
        {"name": service, "entities": [{"name": name, "actions": list(actions)} for name, actions in entities.items()]}
        for service, entities in services.items()
    ]
    return {"services": told}


def _found(call: Call, body: Json, *, kept_s: float, span_max_s: float | None = None) -> list[Audit]:
    begin_s, end_s = _interval(call, body["interval"], kept_s)
    if span_max_s is not None and end_s - begin_s > span_max_s:
        raise bad_field("interval", f"at most {span_max_s / 86_400:g} days", "invalid.interval")
    seen_s = call.now_s - call.world.options.audit_lag_s
    found = [
        audit
        for audit in call.world.audits
        if begin_s <= audit.at_s < end_s and audit.at_s <= seen_s and _fits(audit, body)
    ]
    if not any(sort["sortOrder"] == "ascending" for sort in body.get("sort", ())):
        found.reverse()
    return found


def _fits(audit: Audit, body: Json) -> bool:
    for each in body.get("filters", ()):
        held: Any = _TESTED.get(each["property"])
        if held is None or held(audit).casefold() != each["value"].casefold():
            return False
    return True


def _query(call: Call) -> AuditQuery:
    query = call.world.audit_queries.get(call.ids["transactionId"])
    if query is None:
        raise not_found("audit query", call.ids["transactionId"])
    return query


def _state(call: Call, query: AuditQuery) -> str:
    takes_s, past_s = call.world.options.audit_query_s, call.now_s - query.at_s
    if past_s >= takes_s:
        return "Succeeded"
    return "Running" if past_s * 2 >= takes_s else "Queued"


def _status(call: Call, query: AuditQuery) -> Json:
    asked: Json = {
        name: query.asked[name] for name in ("interval", "serviceName", "filters", "sort") if name in query.asked
    }
    return {"id": query.id, "state": _state(call, query), "startDate": call.world.clock.iso(query.at_s), **asked}


def _offset(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(urlsafe_b64decode(cursor.encode()))
    except ValueError:
        raise bad_field("cursor", "is none that was given", "invalid.value") from None


def _interval(call: Call, text: str, kept_s: float) -> tuple[float, float]:
    begin, _, end = text.partition("/")
    try:
        begin_s, end_s = (_sandbox_s(call, each) for each in (begin, end))
    except ValueError:
        raise bad_field("interval", "two instants with a slash between them", "invalid.interval") from None
    if end_s <= begin_s:
        raise bad_field("interval", "ends before it begins", "invalid.interval")
    if begin_s < call.now_s - kept_s - 60:
        kept = f"audits are kept for {kept_s / 86_400:g} days here"
        raise ApiError(400, "invalid.interval", kept, field_name="interval")
    return begin_s, end_s


def _sandbox_s(call: Call, text: str) -> float:
    instant = datetime.fromisoformat(text)
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return call.world.clock.at_s(aware.timestamp())


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/api/v2/audits/query"): begin_query,
    ("GET", "/api/v2/audits/query/servicemapping"): list_services,
    ("GET", "/api/v2/audits/query/{transactionId}"): get_query,
    ("GET", "/api/v2/audits/query/{transactionId}/results"): get_results,
    ("POST", "/api/v2/audits/query/realtime"): query_realtime,
    ("GET", "/api/v2/audits/query/realtime/servicemapping"): list_realtime_services,
}
