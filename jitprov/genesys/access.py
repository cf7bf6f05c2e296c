"""The API's operations around what an agent may do: languages, utilization, division, roles, groups, queues.

As `jitprov.genesys.client`, whose errors and manner these share. All writes are safe to repeat, and those for many
agents are all or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jitprov.domain.agent import MediaShare, RatedLanguage
from jitprov.domain.change import AGENTS_PER_CALL, RATED_PER_CALL
from jitprov.errors import NotYetConsistent
from jitprov.genesys.payloads import (
    Malformed,
    entities_of,
    languages_body,
    object_of,
    pages_of,
    text_of,
    utilization_body,
)
from jitprov.genesys.sorting import NotFound
from jitprov.genesys.transport import Transport
from jitprov.genesys.understanding import checked, understood

Kind = Literal["languages", "divisions", "roles", "groups", "queues"]

# Key of the home division beside the names; no division is named so.
HOME = ""
LANGUAGES_PER_PATCH = RATED_PER_CALL
GROUP_MEMBERS_PER_POST = AGENTS_PER_CALL["group"]
QUEUE_MEMBERS_PER_POST = AGENTS_PER_CALL["queue"]
USERS_PER_MOVE = AGENTS_PER_CALL["division"]
USERS_PER_GRANT = AGENTS_PER_CALL["role"]
_PER_PAGE = 100
_PAGES_MAX = 200
_LISTINGS: Mapping[Kind, str] = {
    "languages": "/api/v2/routing/languages",
    "divisions": "/api/v2/authorization/divisions",
    "roles": "/api/v2/authorization/roles",
    "groups": "/api/v2/groups",
    "queues": "/api/v2/routing/queues",
}


class AccessClient:
    """The part of Genesys Cloud that says what agents may do. Errors are those of `Transport.request` unless said."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list_named(self, kind: Kind) -> dict[str, str]:
        """Return everything of a kind that can be given: name → id; of the divisions the home division also as `HOME`.

        Of two that bear the same name, as groups may, neither can be told: both are left out.

        Source: GET /api/v2/routing/languages, /authorization/divisions, /groups: no permission;
        /authorization/roles: authorization:role:view; /routing/queues: routing:queue:view. Cost: 1 per 100.
        """
        found: dict[str, str] = {}
        doubled: set[str] = set()
        for number in range(1, _PAGES_MAX + 1):
            content = self._transport.request(
                "GET", _LISTINGS[kind], safe=True, params={"pageSize": _PER_PAGE, "pageNumber": number}
            )
            for entity in understood(lambda content=content: entities_of(content)):  # type: ignore[misc]
                if str(entity.get("state") or "active") != "active":
                    continue
                name, entity_id = understood(
                    lambda entity=entity: (text_of(entity, "name"), text_of(entity, "id"))  # type: ignore[misc]
                )
                doubled |= {name} if name in found else set()
                found[name] = entity_id
                if entity.get("homeDivision") is True:
                    found[HOME] = entity_id
            if number >= understood(lambda content=content: pages_of(content)):  # type: ignore[misc]
                break
        return {name: entity_id for name, entity_id in found.items() if name not in doubled}

    def patch_languages(self, user_id: str, languages: Sequence[RatedLanguage]) -> None:
        """Add or re-rate routing languages of one user; those left out stay as they are. Safe to repeat.

        Source: PATCH /api/v2/users/{userId}/routinglanguages/bulk, routing:skill:assign or routing:language:assign.
        Cost: 1 per 50.
        """
        path = f"/api/v2/users/{checked(user_id)}/routinglanguages/bulk"
        for start in range(0, len(languages), LANGUAGES_PER_PATCH):
            self._write("PATCH", path, languages_body(languages[start : start + LANGUAGES_PER_PATCH]))

    def remove_language(self, user_id: str, language_id: str) -> None:
        """Take a routing language from one user; one that the user does not have is fine. Safe to repeat.

        Source: DELETE /api/v2/users/{userId}/routinglanguages/{languageId}, routing:skill:assign or
        routing:language:assign. Cost: 1.
        """
        path = f"/api/v2/users/{checked(user_id)}/routinglanguages/{checked(language_id)}"
        try:
            self._transport.request("DELETE", path, safe=True)
        except NotFound:
            return

    def get_organization_utilization(self) -> dict[str, MediaShare]:
        """Return what agents handle at once who have nothing of their own, by media.

        Source: GET /api/v2/routing/utilization, routing:utilization:view. Cost: 1.
        """
        return self._utilization("/api/v2/routing/utilization")

    def get_utilization(self, user_id: str) -> dict[str, MediaShare]:
        """Return what a user handles at once, by their own utilization or by the organization's.

        Source: GET /api/v2/routing/users/{userId}/utilization, routing:utilization:view or :manage. Cost: 1.
        """
        return self._utilization(f"/api/v2/routing/users/{checked(user_id)}/utilization")

    def _utilization(self, path: str) -> dict[str, MediaShare]:
        content = self._transport.request("GET", path, safe=True)

        def parse() -> dict[str, MediaShare]:
            return {media: _share(media, each) for media, each in object_of(content, "utilization").items()}

        return understood(parse)

    def put_utilization(self, user_id: str, shares: Sequence[MediaShare]) -> None:
        """Set what a user handles at once; media left out fall back to the organization's. Safe to repeat.

        Source: PUT /api/v2/routing/users/{userId}/utilization, routing:utilization:manage. Cost: 1.
        """
        self._write("PUT", f"/api/v2/routing/users/{checked(user_id)}/utilization", utilization_body(shares))

    def move_to_division(self, division_id: str, user_ids: Sequence[str]) -> None:
        """Move up to `USERS_PER_MOVE` users to a division. Safe to repeat.

        Source: POST /api/v2/authorization/divisions/{divisionId}/objects/USER, no permission listed. Cost: 1.
        """
        path = f"/api/v2/authorization/divisions/{checked(division_id)}/objects/USER"
        self._write("POST", path, _ids(user_ids, USERS_PER_MOVE))

    def grant_role(self, role_id: str, division_id: str, user_ids: Sequence[str]) -> None:
        """Grant a role in a division to up to `USERS_PER_GRANT` users. Safe to repeat.

        Source: POST /api/v2/authorization/roles/{roleId}, authorization:grant:add. Cost: 1.
        """
        body = {"subjectIds": _ids(user_ids, USERS_PER_GRANT), "divisionIds": [checked(division_id)]}
        self._write("POST", f"/api/v2/authorization/roles/{checked(role_id)}", body)

    def add_to_group(self, group_id: str, user_ids: Sequence[str]) -> None:
        """Make up to `GROUP_MEMBERS_PER_POST` users members of a group. Safe to repeat.

        Source: POST /api/v2/groups/{groupId}/members, no permission listed; 202. Cost: 1.
        """
        body = {"memberIds": _ids(user_ids, GROUP_MEMBERS_PER_POST)}
        self._write("POST", f"/api/v2/groups/{checked(group_id)}/members", body)

    def add_to_queue(self, queue_id: str, user_ids: Sequence[str]) -> None:
        """Make up to `QUEUE_MEMBERS_PER_POST` users members of a queue. Safe to repeat.

        Source: POST /api/v2/routing/queues/{queueId}/members, routing:queue:edit or routing:queueMember:manage.
        Cost: 1.
        """
        body = [{"id": user_id} for user_id in _ids(user_ids, QUEUE_MEMBERS_PER_POST)]
        self._write("POST", f"/api/v2/routing/queues/{checked(queue_id)}/members", body)

    def _write(self, method: str, path: str, body: Any) -> None:
        try:
            self._transport.request(method, path, safe=True, json=body)
        except NotFound as missing:
            raise NotYetConsistent(
                "the API does not know the user, or what was to be given",
                http_status=404,
                correlation_id=missing.correlation_id,
            ) from None


def _ids(user_ids: Sequence[str], at_most: int) -> list[str]:
    if not 1 <= len(user_ids) <= at_most:
        msg = f"1 to {at_most} users per call"
        raise ValueError(msg)
    return [checked(user_id) for user_id in user_ids]


def _share(media: str, content: Any) -> MediaShare:
    capacity = content.get("maximumCapacity") if isinstance(content, Mapping) else None
    interruptible = (content.get("interruptableMediaTypes") or []) if isinstance(content, Mapping) else []
    if isinstance(capacity, bool) or not isinstance(capacity, int) or not isinstance(interruptible, list):
        raise Malformed(f"utilization.{media}")
    return MediaShare(media, capacity, tuple(sorted(map(str, interruptible))))
