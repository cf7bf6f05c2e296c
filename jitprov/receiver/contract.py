"""What `/openapi.json` says beyond what FastAPI derives: the webhook, whose body is read as a stream, and refusals."""

from __future__ import annotations

from typing import Any

_ID = {"type": "string", "format": "uuid"}
_TEXT = {"type": "string", "minLength": 1}
_ENTITY = {"type": "object", "required": ["id"], "properties": {"id": _ID}}


def _event(detail: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": ["detail"], "properties": {"detail": {"type": "object", **detail}}}


_AUDIT = _event(
    {
        "required": ["eventBody"],
        "properties": {
            "topicName": {"type": "string", "pattern": "^v2\\.audits\\.entitytype\\."},
            "eventBody": {
                "type": "object",
                "required": ["id", "action", "entityType", "entity"],
                "properties": {
                    "id": _ID,
                    "action": {**_TEXT, "examples": ["Create"]},
                    "entityType": {**_TEXT, "examples": ["User"]},
                    "entity": _ENTITY,
                    "clientId": {"type": "object", "properties": {"id": {"type": "string"}}},
                },
            },
        },
    }
)
_USERS_TOPIC = _event(
    {
        "required": ["topicName", "eventBody"],
        "properties": {
            "topicName": {"type": "string", "pattern": "^v2\\.users\\.[0-9a-f-]{36}$"},
            "eventBody": {
                "type": "object",
                "required": ["id", "action"],
                "properties": {"id": _ID, "action": {**_TEXT, "examples": ["create"]}},
            },
        },
    }
)
_REDUCED = _event(
    {
        "required": ["action", "entity"],
        "properties": {
            "action": {**_TEXT, "examples": ["Create"]},
            "entityType": {**_TEXT, "examples": ["User"]},
            "entity": _ENTITY,
        },
        "not": {"required": ["eventBody"]},
    }
)
_EVENT = {"anyOf": [_AUDIT, _USERS_TOPIC, _REDUCED]}
_REASON = {
    "type": "object",
    "required": ["field", "cause", "remedy"],
    "properties": {name: {"type": "string"} for name in ("field", "cause", "remedy")},
}
_REFUSED = {
    "type": "array",
    "description": "Only for arrays: the events that were wrong, by their place.",
    "items": {**_REASON, "properties": {"index": {"type": "integer"}, **_REASON["properties"]}},  # type: ignore[dict-item]  # a plain dict above
}
_TAKEN = {
    "type": "object",
    "required": ["accepted", "ignored"],
    "properties": {
        "accepted": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["provisioning_id", "task_id", "user_id", "duplicate"],
                "properties": {
                    "provisioning_id": _ID,
                    "task_id": _ID,
                    "user_id": _ID,
                    "duplicate": {"type": "boolean"},
                },
            },
        },
        "ignored": {"type": "integer"},
        "refused": _REFUSED,
    },
}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": _REASON, "refused": _REFUSED}}


_REFUSALS_OF_ROOMS = {
    "400": "A parameter means nothing here.",
    "401": "No operator key.",
    "403": "Not with this key, or asked by another site's page.",
    "404": "Nothing is known by this id.",
    "409": "Not as it stands.",
    "429": "No operator key, too often from one source; ask with one that is after Retry-After.",
    "503": "A part is away; ask again after Retry-After.",
}


def complete(paths: dict[str, Any]) -> None:
    """Put into a document's paths what FastAPI cannot derive: the webhook, and what every room may answer.

    Args:
        paths: Of the derived document; changed in place.
    """
    paths["/metrics"]["get"]["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    for path, operations in paths.items():
        if path in {"/metrics", "/healthz", "/readyz"}:
            continue
        for operation in operations.values():
            for status, description in _REFUSALS_OF_ROOMS.items():
                operation["responses"].setdefault(status, {"description": description})
    paths["/events"] = EVENTS_PATH


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


EVENTS_PATH: dict[str, Any] = {
    "post": {
        "operationId": "hand_in_events",
        "summary": "Hand in one event, or an array of up to 1,000",
        "description": "Needs a webhook key: in the header that JITPROV_WEBHOOK_HEADER names, as a bearer token, or "
        "as the password of Basic.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [_EVENT, {"type": "array", "minItems": 1, "maxItems": 1000, "items": _EVENT}]}
                }
            },
        },
        "responses": {
            "200": _answer("Valid, and nothing to do.", _TAKEN),
            "202": _answer("Written durably.", _TAKEN),
            "400": _answer("Nothing valid in it; kept in quarantine without its text.", _ERROR),
            "401": _answer("No active webhook key.", _ERROR),
            "408": _answer("The body did not come in time.", _ERROR),
            "413": _answer("The body is too large.", _ERROR),
            "415": _answer("Not JSON as UTF-8, or compressed.", _ERROR),
            "429": _answer(
                "No active webhook key, too often from one source; send one that is after Retry-After.", _ERROR
            ),
            "503": _answer("The ledger is away or too much waits; send it again after Retry-After.", _ERROR),
        },
    }
}
