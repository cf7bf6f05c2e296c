"""The users of the stand-in organization and what belongs to each: profile, skills, languages, utilization, stations.

Pure state with indices; answers no HTTP and checks no schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jitprov.sandbox.answers import Json


@dataclass(slots=True)
class Assignment:
    """A station a user has, or will have once the accepted request takes effect.

    Attributes:
        station_id: The station now in effect; None for none.
        coming_station_id: The station a pending change brings; None takes the station away.
        coming_at_s: Sandbox instant of the pending change; None when nothing is pending.
        since_s: Sandbox instant the present value took effect.
    """

    station_id: str | None = None
    coming_station_id: str | None = None
    coming_at_s: float | None = None
    since_s: float = 0.0

    def settle(self, now_s: float) -> None:
        """Let a pending change that is due take effect."""
        if self.coming_at_s is not None and self.coming_at_s <= now_s:
            self.station_id, self.since_s, self.coming_at_s = self.coming_station_id, self.coming_at_s, None

    def become(self, station_id: str | None, at_s: float) -> None:
        """Plan a change; a later plan replaces an earlier one."""
        self.coming_station_id, self.coming_at_s = station_id, at_s

    def clear_of(self, station_id: str, now_s: float) -> None:
        """Forget a station that is gone."""
        if self.coming_at_s is not None and self.coming_station_id == station_id:
            self.coming_at_s = None
        if self.station_id == station_id:
            self.station_id, self.since_s = None, now_s


@dataclass(slots=True)
class User:
    """One user; `profile` holds the fields that PATCH may set, under their wire names."""

    id: str
    profile: Json
    division_id: str
    state: str
    version: int = 1
    skills: dict[str, float] = field(default_factory=dict)
    languages: dict[str, float] = field(default_factory=dict)
    utilization: Json | None = None
    default_station: Assignment = field(default_factory=Assignment)
    associated_station: Assignment = field(default_factory=Assignment)

    @property
    def name(self) -> str:
        """The display name."""
        return str(self.profile["name"])

    @property
    def email(self) -> str:
        """The address, which is unique among users that are not deleted."""
        return str(self.profile["email"])

    def reference(self) -> Json:
        """Return the short form that other entities carry."""
        return {"id": self.id, "name": self.name, "selfUri": f"/api/v2/users/{self.id}"}

    def settle(self, now_s: float) -> None:
        """Let station changes that are due take effect."""
        self.default_station.settle(now_s)
        self.associated_station.settle(now_s)


class Directory:
    """All users, by id and by address."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.users: dict[str, User] = {}
        self._by_email: dict[str, str] = {}

    def add(self, user: User) -> None:
        """Take in a user whose address is free."""
        self.users[user.id] = user
        self._by_email[user.email.casefold()] = user.id

    def by_email(self, email: str) -> User | None:
        """Return the user that holds an address, compared without case."""
        user_id = self._by_email.get(email.casefold())
        return None if user_id is None else self.users[user_id]

    def change(self, user: User, changes: Json) -> None:
        """Set profile fields and count the version up."""
        if "email" in changes:
            self._by_email.pop(user.email.casefold(), None)
            self._by_email[str(changes["email"]).casefold()] = user.id
        user.profile |= changes
        user.version += 1

    def set_state(self, user: User, state: str) -> None:
        """Move a user between active, inactive and deleted; a deleted user frees its address."""
        user.state = state
        user.version += 1
        address = user.email.casefold()
        if state == "deleted":
            if self._by_email.get(address) == user.id:
                del self._by_email[address]
        else:
            self._by_email[address] = user.id

    def existing(self, user_id: Any) -> User | None:
        """Return a user that is there and not deleted."""
        user = self.users.get(user_id) if isinstance(user_id, str) else None
        return None if user is None or user.state == "deleted" else user
