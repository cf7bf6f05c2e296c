"""The audit event of a new user, in the envelope in which EventBridge carries it."""

from __future__ import annotations

from jitprov.sandbox.answers import Json
from jitprov.sandbox.directory import User
from jitprov.sandbox.world import World

DETAIL_TYPE = "v2.audits.entitytype.{id}.entityid.{id}"
_ACCOUNT = "123456789012"
_REGION = "eu-central-1"
_TOLD = ("name", "email", "title", "department")


def user_created(world: World, user: User) -> Json:
    """Return the envelope that says that `user` was created, by a client of its own."""
    now_s = world.clock.now_s()
    instant = world.clock.iso(now_s)
    changes = [{"property": name, "newValues": [user.profile[name]]} for name in _TOLD if user.profile.get(name)]
    changes.append({"property": "state", "newValues": [user.state]})
    body: Json = {
        "id": world.ids.new("audit"),
        "userHomeOrgId": world.organization_id,
        "username": {"id": ""},
        "clientId": {"id": world.ids.new("directory client")},
        "serviceName": "Directory",
        "eventTime": instant,
        "action": "Create",
        "entityType": "User",
        "entity": {"id": user.id, "name": user.name},
        "propertyChanges": changes,
    }
    return {
        "version": "0",
        "id": world.ids.new("event"),
        "detail-type": DETAIL_TYPE,
        "source": f"aws.partner/genesys.com/cloud/{world.organization_id}/agent-provisioning",
        "account": _ACCOUNT,
        "time": f"{instant[:19]}Z",
        "region": _REGION,
        "resources": [],
        "detail": {
            "topicName": f"v2.audits.entitytype.User.entityid.{user.id}",
            "version": "2",
            "eventBody": body,
            "metadata": {"CorrelationId": world.ids.correlation_id()},
            "timestamp": instant,
        },
    }
