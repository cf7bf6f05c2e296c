"""What happened to users, as the audit service keeps it; the events for EventBridge are made of the same records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jitprov.sandbox.answers import Json

# Of the realtime query, as documented; of the other, a year and 30 days at once: unverified.
REALTIME_S = 14 * 86_400.0
KEPT_S = 365 * 86_400.0
SPAN_MAX_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Audit:
    """One record.

    Attributes:
        at_s: Sandbox instant.
        instant: The same, as written.
        client_id: OAuth client that did it.
        action: Create, Update, Delete, Restore …
        changes: Property → new value.
    """

    id: str
    at_s: float
    instant: str
    client_id: str
    action: str
    user_id: str
    user_name: str
    changes: Mapping[str, str]

    def to_json(self, organization_id: str) -> Json:
        """Return it as the audit query answers it."""
        return {
            "id": self.id,
            "userHomeOrgId": organization_id,
            "client": {"id": self.client_id},
            "serviceName": "Directory",
            "level": "USER",
            "eventDate": self.instant,
            "action": self.action,
            "entity": {"id": self.user_id, "name": self.user_name, "selfUri": f"/api/v2/users/{self.user_id}"},
            "entityType": "User",
            "status": "SUCCESS",
            "propertyChanges": [{"property": name, "newValues": [value]} for name, value in self.changes.items()],
        }


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """A query that was begun.

    Attributes:
        at_s: Sandbox instant of its begin.
        asked: Its body.
        found: What it will answer once it has succeeded.
    """

    id: str
    at_s: float
    asked: Json
    found: tuple[Audit, ...]
