"""Routes of routing skills, languages and utilization: the catalogues, and what a user has of them.

An assignment is all or nothing: one unknown id and nothing was changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from jitprov.sandbox.answers import ApiError, Json, Reply, bad_field, not_found, page_of
from jitprov.sandbox.calls import Call, Handler
from jitprov.sandbox.competence import MEDIA_TYPES, Catalogue, Competence
from jitprov.sandbox.directory import User

Kind = Literal["skills", "languages"]


def list_catalogue(kind: Kind) -> Handler:
    """Return the route that lists a catalogue; `name` is a starts-with filter."""

    def handle(call: Call) -> Reply:
        catalogue, query = _catalogue(call, kind), call.query
        found = catalogue.in_order()
        if query["id"] is not None:
            wanted = set(query["id"])
            found = [each for each in found if each.id in wanted]
        if query["name"]:
            start = query["name"].casefold()
            found = [each for each in found if each.name.casefold().startswith(start)]
        return page_of(found, query, call.path, Competence.to_json)

    return handle


def get_skill(call: Call) -> Reply:
    """Return one routing skill."""
    skill = call.world.skills.by_id.get(call.ids["skillId"])
    if skill is None:
        raise not_found("routing skill", call.ids["skillId"])
    return Reply(200, skill.to_json())


def create_skill(call: Call) -> Reply:
    """Make a routing skill; a name that is in use is refused."""
    name = call.body["name"]
    if not name.strip():
        raise bad_field("name", "must not be blank")
    if call.world.skills.named(name) is not None:
        raise ApiError(409, "general.conflict", f"A routing skill named {name} exists", field_name="name")
    division_id = call.body.get("divisionId")
    division = None if division_id is None else call.world.division(division_id)
    made_at = call.world.clock.iso(call.now_s)
    skill = Competence(call.world.ids.new("skill"), "skills", name, made_at, division=division)
    call.world.skills.add(skill)
    return Reply(200, skill.to_json())


def list_held(kind: Kind) -> Handler:
    """Return the route that lists what a user has."""

    def handle(call: Call) -> Reply:
        return _held(call, kind, call.world.user(call.ids["userId"]))

    return handle


def add_one(kind: Kind) -> Handler:
    """Return the route that gives a user one more, or rates it anew."""

    def handle(call: Call) -> Reply:
        user = call.world.user(call.ids["userId"])
        _assign(call, kind, user, [call.body])
        competence = _catalogue(call, kind).by_id[call.body["id"]]
        return Reply(200, competence.held_by(user.id, float(call.body["proficiency"])))

    return handle


def assign_in_bulk(kind: Kind, *, replaces: bool) -> Handler:
    """Return the route that adds or rates several at once, or replaces all that a user has."""

    def handle(call: Call) -> Reply:
        user = call.world.user(call.ids["userId"])
        call.world.maybe_conflict()
        _assign(call, kind, user, call.body, replaces=replaces)
        call.query |= {"pageSize": max(25, len(_of(user, kind))), "pageNumber": 1}
        return _held(call, kind, user)

    return handle


def rate_skill(call: Call) -> Reply:
    """Rate one skill that a user has, or give it to them."""
    user, skill_id = call.world.user(call.ids["userId"]), call.ids["skillId"]
    if "proficiency" not in call.body:
        raise bad_field("proficiency", "is needed")
    if call.body.get("id", skill_id) != skill_id:
        raise bad_field("id", "is not the skill of the path")
    _assign(call, "skills", user, [{"id": skill_id, "proficiency": call.body["proficiency"]}])
    return Reply(200, call.world.skills.by_id[skill_id].held_by(user.id, user.skills[skill_id]))


def remove_one(kind: Kind, variable: str) -> Handler:
    """Return the route that takes one away from a user."""

    def handle(call: Call) -> Reply:
        user, competence_id = call.world.user(call.ids["userId"]), call.ids[variable]
        if _of(user, kind).pop(competence_id, None) is None:
            raise not_found(kind.removesuffix("s"), competence_id)
        return Reply(200 if kind == "skills" else 204)

    return handle


def get_organization_utilization(call: Call) -> Reply:
    """Return what agents have who have nothing of their own."""
    return Reply(200, call.world.utilization)


def get_utilization(call: Call) -> Reply:
    """Return an agent's utilization and the level it comes from."""
    user = call.world.user(call.ids["userId"])
    if user.utilization is None:
        return Reply(200, call.world.utilization | {"level": "Organization"})
    return Reply(200, user.utilization | {"level": "Agent"})


