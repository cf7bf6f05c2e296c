"""What `/openapi.json` says of `POST /events`, which FastAPI cannot derive: the body is read as a stream."""

from __future__ import annotations

from typing import Any

_ID = {"type": "string", "format": "uuid"}
_REDUCED = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "type": "object",
            "required": ["action", "entity"],
            "properties": {
                "action": {"type": "string", "examples": ["Create"]},
                "entityType": {"type": "string", "examples": ["User"]},
                "entity": {"type": "object", "required": ["id"], "properties": {"id": _ID}},
            },
        }
    },
}
_ENVELOPE = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "type": "object",
            "required": ["eventBody"],
            "properties": {
                "topicName": {"type": "string"},
                "eventBody": {
                    "type": "object",
                    "required": ["action", "entityType", "entity"],
                    "properties": {
                        "id": _ID,
                        "action": {"type": "string"},
                        "entityType": {"type": "string"},
                        "entity": {"type": "object", "required": ["id"], "properties": {"id": _ID}},
                        "clientId": {"type": "object", "properties": {"id": {"type": "string"}}},
                    },
                },
            },
        }
    },
}
_EVENT = {"anyOf": [_ENVELOPE, _REDUCED]}
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
                    "schema": {"anyOf": [_EVENT, {"type": "array", "maxItems": 1000, "items": _EVENT}]}
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
