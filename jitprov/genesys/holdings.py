"""The API's operations that tell what users have: one after the other, or a hundred at a time. Changes nothing.

As `jitprov.genesys.client`, whose errors and manner these share. A search is a POST and changes nothing all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from jitprov import logs
from jitprov.domain.agent import Phone, Place, Profile
from jitprov.genesys.client import USERS_PER_GET
from jitprov.genesys.payloads import (
    Malformed,
    entities_of,
    object_of,
    pages_of,
    parse_phone,
    parse_user,
    roles_of,
    text_of,
)
from jitprov.genesys.transport import Transport
from jitprov.genesys.understanding import checked, understood

STATIONS_PER_GET = 100
_PER_PAGE = 100
# A listing of phones ends there when it is filtered, and may when it is not.
PHONES_LISTED_MAX = 10_000
_PAGES_MAX = 1000
_EXPAND = ["skills", "languages", "station", "groups", "authorization"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """A user as a listing tells: best effort, as the API says of `expand`.

    Attributes:
        profile: The user.
        roles: Ids by name, in whatever divisions.
    """

    profile: Profile
    roles: Mapping[str, str]


class HoldingsClient:
    """What users have. Errors are those of `Transport.request` unless said."""

    def __init__(self, transport: Transport, locations: Callable[[], bool] = lambda: False) -> None:
        """Keep what is needed.

        Args:
            transport: Sends.
            locations: Tells whether rules look at locations: only then they are read.
        """
        self._transport = transport
        self._locations = locations

    def _expand(self) -> list[str]:
        return [*_EXPAND, "locations"] if self._locations() else _EXPAND

    @property
    def calls_made(self) -> int:
        """How many requests this process has sent to the API, by whichever client over the same transport."""
        return sum(self._transport.attempts.values())

    def _get(self, path: str, **params: Any) -> Any:
        return self._transport.request("GET", path, safe=True, params=params)

    def _listed(self, entities: Sequence[Any]) -> Iterator[Listed]:
        locations = self._locations()
        for entity in entities:
            try:
                yield _parsed(entity, locations=locations)
            except Malformed as error:
                # Left out: one user that cannot be read must not hide the others.
                logs.event(_log, "profile_unreadable", level=logging.WARNING, field=str(error))

    def users(self, user_ids: Sequence[str]) -> Iterator[Listed]:
        """Yield users by id; those that the API leaves out, as it does deleted ones, are absent.

        Source: GET /api/v2/users?id=…&state=any, no permission. Cost: 1 per 100.
        """
        ids = [checked(user_id) for user_id in user_ids]
        for start in range(0, len(ids), USERS_PER_GET):
            asked = ids[start : start + USERS_PER_GET]
            content = self._get("/api/v2/users", id=asked, state="any", pageSize=USERS_PER_GET, expand=self._expand())
            yield from self._listed(understood(lambda content=content: entities_of(content)))  # type: ignore[misc]

    def active_users(self) -> Iterator[Listed]:
        """Yield every active user.

        Source: GET /api/v2/users?state=active, no permission. Cost: 1 per 100.
        """
        for number in range(1, _PAGES_MAX + 1):
            content = self._get(
                "/api/v2/users", state="active", pageSize=_PER_PAGE, pageNumber=number, expand=self._expand()
            )
            yield from self._listed(understood(lambda content=content: entities_of(content)))  # type: ignore[misc]
            if number >= understood(lambda content=content: pages_of(content)):  # type: ignore[misc]
                return

    def active_users_where(self, field: str, value: str) -> Iterator[Listed]:
        """Yield every active user of whom a field is exactly this, case aside.

        Args:
            field: That the search knows, such as `department` or `email`.
            value: Of the field.

        Source: POST /api/v2/users/search, directory:user:view. Cost: 1 per 100.
        """
        criteria = [
            {"type": "EXACT", "fields": [field], "value": value},
            {"type": "EXACT", "fields": ["state"], "value": "active"},
        ]
        for number in range(1, _PAGES_MAX + 1):
            body = {"pageSize": _PER_PAGE, "pageNumber": number, "query": criteria, "expand": self._expand()}
            content = self._transport.request("POST", "/api/v2/users/search", safe=True, json=body)
            found = content.get("results") if isinstance(content, Mapping) else None
            yield from self._listed(found or [])
            if number >= understood(lambda content=content: pages_of(content)):  # type: ignore[misc]
                return

    def grants_of(self, user_id: str) -> frozenset[tuple[str, str]]:
        """Return a user's roles: pairs of role id and division id.

        Source: GET /api/v2/authorization/subjects/{subjectId}, authorization:grant:view. Cost: 1.
        """
        content = self._get(f"/api/v2/authorization/subjects/{checked(user_id)}")

        def parse() -> frozenset[tuple[str, str]]:
            grants = content.get("grants") or [] if isinstance(content, Mapping) else []
            return frozenset((text_of(grant, "role", "id"), text_of(grant, "division", "id")) for grant in grants)

        return understood(parse)

    def queues_of(self, user_id: str, *, enough: frozenset[str]) -> frozenset[str]:
        """Return the ids of the queues that a user is a member of.

        Args:
            user_id: Whose.
            enough: Once these are found, nothing more is read: queues that the user has left for the moment are
                listed apart.

        Source: GET /api/v2/users/{userId}/queues, routing:queue:view. Cost: 1 per 100, 2 when `enough` are not found.
        """
        found: set[str] = set()
        for joined in ("true", "false"):
            for number in range(1, _PAGES_MAX + 1):
                content = self._get(
                    f"/api/v2/users/{checked(user_id)}/queues", joined=joined, pageSize=_PER_PAGE, pageNumber=number
                )
                found |= understood(lambda content=content: _ids(content))  # type: ignore[misc]
                if number >= understood(lambda content=content: pages_of(content)):  # type: ignore[misc]
                    break
            if found >= enough:
                break
        return frozenset(found)

    def spare_queues(self, user_id: str, *, kept: frozenset[str]) -> tuple[Place, ...]:
        """Return the queues, by name, that a user was made a member of directly and that are not to be kept.

        Only a membership that the API says is by `user` counts: one by a group is not a membership to be ended here.

        Args:
            user_id: Whose.
            kept: Ids of queues that are not asked about.

        Source: GET /api/v2/users/{userId}/queues, then of each that is not kept
        GET /api/v2/routing/queues/{queueId}/members?memberBy=user, routing:queue:view. Cost: 2 per 100 queues, and for
        each not kept 1 per 100 members.
        """
        found: dict[str, str] = {}
        for joined in ("true", "false"):
            for number in range(1, _PAGES_MAX + 1):
                content = self._get(
                    f"/api/v2/users/{checked(user_id)}/queues", joined=joined, pageSize=_PER_PAGE, pageNumber=number
                )
                found |= understood(lambda content=content: _names(content))  # type: ignore[misc]
                if number >= understood(lambda content=content: pages_of(content)):  # type: ignore[misc]
                    break
        others = sorted((name, queue_id) for queue_id, name in found.items() if queue_id not in kept)
        return tuple(Place(name, queue_id) for name, queue_id in others if self._is_member(queue_id, user_id))

    def _is_member(self, queue_id: str, user_id: str) -> bool:
        path = f"/api/v2/routing/queues/{checked(queue_id)}/members"
        for number in range(1, _PAGES_MAX + 1):
            content = self._get(path, memberBy="user", pageSize=_PER_PAGE, pageNumber=number)
            entities = understood(lambda content=content: entities_of(content))  # type: ignore[misc]
            if any(
                str(each.get("id")).lower() == user_id and str(each.get("memberBy")).lower() == "user"
                for each in entities
            ):
                return True
            if len(entities) < _PER_PAGE:
                break
        return False

    def members_of(self, queue_id: str) -> frozenset[str]:
        """Return the user ids of a queue's members.

        Source: GET /api/v2/routing/queues/{queueId}/members, routing:queue:view. Cost: 1 per 100; it gives no totals.
        """
        found: set[str] = set()
        path = f"/api/v2/routing/queues/{checked(queue_id)}/members"
        for number in range(1, _PAGES_MAX + 1):
            content = self._get(path, pageSize=_PER_PAGE, pageNumber=number)
            ids = understood(lambda content=content: _ids(content))  # type: ignore[misc]
            found |= ids
            if len(ids) < _PER_PAGE:
                break
        return frozenset(found)

    def phones_by_user(self, *, pages_max: int) -> dict[str, list[Phone]] | None:
        """Return every WebRTC phone by its user, first name first; None when it takes more pages than allowed.

        Deleted phones are left out.

        Source: GET /api/v2/telephony/providers/edges/phones?fields=webRtcUser, telephony:plugin:all. Cost: 1 per 100.
        """
        found: dict[str, list[Phone]] = {}
        for number in count(1):
            content = self._get(
                "/api/v2/telephony/providers/edges/phones",
                pageSize=_PER_PAGE,
                pageNumber=number,
                fields=["webRtcUser"],
            )
            pages = understood(lambda content=content: pages_of(content))  # type: ignore[misc]
            if pages > min(pages_max, PHONES_LISTED_MAX // _PER_PAGE):
                return None
            for entity in understood(lambda content=content: entities_of(content)):  # type: ignore[misc]
                user_id = str(object_of(entity, "webRtcUser").get("id") or "").lower()
                if user_id and entity.get("state") != "deleted":
                    phone = understood(lambda entity=entity, user_id=user_id: parse_phone(entity, user_id))  # type: ignore[misc]
                    found.setdefault(user_id, []).append(phone)
            if number >= pages:
                break
        return {user_id: sorted(phones, key=lambda phone: phone.name) for user_id, phones in found.items()}

    def users_of_stations(self, station_ids: Sequence[str]) -> dict[str, str]:
        """Return whose WebRTC phone is behind each of these stations; others are absent.

        Source: GET /api/v2/stations?id=…, no permission; an index that is fed late. Cost: 1 per 100.
        """
        found: dict[str, str] = {}
        for start in range(0, len(station_ids), STATIONS_PER_GET):
            asked = ",".join(checked(each.lower()) for each in station_ids[start : start + STATIONS_PER_GET])
            content = self._get("/api/v2/stations", id=asked, pageSize=STATIONS_PER_GET)
            for entity in understood(lambda content=content: entities_of(content)):  # type: ignore[misc]
                user_id = str(entity.get("webRtcUserId") or "").lower()
                if user_id:
                    found[understood(lambda entity=entity: text_of(entity, "id"))] = user_id  # type: ignore[misc]
        return found


def _names(content: Any) -> dict[str, str]:
    return {text_of(entity, "id").lower(): text_of(entity, "name") for entity in entities_of(content)}


def _ids(content: Any) -> set[str]:
    return {text_of(entity, "id").lower() for entity in entities_of(content)}


def _parsed(entity: Any, *, locations: bool) -> Listed:
    return Listed(parse_user(entity, locations=locations), roles_of(entity))
