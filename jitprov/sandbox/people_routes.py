"""Routes of users: read one, list, search, make, change, delete.

Refuses what the API refuses: stale versions, addresses in use, state changed together with other fields.
"""

from __future__ import annotations

from typing import Any

from jitprov.sandbox.answers import ApiError, Json, Reply, bad_field, page_of
from jitprov.sandbox.calls import Call, Handler
from jitprov.sandbox.directory import User
from jitprov.sandbox.events import told_changes
from jitprov.sandbox.people_search import matching
from jitprov.sandbox.station_routes import stations_of
from jitprov.sandbox.world import World

# What an audit calls a change of state: from, to.
_ACTION_OF = {
    ("deleted", "active"): "Restore",
    ("deleted", "inactive"): "Restore",
    ("inactive", "active"): "Activate",
    ("active", "inactive"): "Deactivate",
    ("active", "deleted"): "Delete",
    ("inactive", "deleted"): "Delete",
}
_READ_ONLY = frozenset({"id", "selfUri", "version", "state"})
_PROFILE_DEFAULTS: dict[str, Any] = {"acdAutoAnswer": False}
_IN_EXPANSION_ONLY = ("profileSkills", "certifications", "locations", "employerInfo", "biography", "groups")


def get_user(call: Call) -> Reply:
    """Return one user; a deleted one only to those who ask for `state=deleted`."""
    user_id = call.ids["userId"]
    if call.query["state"] == "deleted":
        found = call.world.directory.users.get(user_id)
        user = found if found is not None and found.state == "deleted" else call.world.user(user_id)
    else:
        user = call.world.user(user_id)
    return Reply(200, render_user(call.world, user, call.query["expand"] or ()))


def list_users(call: Call) -> Reply:
    """Return a page of the users in one state, or of those with the given ids."""
    query, users = call.query, call.world.directory.users
    state, ids = query["state"], query["id"]
    pool = users.values() if ids is None else [users[each] for each in dict.fromkeys(ids) if each in users]
    found = [user for user in pool if user.state == state or (state == "any" and user.state != "deleted")]
    expand = query["expand"] or ()
    return page_of(found, query, call.path, lambda user: render_user(call.world, user, expand))


