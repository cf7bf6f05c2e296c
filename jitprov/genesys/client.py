"""The API's operations that jitprov uses, in the domain's words. Each docstring names route, permission and cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from http import HTTPStatus

from jitprov import logs
from jitprov.domain.agent import Phone, Profile, RatedSkill
from jitprov.domain.change import RATED_PER_CALL
from jitprov.errors import NotYetConsistent, Refused
from jitprov.genesys.payloads import (
    Malformed,
    PhoneSetup,
    entities_of,
    parse_phone,
    parse_user,
    phone_body,
    skills_body,
    text_of,
)
from jitprov.genesys.setup import EDGES, SetupReads
from jitprov.genesys.sorting import NotFound
from jitprov.genesys.transport import Transport
from jitprov.genesys.understanding import checked, understood

_log = logging.getLogger(__name__)

USERS_PER_GET = 100
SKILLS_PER_PATCH = RATED_PER_CALL
_EXPAND = ["skills", "languages", "station", "groups"]


def _expand(*, locations: bool, roles: bool) -> list[str]:
    return [*_EXPAND, *(["locations"] if locations else []), *(["authorization"] if roles else [])]


class GenesysClient(SetupReads):
    """Genesys Cloud, as far as jitprov needs it. All errors are those of `Transport.request` unless said.

    Args:
        transport: Sends.
        locations: Tells whether rules look at locations: only then profiles are read with them.
        roles: Tells whether rules name roles: likewise.
    """

    def __init__(
        self,
        transport: Transport,
        locations: Callable[[], bool] = lambda: False,
        roles: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(transport)
        self._locations = locations
        self._roles = roles

    def acting_for(self, provisioning_id: str) -> AbstractContextManager[None]:
        """See `Transport.acting_for`."""
        return self._transport.acting_for(provisioning_id)

    def get_users(self, user_ids: Sequence[str]) -> dict[str, Profile]:
        """Return the profiles of up to `USERS_PER_GET` users; those the API leaves out are absent.

        Source: GET /api/v2/users?id=…&state=any&expand=…; no permission. Cost: 1.
        """
        ids = [checked(user_id) for user_id in user_ids]
        if len(ids) > USERS_PER_GET:
            msg = f"at most {USERS_PER_GET} users per call"
            raise ValueError(msg)
        asked = {"locations": self._locations(), "roles": self._roles()}
        # Without state=any a user who is not active yet is left out; without pageSize all but 25 are.
        content = self._get("/api/v2/users", id=ids, state="any", pageSize=USERS_PER_GET, expand=_expand(**asked))
        profiles = {}
        for entity in understood(lambda: entities_of(content)):
            try:
                profile = parse_user(entity, **asked)
            except Malformed as error:
                # Left out: one user that cannot be read must not keep the others waiting, read after read.
                logs.event(_log, "profile_unreadable", level=logging.WARNING, field=str(error))
                continue
            profiles[profile.user_id] = profile
        return profiles

    def get_user(self, user_id: str) -> Profile:
        """Return one profile; a deleted user's says so.

        Raises:
            NotYetConsistent: The API does not know the user (yet).

        Source: GET /api/v2/users/{userId}; no permission. Cost: 1; 2 for a user who is deleted or unknown, since only
        state=deleted shows the deleted.
        """
        path, asked = f"/api/v2/users/{checked(user_id)}", {"locations": self._locations(), "roles": self._roles()}
        try:
            content = self._get(path, expand=_expand(**asked))
        except NotFound:
            try:
                content = self._get(path, state="deleted")
            except NotFound as missing:
                raise NotYetConsistent(
                    "the API does not know this user",
                    http_status=404,
                    correlation_id=missing.correlation_id,
                    remedy="Is this a user id of this organization (JITPROV_REGION)? If so: jitprov retry ID",
                ) from None
        return understood(lambda: parse_user(content, **asked))

    def patch_routing_skills(self, user_id: str, skills: Sequence[RatedSkill]) -> None:
        """Add or re-rate routing skills of one user; skills left out stay as they are. Safe to repeat.

        Source: PATCH /api/v2/users/{userId}/routingskills/bulk, routing:skill:assign. Cost: 1 per 50.
        """
        for start in range(0, len(skills), SKILLS_PER_PATCH):
            self._skills("PATCH", user_id, skills[start : start + SKILLS_PER_PATCH])

    def put_routing_skills(self, user_id: str, skills: Sequence[RatedSkill]) -> None:
        """Leave a user exactly these routing skills. Safe to repeat.

        Source: PUT /api/v2/users/{userId}/routingskills/bulk, routing:skill:assign. Cost: 1 per 50. Its cap is not
        known: what goes beyond that of PATCH is added by PATCH, since a second PUT would replace the first.
        """
        self._skills("PUT", user_id, skills[:SKILLS_PER_PATCH])
        self.patch_routing_skills(user_id, skills[SKILLS_PER_PATCH:])

    def _skills(self, method: str, user_id: str, skills: Sequence[RatedSkill]) -> None:
        path = f"/api/v2/users/{checked(user_id)}/routingskills/bulk"
        try:
            self._transport.request(method, path, safe=True, json=skills_body(skills))
        except NotFound as missing:
            raise NotYetConsistent(
                "the API does not know this user or skill", http_status=404, correlation_id=missing.correlation_id
            ) from None

    def find_phones(self, user_id: str) -> list[Phone]:
        """Return the WebRTC phones of one user, first name first; deleted ones are left out.

        Raises:
            Unavailable: Also when a phone in the answer is not shown to be this user's: without the filter an empty
                list would lead to a second phone.

        Source: GET /api/v2/telephony/providers/edges/phones?webRtcUser.id=…&fields=webRtcUser, telephony:plugin:all.
        Cost: 1.
        """
        content = self._get(
            f"{EDGES}/phones", pageSize=100, fields=["webRtcUser"], **{"webRtcUser.id": checked(user_id)}
        )

        def parse() -> list[Phone]:
            return [parse_phone(entity, user_id) for entity in entities_of(content) if entity.get("state") != "deleted"]

        return sorted(understood(parse), key=lambda phone: phone.name)

    def create_phone(
        self, user_id: str, name: str, setup: PhoneSetup, *, about_to_send: Callable[[], None] = lambda: None
    ) -> Phone:
        """Make a WebRTC phone for one user. Not safe to repeat.

        Args:
            user_id: Whose.
            name: Unique in the organization.
            setup: Site and bases.
            about_to_send: See `Transport.request`: the last moment to find out that another worker is at it.

        Raises:
            OutcomeUnknown: It may have been made: look before making another.
            NotYetConsistent: The name, or the user's phone, is there already: look for it.

        Source: POST /api/v2/telephony/providers/edges/phones, telephony:plugin:all. Cost: 1.
        """
        body = phone_body(checked(user_id), name, setup)
        try:
            content = self._transport.request(
                "POST", f"{EDGES}/phones", safe=False, json=body, about_to_send=about_to_send
            )
        except NotFound as missing:
            raise NotYetConsistent(
                "the API does not know the user, site or base yet",
                http_status=404,
                correlation_id=missing.correlation_id,
            ) from None
        return understood(lambda: parse_phone(content, user_id), safe=False)

    def delete_phone(self, phone_id: str) -> None:
        """Delete a phone; one that is gone is fine.

        Source: DELETE /api/v2/telephony/providers/edges/phones/{phoneId}, telephony:plugin:all. Cost: 1.
        """
        try:
            self._transport.request("DELETE", f"{EDGES}/phones/{checked(phone_id)}", safe=True)
        except NotFound:
            return

    def find_station(self, user_id: str) -> str | None:
        """Return the station behind the user's WebRTC phone; None while it is not visible yet.

        Source: GET /api/v2/stations?webRtcUserId=…, no permission; an index that is fed late. Cost: 1.
        """
        content = self._get("/api/v2/stations", webRtcUserId=checked(user_id))

        def parse() -> str | None:
            entities = [entity for entity in entities_of(content) if entity.get("webRtcUserId", user_id) == user_id]
            return text_of(entities[0], "id") if entities else None

        return understood(parse)

    def get_default_station(self, user_id: str) -> str | None:
        """Return the user's default station; None while none is set, or none is told.

        Source: GET /api/v2/users/{userId}?expand=station, no permission; best effort. The user's own station route
        needs telephony:otherStationAssociation:view, which nothing else here does. Cost: 1.
        """
        try:
            content = self._get(f"/api/v2/users/{checked(user_id)}", expand=["station"])
        except NotFound:
            return None
        return understood(lambda: parse_user(content)).default_station_id or None

    def set_default_station(self, user_id: str, station_id: str) -> bool:
        """Ask for a station to be the user's default; the API does it a moment later. Safe to repeat.

        Returns:
            False when the API does not take the station (yet): 404, and 400, which CX as Code repeats here.

        Source: PUT /api/v2/users/{userId}/station/defaultstation/{stationId}, telephony:plugin:all or
        telephony:phone:assign; 202. Cost: 1.
        """
        path = f"/api/v2/users/{checked(user_id)}/station/defaultstation/{checked(station_id.lower())}"
        try:
            self._transport.request("PUT", path, safe=True)
        except NotFound:
            return False
        except Refused as error:
            if error.http_status != HTTPStatus.BAD_REQUEST:
                raise
            return False
        return True