def put_utilization(call: Call) -> Reply:
    """Set an agent's utilization; media left out fall back to the organization's."""
    user = call.world.user(call.ids["userId"])
    media: Mapping[str, Json] = call.body.get("utilization", {})
    for name, settings in media.items():
        _check_media(name, settings)
    usual = call.world.utilization
    user.utilization = {
        "utilization": usual["utilization"] | {name: usual["utilization"][name] | each for name, each in media.items()},
        "labelUtilizations": call.body.get("labelUtilizations", usual["labelUtilizations"]),
        "maxInboundCalls": call.body.get("maxInboundCalls", usual["maxInboundCalls"]),
    }
    return Reply(200, user.utilization | {"level": "Agent"})


def delete_utilization(call: Call) -> Reply:
    """Put an agent back on the organization's utilization."""
    call.world.user(call.ids["userId"]).utilization = None
    return Reply(204)


def _assign(call: Call, kind: Kind, user: User, entries: list[Json], *, replaces: bool = False) -> None:
    catalogue = _catalogue(call, kind)
    if call.world.options.skills_need_active_user and user.state != "active":
        raise ApiError(400, "invalid.user.state", f"user {user.id} is not active", entity_id=user.id)
    for entry in entries:
        if catalogue.assignable(entry["id"]) is None:
            raise _unknown(call, kind, entry["id"])
    held = _of(user, kind)
    if replaces:
        held.clear()
    held.update((entry["id"], float(entry["proficiency"])) for entry in entries)


def _unknown(call: Call, kind: Kind, competence_id: Any) -> ApiError:
    what = f"routing {kind.removesuffix('s')}"
    if call.world.options.unknown_skill_status == 404:  # noqa: PLR2004  an HTTP status
        return not_found(what, competence_id)
    return ApiError(400, "bad.request", f"id: no {what} {competence_id}", field_name="id", entity_id=competence_id)


def _check_media(name: str, settings: Json) -> None:
    if name not in MEDIA_TYPES:
        raise bad_field(f"utilization.{name}", "not a media type", "invalid.value")
    if settings.get("maximumCapacity", 0) < 0:
        raise bad_field(f"utilization.{name}.maximumCapacity", "0 or more", "invalid.value")
    if not MEDIA_TYPES.issuperset(settings.get("interruptableMediaTypes", ())):
        raise bad_field(f"utilization.{name}.interruptableMediaTypes", "not media types", "invalid.value")


def _held(call: Call, kind: Kind, user: User) -> Reply:
    by_id = _catalogue(call, kind).by_id
    path = f"/api/v2/users/{user.id}/routing{kind}"
    return page_of(
        list(_of(user, kind).items()), call.query, path, lambda held: by_id[held[0]].held_by(user.id, held[1])
    )


def _catalogue(call: Call, kind: Kind) -> Catalogue:
    return call.world.skills if kind == "skills" else call.world.languages


def _of(user: User, kind: Kind) -> dict[str, float]:
    return user.skills if kind == "skills" else user.languages


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/api/v2/routing/skills"): list_catalogue("skills"),
    ("POST", "/api/v2/routing/skills"): create_skill,
    ("GET", "/api/v2/routing/skills/{skillId}"): get_skill,
    ("GET", "/api/v2/routing/languages"): list_catalogue("languages"),
    ("GET", "/api/v2/users/{userId}/routingskills"): list_held("skills"),
    ("POST", "/api/v2/users/{userId}/routingskills"): add_one("skills"),
    ("PATCH", "/api/v2/users/{userId}/routingskills/bulk"): assign_in_bulk("skills", replaces=False),
    ("PUT", "/api/v2/users/{userId}/routingskills/bulk"): assign_in_bulk("skills", replaces=True),
    ("PUT", "/api/v2/users/{userId}/routingskills/{skillId}"): rate_skill,
    ("DELETE", "/api/v2/users/{userId}/routingskills/{skillId}"): remove_one("skills", "skillId"),
    ("GET", "/api/v2/users/{userId}/routinglanguages"): list_held("languages"),
    ("POST", "/api/v2/users/{userId}/routinglanguages"): add_one("languages"),
    ("PATCH", "/api/v2/users/{userId}/routinglanguages/bulk"): assign_in_bulk("languages", replaces=False),
    ("DELETE", "/api/v2/users/{userId}/routinglanguages/{languageId}"): remove_one("languages", "languageId"),
    ("GET", "/api/v2/routing/utilization"): get_organization_utilization,
    ("GET", "/api/v2/routing/users/{userId}/utilization"): get_utilization,
    ("PUT", "/api/v2/routing/users/{userId}/utilization"): put_utilization,
    ("DELETE", "/api/v2/routing/users/{userId}/utilization"): delete_utilization,
}