def search_users(call: Call) -> Reply:
    """Return a page of the users that meet the criteria."""
    body: Json = call.body
    size, number = int(body.get("pageSize", 25)), int(body.get("pageNumber", 1))
    if size < 1 or number < 1:
        raise bad_field("pageSize", "1 or more", "invalid.value")
    found = matching(call.world, body.get("query", []))
    if body.get("sortBy") in {"name", "email"}:
        key = str(body["sortBy"])
        found.sort(key=lambda user: str(user.profile[key]).casefold(), reverse=body.get("sortOrder") == "DESC")
    first = (number - 1) * size
    expand = body.get("expand", ())
    answer: Json = {
        "total": len(found),
        "pageCount": -(-len(found) // size),
        "pageSize": size,
        "pageNumber": number,
        "types": ["users"],
        "results": [render_user(call.world, user, expand) for user in found[first : first + size]],
    }
    return Reply(200, answer)


def create_user(call: Call) -> Reply:
    """Make a user; inactive unless the body says otherwise, as no invitation is sent."""
    body: Json = call.body
    if not body["name"].strip():
        raise bad_field("name", "must not be blank")
    if "@" not in body["email"]:
        raise bad_field("email", "not an address", "invalid.value")
    profile = {name: value for name, value in body.items() if name not in {"divisionId", "state", "password"}}
    user = add_user(call.world, profile, state=body.get("state", "inactive"), division_id=body["divisionId"])
    _tell(call, user, "Create", told_changes(user))
    return Reply(200, render_user(call.world, user, ()))


def update_user(call: Call) -> Reply:
    """Change profile fields, or the state alone, of a user whose version is known."""
    world, body = call.world, call.body
    user = world.directory.users.get(call.ids["userId"])
    if user is None or (user.state == "deleted" and "state" not in body):
        user = world.user(call.ids["userId"])
    world.maybe_conflict()
    if body["version"] != user.version:
        message = f"version {body['version']} is not the current version of user {user.id}"
        raise ApiError(409, "general.conflict", message, field_name="version", entity_id=user.id)
    changes = {name: value for name, value in body.items() if name not in _READ_ONLY}
    if "state" in body:
        if changes:
            raise bad_field("state", "must be the only field that changes")
        action = _ACTION_OF.get((user.state, body["state"]), "Update")
        world.directory.set_state(user, body["state"])
        _tell(call, user, action, {"state": user.state})
    else:
        _refuse_taken_address(world, changes.get("email"), user)
        if "manager" in changes:
            changes["manager"] = {"id": changes["manager"], "version": 1}
        world.directory.change(user, changes)
        _tell(call, user, "Update", {name: str(value) for name, value in changes.items()})
    return Reply(200, render_user(world, user, ()))


def delete_user(call: Call) -> Reply:
    """Mark a user deleted."""
    user = call.world.user(call.ids["userId"])
    call.world.directory.set_state(user, "deleted")
    _tell(call, user, "Delete", {"state": user.state})
    return Reply(200, {})


def add_user(world: World, profile: Json, *, state: str, division_id: str | None = None) -> User:
    """Take a user in; also the way in for sign-ins.

    Args:
        world: The organization.
        profile: Wire names; `name` and `email` among them.
        state: active, inactive or deleted.
        division_id: The home division when left out.

    Raises:
        ApiError: 404 for an unknown division, 409 for an address in use; nothing was made.
    """
    division = world.division(division_id or world.home_division["id"])
    _refuse_taken_address(world, profile["email"], None)
    user = User(world.ids.new("user"), _PROFILE_DEFAULTS | profile, division["id"], state)
    world.directory.add(user)
    world.welcome(user)
    return user


def render_user(world: World, user: User, expand: Any) -> Json:
    """Return the entity, with the expansions asked for."""
    user.settle(world.clock.now_s())
    profile = {name: value for name, value in user.profile.items() if name not in _IN_EXPANSION_ONLY or name in expand}
    entity: Json = profile | {
        "id": user.id,
        "division": world.division(user.division_id),
        "state": user.state,
        "username": user.profile.get("username", user.email),
        "version": user.version,
        "primaryContactInfo": [{"address": user.email, "mediaType": "EMAIL", "type": "PRIMARY"}],
        "selfUri": f"/api/v2/users/{user.id}",
    }
    for name in expand:
        _expand(world, user, name, entity)
    return entity


def _expand(world: World, user: User, name: str, entity: Json) -> None:
    if name == "skills":
        entity[name] = [world.skills.by_id[each].held_by(user.id, rating) for each, rating in user.skills.items()]
    elif name == "languages":
        entity[name] = [world.languages.by_id[each].held_by(user.id, rating) for each, rating in user.languages.items()]
    elif name == "station":
        entity[name] = stations_of(world, user)
    elif name == "routingStatus":
        entity[name] = {"userId": user.id, "status": "OFF_QUEUE"}
    elif name == "authorization":
        held = dict.fromkeys(grant.role_id for grant, _ in world.access.grants_of(user.id))
        roles = [{"id": role_id, "name": world.access.roles[role_id]} for role_id in held]
        entity[name] = {"roles": roles, "permissions": []}
    elif name == "groups":
        entity[name] = [group.as_group() for group in world.access.groups.values() if user.id in group.members]
    elif name in {"locations", "profileSkills", "certifications"}:
        entity.setdefault(name, [])


def _tell(call: Call, user: User, action: str, changes: Json) -> None:
    call.world.tell(user, call.world.record(user, action, call.client_id, changes))


def _refuse_taken_address(world: World, email: str | None, own: User | None) -> None:
    holder = None if email is None else world.directory.by_email(email)
    if holder is not None and holder is not own:
        message = f"The address {email} is in use"
        raise ApiError(409, "general.conflict", message, field_name="email", entity_id=holder.id)


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/api/v2/users"): list_users,
    ("POST", "/api/v2/users"): create_user,
    ("POST", "/api/v2/users/search"): search_users,
    ("GET", "/api/v2/users/{userId}"): get_user,
    ("PATCH", "/api/v2/users/{userId}"): update_user,
    ("DELETE", "/api/v2/users/{userId}"): delete_user,
}
