"""The audit event of a user, in the envelope in which EventBridge carries it."""

from __future__ import annotations

from jitprov.sandbox.answers import Json
from jitprov.sandbox.audits import Audit
from jitprov.sandbox.directory import User
from jitprov.sandbox.world import World

DETAIL_TYPE = "v2.audits.entitytype.{id}.entityid.{id}"
_ACCOUNT = "123456789012"
_REGION = "eu-central-1"
_TOLD = ("name", "email", "title", "department")


def told_changes(user: User) -> dict[str, str]:
    """Return the properties that the audit of a new user tells."""
    told = {name: str(user.profile[name]) for name in _TOLD if user.profile.get(name)}
    return told | {"state": user.state}


def event_of(world: World, audit: Audit) -> Json:
    """Return the envelope that carries an audit. Absent things are `{}` or empty, as in the samples known."""
    body: Json = {
        "id": audit.id,
        "userHomeOrgId": world.organization_id,
        "username": {"id": ""},
        "clientId": {"id": audit.client_id},
        "serviceName": "Directory",
        "eventTime": audit.instant,
        "action": audit.action,
        "entityType": "User",
        "entity": {"id": audit.user_id, "name": audit.user_name},
        "propertyChanges": [{"property": name, "newValues": [value]} for name, value in audit.changes.items()],
    }
    instant = audit.instant
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
            "topicName": f"v2.audits.entitytype.User.entityid.{audit.user_id}",
            "version": "2",
            "eventBody": body,
            "metadata": {"CorrelationId": world.ids.correlation_id()},
            "timestamp": instant,
        },
    }
