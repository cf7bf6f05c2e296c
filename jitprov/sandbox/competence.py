"""The catalogue of routing skills and languages, and the organization's utilization.

Pure state; who has which skill is kept with the user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jitprov.sandbox.answers import Json

MEDIA_TYPES = frozenset({"call", "callback", "chat", "email", "message"})


@dataclass(slots=True)
class Competence:
    """A routing skill or a language."""

    id: str
    kind: Literal["skills", "languages"]
    name: str
    modified: str
    state: str = "active"
    version: int = 1
    division: Json | None = None

    def to_json(self) -> Json:
        """Return the catalogue entry."""
        entry: Json = {
            "id": self.id,
            "name": self.name,
            "dateModified": self.modified,
            "state": self.state,
            "version": str(self.version),
            "selfUri": f"/api/v2/routing/{self.kind}/{self.id}",
        }
        return entry if self.division is None else entry | {"division": self.division}

    def held_by(self, user_id: str, proficiency: float) -> Json:
        """Return the entry of one user who has it."""
        return {
            "id": self.id,
            "name": self.name,
            "proficiency": proficiency,
            "state": self.state,
            ("skillUri" if self.kind == "skills" else "languageUri"): f"/api/v2/routing/{self.kind}/{self.id}",
            "selfUri": f"/api/v2/users/{user_id}/routing{self.kind}/{self.id}",
        }


class Catalogue:
    """Skills or languages: by id, and in order of name."""

    def __init__(self, kind: Literal["skills", "languages"]) -> None:
        """Begin empty."""
        self.kind = kind
        self.by_id: dict[str, Competence] = {}
        self._in_order: list[Competence] | None = None

    def add(self, competence: Competence) -> None:
        """Take in a new entry."""
        self.by_id[competence.id] = competence
        self._in_order = None

    def in_order(self) -> list[Competence]:
        """Return all entries by name, capitals and small letters apart only where nothing else is."""
        if self._in_order is None:
            self._in_order = sorted(self.by_id.values(), key=lambda each: (each.name.casefold(), each.name))
        return self._in_order

    def named(self, name: str) -> Competence | None:
        """Return the entry of exactly this name."""
        return next((each for each in self.by_id.values() if each.name == name), None)

    def assignable(self, competence_id: str) -> Competence | None:
        """Return an entry that can be given to a user."""
        found = self.by_id.get(competence_id)
        return found if found is not None and found.state == "active" else None


def organization_utilization() -> Json:
    """Return what every agent has who has nothing of their own."""
    return {
        "utilization": {
            "call": {"maximumCapacity": 1, "interruptableMediaTypes": [], "includeNonAcd": False},
            "callback": {"maximumCapacity": 1, "interruptableMediaTypes": [], "includeNonAcd": False},
            "chat": {"maximumCapacity": 4, "interruptableMediaTypes": [], "includeNonAcd": False},
            "email": {"maximumCapacity": 1, "interruptableMediaTypes": ["call", "chat"], "includeNonAcd": False},
            "message": {"maximumCapacity": 4, "interruptableMediaTypes": [], "includeNonAcd": False},
        },
        "labelUtilizations": {},
        "maxInboundCalls": 1,
    }
