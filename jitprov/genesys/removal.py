"""The API's operations that take away from one agent what was given.

As `jitprov.genesys.client`, whose errors and manner these share. Every removal is safe to repeat: what is not there
any more, the agent included, is as good as taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from jitprov.domain.agent import RoleGrant
from jitprov.genesys.sorting import NotFound
from jitprov.genesys.transport import Transport
from jitprov.genesys.understanding import checked


class RemovalClient:
    """The part of Genesys Cloud that takes away. Errors are those of `Transport.request`; a 404 is none."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def remove_skill(self, user_id: str, skill_id: str) -> None:
        """Take one routing skill away.

        Source: DELETE /api/v2/users/{userId}/routingskills/{skillId}, routing:skill:assign. Cost: 1.
        """
        self._remove("DELETE", f"/api/v2/users/{checked(user_id)}/routingskills/{checked(skill_id)}")

    def reset_utilization(self, user_id: str) -> None:
        """Put a user back on the organization's utilization.

        Source: DELETE /api/v2/routing/users/{userId}/utilization, routing:utilization:manage. Cost: 1.
        """
        self._remove("DELETE", f"/api/v2/routing/users/{checked(user_id)}/utilization")

    def revoke_roles(self, user_id: str, grants: Sequence[RoleGrant]) -> None:
        """Take roles in divisions away from one user.

        Source: POST /api/v2/authorization/subjects/{subjectId}/bulkremove, authorization:grant:delete. Cost: 1.
        """
        pairs = [{"roleId": checked(each.role_id), "divisionId": checked(each.division_id)} for each in grants]
        path = f"/api/v2/authorization/subjects/{checked(user_id)}/bulkremove"
        self._remove("POST", path, json={"grants": pairs})

    def remove_from_group(self, user_id: str, group_id: str) -> None:
        """End a membership of a group.

        Source: DELETE /api/v2/groups/{groupId}/members?ids=, no permission listed; 202. Cost: 1.
        """
        self._remove("DELETE", f"/api/v2/groups/{checked(group_id)}/members", params={"ids": checked(user_id)})

    def remove_from_queue(self, user_id: str, queue_id: str) -> None:
        """End a membership of a queue.

        Source: DELETE /api/v2/routing/queues/{queueId}/members/{memberId}, routing:queue:edit or
        routing:queueMember:manage. Cost: 1.
        """
        self._remove("DELETE", f"/api/v2/routing/queues/{checked(queue_id)}/members/{checked(user_id)}")

    def move_back(self, user_id: str, division_id: str) -> None:
        """Move one user to a division.

        Source: POST /api/v2/authorization/divisions/{divisionId}/objects/USER, no permission listed. Cost: 1.
        """
        path = f"/api/v2/authorization/divisions/{checked(division_id)}/objects/USER"
        self._remove("POST", path, json=[checked(user_id)])

    def remove_phone(self, phone_id: str) -> None:
        """Delete a phone; its station goes with it.

        Source: DELETE /api/v2/telephony/providers/edges/phones/{phoneId}, telephony:plugin:all. Cost: 1.
        """
        self._remove("DELETE", f"/api/v2/telephony/providers/edges/phones/{checked(phone_id)}")

    def _remove(self, method: str, path: str, **content: Any) -> None:
        with suppress(NotFound):
            self._transport.request(method, path, safe=True, **content)
