"""Who belongs to what: roles granted in divisions, groups, queues. Pure state; answers no HTTP and checks no schema."""

from __future__ import annotations

from dataclasses import dataclass, field

from jitprov.sandbox.answers import Json
from jitprov.sandbox.identifiers import Identifiers

# Name, and whether every user holds it from the start in the home division.
ROLES = (
    ("employee", True),
    ("Communicate - User", False),
    ("Agent", False),
    ("Seasonal Agent", False),
    ("Quality Evaluator", False),
    ("Supervisor", False),
    ("admin", False),
)
GROUPS = ("Seasonal Team", "Retail Floor", "Tech Support Floor", "Announcements")
QUEUES = ("Retail Calls", "Retail Chat", "Tech Support Calls", "Overflow")


@dataclass(frozen=True, slots=True)
class Grant:
    """One role of one subject in one division."""

    subject_id: str
    role_id: str
    division_id: str


@dataclass(slots=True)
class Circle:
    """A group or a queue: something that users are members of.

    Attributes:
        version: Counts the changes of membership.
        members: User ids, in the order in which they came.
        by_group: User ids of those who are in a queue because a group of theirs is.
    """

    id: str
    name: str
    made_at: str
    version: int = 1
    members: dict[str, None] = field(default_factory=dict)
    by_group: set[str] = field(default_factory=set)

    def as_group(self) -> Json:
        """Return the group entity."""
        return {
            "id": self.id,
            "name": self.name,
            "dateModified": self.made_at,
            "memberCount": len(self.members),
            "state": "active",
            "version": self.version,
            "type": "official",
            "rulesVisible": True,
            "visibility": "public",
            "rolesEnabled": False,
            "selfUri": f"/api/v2/groups/{self.id}",
        }

    def add(self, user_ids: list[str]) -> None:
        """Take members in; one who is in already changes nothing."""
        self.members.update(dict.fromkeys(user_ids))
        self.version += 1

    def remove(self, user_ids: list[str]) -> None:
        """Let members go; one who is not in changes nothing."""
        for user_id in user_ids:
            self.members.pop(user_id, None)
        self.version += 1


class Access:
    """Roles with their grants, groups and queues of the organization."""

    def __init__(self, ids: Identifiers, made_at: str) -> None:
        """Seed them; nobody is in yet."""
        self.roles = {ids.new("role"): name for name, _ in ROLES}
        of_everyone = {name for name, everyone in ROLES if everyone}
        self.of_everyone = tuple(role_id for role_id, name in self.roles.items() if name in of_everyone)
        self.grants: dict[Grant, str] = {}
        self.groups = {group.id: group for group in (Circle(ids.new("group"), name, made_at) for name in GROUPS)}
        self.queues = {queue.id: queue for queue in (Circle(ids.new("queue"), name, made_at) for name in QUEUES)}

    def grant(self, grants: list[Grant], made_at: str) -> None:
        """Grant roles; one that is held already keeps its instant."""
        for grant in grants:
            self.grants.setdefault(grant, made_at)

    def revoke(self, grants: list[Grant]) -> None:
        """Take roles away; one that is not held changes nothing."""
        for grant in grants:
            self.grants.pop(grant, None)

    def grants_of(self, subject_id: str) -> list[tuple[Grant, str]]:
        """Return what a subject holds and since when."""
        return [(grant, made_at) for grant, made_at in self.grants.items() if grant.subject_id == subject_id]

    def report(self, user_id: str) -> Json:
        """Return what a user holds, by name, for a judge."""
        return {
            "roles": [
                {"id": grant.role_id, "name": self.roles[grant.role_id], "division_id": grant.division_id}
                for grant, _ in self.grants_of(user_id)
            ],
            "groups": [group.name for group in self.groups.values() if user_id in group.members],
            "queues": [
                queue.name for queue in self.queues.values() if user_id in queue.members or user_id in queue.by_group
            ],
        }
