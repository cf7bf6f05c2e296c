"""What a route gives back: a reply, an API error, a page of a listing.

Knows the shapes of ErrorBody and of the entity listings; sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

Json = dict[str, Any]
Entity = TypeVar("Entity")


@dataclass(slots=True)
class Reply:
    """An answer before it is written.

    Attributes:
        status: HTTP status.
        body: JSON value; None writes an empty body.
        headers: Headers besides those every answer carries.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """The API refuses: becomes an ErrorBody of this status and code."""

    def __init__(  # noqa: PLR0913  the parts of an ErrorBody
        self,
        status: int,
        code: str,
        message: str,
        *,
        params: Mapping[str, object] | None = None,
        field_name: str | None = None,
        entity_id: str | None = None,
        limit: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the parts.

        Args:
            status: HTTP status, 4xx or 5xx.
            code: Dotted error code.
            message: Text for people.
            params: Values the message was made of.
            field_name: The field at fault, dotted path.
            entity_id: The entity at fault.
            limit: The limit that was passed: namespace, key, value.
            headers: Headers of the answer.
        """
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.params = {name: str(value) for name, value in (params or {}).items()}
        self.field_name = field_name
        self.entity_id = entity_id
        self.limit = limit
        self.headers = dict(headers or {})

    def reply(self, context_id: str) -> Reply:
        """Return the answer; `context_id` is the request's correlation id."""
        body: Json = {
            "message": self.message,
            "code": self.code,
            "status": self.status,
            "messageParams": self.params,
            "contextId": context_id,
            "details": [],
            "errors": [],
        }
        if self.field_name is not None:
            body["details"] = [{"errorCode": self.code, "fieldName": self.field_name}]
        if self.entity_id is not None:
            body["entityId"] = self.entity_id
        if self.limit is not None:
            body["limit"] = self.limit
        return Reply(self.status, body, self.headers)


def not_found(what: str, entity_id: str, code: str = "not.found") -> ApiError:
    """Return the 404 for an entity that is not there."""
    return ApiError(404, code, f"{what} {entity_id} was not found", params={"id": entity_id}, entity_id=entity_id)


def bad_field(field_name: str, why: str, code: str = "bad.request") -> ApiError:
    """Return the 400 that names the field at fault."""
    return ApiError(400, code, f"{field_name}: {why}", params={"field": field_name}, field_name=field_name)


def page_of(
    entities: Sequence[Entity],
    query: Mapping[str, Any],
    path: str,
    render: Callable[[Entity], Json],
    *,
    counted: bool = False,
) -> Reply:
    """Return one page of a listing.

    Args:
        entities: All that match, in order.
        query: The request's parameters as read; `pageSize` and `pageNumber` among them.
        path: The listing's own path, for the links.
        render: Turns one entity into JSON; called for those on the page only.
        counted: Whether the listing also says `totalNumberOfEntities`.
    """
    size, number, total = query["pageSize"], query["pageNumber"], len(entities)
    pages = -(-total // size)
    first = (number - 1) * size
    body: Json = {
        "entities": [render(entity) for entity in entities[first : first + size]],
        "pageSize": size,
        "pageNumber": number,
        "total": total,
        "pageCount": pages,
        "selfUri": _link(path, query, number),
        "firstUri": _link(path, query, 1),
        "lastUri": _link(path, query, max(pages, 1)),
    }
    if number < pages:
        body["nextUri"] = _link(path, query, number + 1)
    if number > 1:
        body["previousUri"] = _link(path, query, number - 1)
    if counted:
        body["totalNumberOfEntities"] = total
    return Reply(200, body)


def _link(path: str, query: Mapping[str, Any], number: int) -> str:
    shown = {name: value for name, value in query.items() if value is not None} | {"pageNumber": number}
    return f"{path}?{urlencode(shown, doseq=True)}"
