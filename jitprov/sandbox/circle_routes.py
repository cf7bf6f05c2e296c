"""Routes of groups and queues: who is a member. A change is all or nothing."""

from __future__ import annotations

from jitprov.sandbox.access import Circle
from jitprov.sandbox.answers import ApiError, Json, Reply, bad_field, not_found, page_of
from jitprov.sandbox.calls import Call, Handler
from jitprov.sandbox.people_routes import render_user
from jitprov.sandbox.phone_routes import wildcard


def list_groups(call: Call) -> Reply:
    """Return a page of the groups."""
    found = list(call.world.access.groups.values())
    if call.query["id"] is not None:
        found = [group for group in found if group.id in call.query["id"]]
    return page_of(found, call.query, call.path, Circle.as_group)


def get_group(call: Call) -> Reply:
    """Return one group."""
    return Reply(200, _known(call, "group").as_group())


def list_group_members(call: Call) -> Reply:
    """Return a page of a group's members."""
    group, expand = _known(call, "group"), call.query["expand"] or ()
    users = [call.world.directory.users[user_id] for user_id in group.members]
    return page_of(users, call.query, call.path, lambda user: render_user(call.world, user, expand))


def add_group_members(call: Call) -> Reply:
    """Add up to 50 members; a version that is given must be the present one."""
    group, body = _known(call, "group"), call.body
    if body.get("version", group.version) != group.version:
        message = f"version {body['version']} is not the current version of group {group.id}"
        raise ApiError(409, "general.conflict", message, field_name="version", entity_id=group.id)
    group.add([call.world.user(user_id).id for user_id in body["memberIds"]])
    return Reply(202, {})


def remove_group_members(call: Call) -> Reply:
    """Remove members, named in a comma list."""
    group = _known(call, "group")
    group.remove([call.world.user(user_id).id for user_id in call.query["ids"].split(",") if user_id])
    return Reply(202, {})


def list_queues(call: Call) -> Reply:
    """Return a page of the queues; `name` takes wildcards."""
    found = sorted(call.world.access.queues.values(), key=lambda queue: queue.name)
    if call.query["name"] is not None:
        test = wildcard(call.query["name"])
        found = [queue for queue in found if test(queue.name)]
    return page_of(found, call.query, call.path, lambda queue: _queue(call, queue))


def list_queue_members(call: Call) -> Reply:
    """Return a page of a queue's members; the API gives no totals here."""
    queue, query = _known(call, "queue"), call.query
    by = query["memberBy"]
    members = [] if by == "group" else [(user_id, "user") for user_id in queue.members]
    if by != "user":
        members += [(user_id, "group") for user_id in sorted(queue.by_group) if by or user_id not in queue.members]
    first = (query["pageNumber"] - 1) * query["pageSize"]
    shown = [_member(call, queue, *member) for member in members[first : first + query["pageSize"]]]
    body: Json = {"entities": shown, "pageNumber": query["pageNumber"], "pageSize": query["pageSize"]}
    return Reply(200, body | {"selfUri": f"{call.path}?pageNumber={query['pageNumber']}"})


def change_queue_members(call: Call) -> Reply:
    """Add up to 100 members, or remove them with `delete=true`."""
    queue = _known(call, "queue")
    for entry in call.body:
        if "id" not in entry:
            raise bad_field("id", "is needed")
    user_ids = [call.world.user(entry["id"]).id for entry in call.body]
    if call.query["delete"]:
        queue.remove(user_ids)
    else:
        queue.add(user_ids)
    return Reply(204)


def remove_queue_member(call: Call) -> Reply:
    """Remove one member."""
    queue, user_id = _known(call, "queue"), call.ids["memberId"]
    if user_id not in queue.members:
        raise not_found("queue member", user_id)
    queue.remove([user_id])
    return Reply(204)


def list_queues_of_user(call: Call) -> Reply:
    """Return a page of the queues that a user is a member of."""
    user = call.world.user(call.ids["userId"])
    found = [
        queue for queue in call.world.access.queues.values() if user.id in queue.members or user.id in queue.by_group
    ]
    return page_of(found, call.query, call.path, lambda queue: {"id": queue.id, "name": queue.name, "joined": True})


def _known(call: Call, kind: str) -> Circle:
    pool = call.world.access.groups if kind == "group" else call.world.access.queues
    circle = pool.get(call.ids[f"{kind}Id"])
    if circle is None:
        raise not_found(kind, call.ids[f"{kind}Id"], "general.resource.not.found")
    return circle


def _queue(call: Call, queue: Circle) -> Json:
    home = call.world.home_division
    return {
        "id": queue.id,
        "name": queue.name,
        "division": call.world.division(home["id"]),
        "memberCount": len(queue.members),
        "selfUri": f"/api/v2/routing/queues/{queue.id}",
    }


def _member(call: Call, queue: Circle, user_id: str, member_by: str) -> Json:
    user = call.world.directory.users[user_id]
    return {
        "id": user_id,
        "name": user.name,
        "user": render_user(call.world, user, ()),
        "joined": True,
        "memberBy": member_by,
        "selfUri": f"/api/v2/routing/queues/{queue.id}/members/{user_id}",
    }


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/api/v2/groups"): list_groups,
    ("GET", "/api/v2/groups/{groupId}"): get_group,
    ("GET", "/api/v2/groups/{groupId}/members"): list_group_members,
    ("POST", "/api/v2/groups/{groupId}/members"): add_group_members,
    ("DELETE", "/api/v2/groups/{groupId}/members"): remove_group_members,
    ("GET", "/api/v2/routing/queues"): list_queues,
    ("GET", "/api/v2/routing/queues/{queueId}/members"): list_queue_members,
    ("POST", "/api/v2/routing/queues/{queueId}/members"): change_queue_members,
    ("DELETE", "/api/v2/routing/queues/{queueId}/members/{memberId}"): remove_queue_member,
    ("GET", "/api/v2/users/{userId}/queues"): list_queues_of_user,
}
