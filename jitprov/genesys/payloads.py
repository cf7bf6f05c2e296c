"""The border between the API's JSON and the domain's words: what goes in, what comes out, field by field.

Tolerant of fields it does not use, strict about those it does: a missing one is named. Elsewhere in the house an
agent is an agent; only in this room a *user*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jitprov.domain.agent import MediaShare, Phone, Profile, RatedLanguage, RatedSkill
from jitprov.domain.ids import is_uuid

WEBRTC_META_BASE = "inin_webrtc_softphone.json"
_PHONE_NAME_CHARS_MAX = 60
_ID_CHARS = 8


class Malformed(Exception):  # noqa: N818  it never leaves this room
    """An answer lacks what it should have; the text names the field, never its content."""


@dataclass(frozen=True, slots=True)
class PhoneSetup:
    """What every WebRTC phone of the organization is made with."""

    site_id: str
    phone_base_id: str
    line_base_id: str


@dataclass(frozen=True, slots=True)
class PhoneBase:
    """WebRTC phone base settings and the line base settings in them."""

    phone_base_id: str
    line_base_id: str


def text_of(content: Any, *path: str | int) -> str:
    """Return the non-empty text at a path, or raise `Malformed` naming it."""
    value = content
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
            break
    if not isinstance(value, str) or not value:
        raise Malformed(".".join(str(part) for part in path))
    return value


def entities_of(content: Any) -> list[Mapping[str, Any]]:
    """Return the entities of a listing."""
    entities = content.get("entities") if isinstance(content, Mapping) else None
    if not isinstance(entities, list) or not all(isinstance(entity, Mapping) for entity in entities):
        raise Malformed("entities")
    return entities


def pages_of(content: Any) -> int:
    """Return how many pages a listing has; 1 when it does not say."""
    pages = content.get("pageCount") if isinstance(content, Mapping) else None
    if pages is None:
        return 1
    if isinstance(pages, bool) or not isinstance(pages, int):
        raise Malformed("pageCount")
    return pages


def object_of(content: Any, name: str) -> Mapping[str, Any]:
    """Return the object in a field, an empty one when the field is missing."""
    value = content.get(name) if isinstance(content, Mapping) else None
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Malformed(name)
    return value


def parse_user(content: Any, *, locations: bool = False, roles: bool = False) -> Profile:
    """Return a profile; department, title, skills and station may be missing. Source: model User.

    Args:
        content: The user.
        locations: Whether they were asked for.
        roles: Whether they were asked for; the API may leave them out all the same.
    """
    user_id = text_of(content, "id").lower()
    if not is_uuid(user_id):
        raise Malformed("id")
    division = object_of(content, "division")
    station = object_of(object_of(content, "station"), "defaultStation")
    skills, languages, groups = (content.get(name) or [] for name in ("skills", "languages", "groups"))
    for field, listed in (("skills", skills), ("languages", languages), ("groups", groups)):
        if not isinstance(listed, list):
            raise Malformed(field)
    return Profile(
        user_id=user_id,
        name=str(content.get("name") or ""),
        email=str(content.get("email") or ""),
        department=str(content.get("department") or ""),
        title=str(content.get("title") or ""),
        division=str(division.get("name") or ""),
        state=str(content.get("state") or "active").lower(),
        skills=tuple(RatedSkill(*_parse_rated(skill, "skills")) for skill in skills),
        default_station_id=str(station.get("id") or ""),
        division_id=str(division.get("id") or ""),
        languages=tuple(RatedLanguage(*_parse_rated(language, "languages")) for language in languages),
        locations=_parse_locations(content) if locations else None,
        group_ids=tuple(text_of(group, "id") for group in groups),
        held_role_ids=tuple(roles_of(content).values()) if roles and content.get("authorization") else None,
    )


def roles_of(content: Any) -> dict[str, str]:
    """Return a user's roles, ids by name, in whatever divisions. Source: model UserAuthorization, which tells none."""
    roles = object_of(content, "authorization").get("roles") or []
    if not isinstance(roles, list):
        raise Malformed("authorization.roles")
    return {text_of(role, "name"): text_of(role, "id") for role in roles}


