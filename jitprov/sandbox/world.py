"""The whole state of the stand-in organization, made anew from options and seed.

Mutated only on the server's loop by functions that do not await, so that every change has one instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jitprov.sandbox.access import Access, Grant
from jitprov.sandbox.answers import ApiError, Json, not_found
from jitprov.sandbox.audits import Audit, AuditQuery
from jitprov.sandbox.clock import SandboxClock
from jitprov.sandbox.competence import organization_utilization
from jitprov.sandbox.directory import Directory, User
from jitprov.sandbox.identifiers import Identifiers
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.seed import seed_divisions, seed_languages, seed_skills, seed_telephony
from jitprov.sandbox.telephony import Station


class World:
    """Everything that routes read and change."""

    def __init__(self, options: SandboxOptions, clock: SandboxClock, seed: int) -> None:
        """Build the organization as it is before anyone signs in.

        Args:
            options: How it behaves; may be replaced at any time.
            clock: Sandbox time.
            seed: Decides ids, names and drawn numbers.
        """
        self.options = options
        self.clock = clock
        self.ids = Identifiers(seed)
        made_at = clock.iso(clock.now_s())
        self.organization_id = self.ids.new("organization")
        self.divisions = seed_divisions(self.ids)
        self.home_division = next(iter(self.divisions.values()))
        self.skills = seed_skills(self.ids, made_at)
        self.languages = seed_languages(self.ids, made_at)
        self.utilization = organization_utilization()
        self.telephony = seed_telephony(self.ids, made_at, self.home_division)
        self.directory = Directory()
        self.access = Access(self.ids, made_at)
        self.audits: list[Audit] = []
        self.audit_queries: dict[str, AuditQuery] = {}
        # Who is told of each audit of a change made by the API; the control port, which posts events.
        self.tell: Callable[[User, Audit], None] = lambda _user, _audit: None
        self.identity_providers: dict[str, Json] = {}
        self.locations: dict[str, str] = {}
        self.invented_people = 0
        self._lags = self.ids.drawn("lags")
        self._conflicts = self.ids.drawn("conflicts")

    def user(self, user_id: str) -> User:
        """Return a user that is not deleted, with due station changes in effect.

        Raises:
            ApiError: 404.
        """
        user = self.directory.existing(user_id)
        if user is None:
            raise not_found("user", user_id, "general.resource.not.found")
        user.settle(self.clock.now_s())
        return user

    def record(self, user: User, action: str, client_id: str, changes: Mapping[str, str]) -> Audit:
        """Keep an audit of what was done to a user, and return it."""
        now_s = self.clock.now_s()
        audit_id, instant = self.ids.new("audit"), self.clock.iso(now_s)
        audit = Audit(audit_id, now_s, instant, client_id, action, user.id, user.name, changes)
        self.audits.append(audit)
        return audit

    def welcome(self, user: User) -> None:
        """Give a new user what everyone holds."""
        made_at, home_id = self.clock.iso(self.clock.now_s()), self.home_division["id"]
        self.access.grant([Grant(user.id, role_id, home_id) for role_id in self.access.of_everyone], made_at)

    def lag_s(self, bounds: tuple[float, float]) -> float:
        """Draw a lag between two bounds, in sandbox seconds."""
        return bounds[0] if bounds[0] == bounds[1] else self._lags.uniform(*bounds)

    def maybe_conflict(self) -> None:
        """Meet a made-up concurrent change, as often as the options say.

        Raises:
            ApiError: 409.
        """
        if self._conflicts.random() < self.options.version_conflict_share:
            raise ApiError(409, "general.conflict", "The entity was changed by another request; read it again")

    def release_station(self, station: Station) -> None:
        """Take a station that is going away from every user that has it."""
        now_s = self.clock.now_s()
        users = self.directory.users
        holders = users.values() if station.webrtc_user_id is None else [users[station.webrtc_user_id]]
        for user in holders:
            user.default_station.clear_of(station.id, now_s)
            user.associated_station.clear_of(station.id, now_s)

    def division(self, division_id: str) -> Json:
        """Return the reference to a division.

        Raises:
            ApiError: 404.
        """
        division = self.divisions.get(division_id)
        if division is None:
            raise not_found("division", division_id)
        return {name: division[name] for name in ("id", "name", "selfUri")}
