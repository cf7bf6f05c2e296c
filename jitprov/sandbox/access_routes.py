"""Routes of roles and grants. Granting is all or nothing: one unknown id and nothing was changed."""

from __future__ import annotations

from typing import Any

from jitprov.sandbox.access import Grant
from jitprov.sandbox.answers import Json, Reply, bad_field, not_found, page_of
from jitprov.sandbox.calls import Call, Handler
from jitprov.sandbox.phone_routes import wildcard
from jitprov.sandbox.world import World

_ROLE_IDS_MAX = 100


def list_roles(call: Call) -> Reply:
    """Return a page of the roles; `name` takes wildcards."""
    found = list(call.world.access.roles)
    if call.query["id"] is not None:
        if len(call.query["id"]) > _ROLE_IDS_MAX:
            raise bad_field("id", f"at most {_ROLE_IDS_MAX} values", "max.role.ids")
        found = [role_id for role_id in found if role_id in call.query["id"]]
    if call.query["name"] is not None:
        test = wildcard(call.query["name"])
        found = [role_id for role_id in found if test(call.world.access.roles[role_id])]
    return page_of(found, call.query, call.path, lambda role_id: _role(call.world, role_id))


def grant_to_many(call: Call) -> Reply:
    """Grant one role in each of the divisions to each of the subjects."""
    world, role_id = call.world, _known_role(call.world, call.ids["roleId"])
    subjects = [world.user(subject_id).id for subject_id in call.body["subjectIds"]]
    divisions = [world.division(division_id)["id"] for division_id in call.body["divisionIds"]]
    _make(call, [Grant(subject, role_id, division) for subject in subjects for division in divisions])
    return Reply(204)


def add_users(call: Call) -> Reply:
    """Give one role in the home division to several users."""
    role_id = _known_role(call.world, call.ids["roleId"])
    users = [call.world.user(user_id).id for user_id in call.body]
    _make(call, [Grant(user_id, role_id, call.world.home_division["id"]) for user_id in users])
    return Reply(200, users)


def remove_users(call: Call) -> Reply:
    """Take one role in every division away from several users."""
    access, role_id = call.world.access, _known_role(call.world, call.ids["roleId"])
    users = [call.world.user(user_id).id for user_id in call.body]
    access.revoke([grant for grant in access.grants if grant.role_id == role_id and grant.subject_id in users])
    return Reply(200, users)


def get_subject(call: Call) -> Reply:
    """Return a subject with its grants."""
    user = call.world.user(call.ids["subjectId"])
    grants = [
        {
            "subjectId": user.id,
            "division": call.world.divisions[grant.division_id],
            "role": _role(call.world, grant.role_id, short=True),
            "grantMadeAt": made_at,
        }
        for grant, made_at in call.world.access.grants_of(user.id)
    ]
    return Reply(200, {"id": user.id, "name": user.name, "grants": grants, "version": 1})


def change_in_bulk(*, adds: bool, removes_rest: bool = False) -> Handler:
    """Return the route that adds or removes several grants of one subject, or leaves it exactly these."""

    def handle(call: Call) -> Reply:
        world, user = call.world, call.world.user(call.ids["subjectId"])
        grants = [
            Grant(user.id, _known_role(world, pair["roleId"]), world.division(pair["divisionId"])["id"])
            for pair in call.body["grants"]
        ]
        if removes_rest:
            world.access.revoke([grant for grant, _ in world.access.grants_of(user.id) if grant not in grants])
        if adds:
            _make(call, grants)
        else:
            world.access.revoke(grants)
        return Reply(204)

    return handle


def _make(call: Call, grants: list[Grant]) -> None:
    call.world.access.grant(grants, call.world.clock.iso(call.now_s))


def _known_role(world: World, role_id: Any) -> str:
    if role_id not in world.access.roles:
        raise not_found("role", role_id)
    return str(role_id)


def _role(world: World, role_id: str, *, short: bool = False) -> Json:
    name = world.access.roles[role_id]
    if short:
        return {"id": role_id, "name": name, "default": role_id in world.access.of_everyone}
    holders = {grant.subject_id for grant in world.access.grants if grant.role_id == role_id}
    return {
        "id": role_id,
        "name": name,
        "userCount": len(holders),
        "default": role_id in world.access.of_everyone,
        "selfUri": f"/api/v2/authorization/roles/{role_id}",
    }


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/api/v2/authorization/roles"): list_roles,
    ("POST", "/api/v2/authorization/roles/{roleId}"): grant_to_many,
    ("PUT", "/api/v2/authorization/roles/{roleId}/users/add"): add_users,
    ("PUT", "/api/v2/authorization/roles/{roleId}/users/remove"): remove_users,
    ("GET", "/api/v2/authorization/subjects/{subjectId}"): get_subject,
    ("POST", "/api/v2/authorization/subjects/{subjectId}/bulkadd"): change_in_bulk(adds=True),
    ("POST", "/api/v2/authorization/subjects/{subjectId}/bulkremove"): change_in_bulk(adds=False),
    ("POST", "/api/v2/authorization/subjects/{subjectId}/bulkreplace"): change_in_bulk(adds=True, removes_rest=True),
}