def _parse_locations(content: Any) -> tuple[str, ...]:
    """Return the names of a user's locations, an id where there is no name. Source: model LocationDefinition."""
    listed = content.get("locations") or []
    if not isinstance(listed, list):
        raise Malformed("locations")
    definitions = [object_of(location, "locationDefinition") for location in listed]
    return tuple(str(each.get("name") or each.get("id") or "") for each in definitions)


def _parse_rated(content: Any, field: str) -> tuple[str, float, str]:
    """Return name, proficiency and id of a skill or language that a user has."""
    proficiency = content.get("proficiency") if isinstance(content, Mapping) else None
    if isinstance(proficiency, bool) or not isinstance(proficiency, int | float):
        raise Malformed(f"{field}.proficiency")
    return str(content.get("name") or ""), float(proficiency), text_of(content, "id")


def skills_body(skills: Sequence[RatedSkill]) -> list[dict[str, Any]]:
    """Return the array that the bulk operations take. Source: model UserRoutingSkillPost."""
    return [_rated_body(skill, skill.skill_id) for skill in skills]


def languages_body(languages: Sequence[RatedLanguage]) -> list[dict[str, Any]]:
    """Return the array that the bulk operation takes. Source: model UserRoutingLanguagePost."""
    return [_rated_body(language, language.language_id) for language in languages]


def _rated_body(rated: RatedSkill | RatedLanguage, rated_id: str) -> dict[str, Any]:
    if not 0.0 <= rated.proficiency <= 5.0:  # noqa: PLR2004  the API's bounds
        msg = f"proficiency of {rated.name}: 0.0 to 5.0"
        raise ValueError(msg)
    return {"id": rated_id, "proficiency": rated.proficiency}


def utilization_body(shares: Sequence[MediaShare]) -> dict[str, Any]:
    """Return what sets an agent's utilization. Source: model UtilizationRequest.

    Media that may interrupt are always said, so that nothing rests on what the API takes an absence for.
    """
    media = {
        share.media: {"maximumCapacity": share.capacity, "interruptableMediaTypes": list(share.interruptible or ())}
        for share in shares
    }
    return {"utilization": media}


def phone_name(profile: Profile) -> str:
    """Return the name of an agent's phone: unique, tells whose it is, the same each time.

    Phone names must be unique in an organization; two agents may share a name, so the start of the user id follows.
    """
    kept = "".join(char if char.isalnum() or char in " .-_" else " " for char in profile.name)
    shown = " ".join(kept.split())[:_PHONE_NAME_CHARS_MAX].strip() or "Agent"
    return f"{shown} {profile.user_id[:_ID_CHARS]} WebRTC"


def phone_body(user_id: str, name: str, setup: PhoneSetup) -> dict[str, Any]:
    """Return the body of a new WebRTC phone. Source: model Phone, and the official provisioning example."""
    line_base = {"id": setup.line_base_id}
    return {
        "name": name,
        "site": {"id": setup.site_id},
        "phoneBaseSettings": {"id": setup.phone_base_id},
        "lineBaseSettings": line_base,
        "phoneMetaBase": {"id": WEBRTC_META_BASE},
        "lines": [{"name": f"{name} line", "lineBaseSettings": line_base}],
        "capabilities": {
            "provisions": False,
            "registers": False,
            "dualRegisters": False,
            "allowReboot": False,
            "noRebalance": False,
            "noCloudProvisioning": False,
            "mediaCodecs": ["audio/opus"],
            "cdm": True,
        },
        "webRtcUser": {"id": user_id},
    }


def parse_phone(content: Any, user_id: str) -> Phone:
    """Return a phone of one user; the id of its first line may double as its station's.

    Raises:
        Malformed: Names what is missing; `webRtcUser.id` too when the phone is somebody else's.
    """
    phone_id, line_id = text_of(content, "id"), text_of(content, "lines", 0, "id")
    if text_of(content, "webRtcUser", "id").lower() != user_id:
        raise Malformed("webRtcUser.id")
    return Phone(phone_id=phone_id, line_id=line_id, name=str(content.get("name") or ""))
