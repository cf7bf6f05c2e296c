"""Division, roles, groups and queues: one call serves the many agents who wait and shall have the same.

The agent whose turn it is has the call made, for themselves and for agents who wait and shall have the same: those whom
the rules have judged and who are under way, and those whose profile was read ahead, judged here. What was given to whom
is noted on the shared shelf for a quarter of an hour; when those agents' own turn comes they find it done, and spend no
call. A note that is lost costs a call and nothing else, since every one of these calls may be repeated. One worker at a
time gives (docs/decisions/0024).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jitprov.domain.actual import Actual
from jitprov.domain.agent import Granted, Profile, WantedState
from jitprov.domain.difference import Grantable, lacking
from jitprov.domain.provisioning import EVERY_STEP, Step
from jitprov.errors import NameUnknown, NoRuleMatched, Refused, TryAgain
from jitprov.genesys.access import (
    GROUP_MEMBERS_PER_POST,
    QUEUE_MEMBERS_PER_POST,
    USERS_PER_GRANT,
    USERS_PER_MOVE,
    AccessClient,
)
from jitprov.genesys.belongings import Belongings
from jitprov.genesys.shelf import Shelf
from jitprov.ledger import Ledger
from jitprov.pipeline.profiles import ProfileReader
from jitprov.rules.living import LivingRules

_LOOKED_AT_MAX = 200
_KEEP_S = 900.0
_TURN = "grants"
# Who stands before one of these has been judged by the rules.
_JUDGED = EVERY_STEP[Step.RESOLVE_SKILLS.number :]


def grantables(wanted: WantedState, profile: Profile) -> list[Grantable]:
    """Return what an agent must be given, the division first; nothing that the profile shows to be there."""
    return lacking(wanted, Actual(profile, roles=frozenset(profile.role_ids), queues=frozenset(profile.queue_ids)))


class Grants:
    """Gives access to all workers' agents.

    Args:
        access: Makes the calls.
        belongings: Knows ids by name.
        rules: What others who wait shall have.
        profiles: Read ahead.
        ledger: Tells who waits.
        shelf: Where it is noted who was given what.
    """

    def __init__(
        self,
        access: AccessClient,
        belongings: Belongings,
        rules: LivingRules,
        profiles: ProfileReader,
        ledger: Ledger,
        shelf: Shelf,
    ) -> None:
        self._belongings = belongings
        self._rules = rules
        self._profiles = profiles
        self._ledger = ledger
        self._shelf = shelf
        self._calls: Mapping[str, tuple[int, Callable[..., None]]] = {
            "division": (USERS_PER_MOVE, access.move_to_division),
            "role": (USERS_PER_GRANT, access.grant_role),
            "group": (GROUP_MEMBERS_PER_POST, access.add_to_group),
            "queue": (QUEUE_MEMBERS_PER_POST, access.add_to_queue),
        }

    def give(self, user_id: str, wanted: WantedState, profile: Profile, *, anew: bool = False) -> tuple[Granted, ...]:
        """Give an agent what is wanted, and with the same calls others who wait.

        Args:
            user_id: Whose turn it is.
            wanted: With ids.
            profile: Of the agent.
            anew: Whether notes of earlier calls count for nothing, and others are left out.

        Returns:
            Each thing with how the agent came by it.

        Raises:
            StepError: A call for this agent alone failed; what was given before it stands and is noted.
        """
        things = grantables(wanted, profile)
        everything = grantables(wanted, Profile(user_id))
        there = [Granted(thing.what, thing.name, "there") for thing in everything if thing not in things]
        if not anew and {thing.note for thing in things} <= self._noted([user_id])[user_id]:
            return (*there, *(Granted(thing.what, thing.name, "earlier") for thing in things))
        with self._shelf.turn(_TURN):
            turn = _Turn(user_id, set()) if anew else self._turn_of(user_id)
            given = [self._given(thing, turn) for thing in things]
        return (*there, *given)

    def forget_notes(self, user_id: str) -> None:
        """Let what was noted about an agent count for nothing: something is taken away from them."""
        self._shelf.drop(_key(user_id))

    def _given(self, thing: Grantable, turn: _Turn) -> Granted:
        if thing.note in turn.had:
            return Granted(thing.what, thing.name, "earlier")
        at_most, call = self._calls[thing.what]
        others = [other for other, lacking in turn.lacking.items() if thing in lacking][: at_most - 1]
        try:
            call(*thing.ids, [turn.user_id, *others])
        except (Refused, TryAgain):
            if not others:
                raise
            # One of them may be what the API refuses; that is for their own turn to find out.
            others = []
            call(*thing.ids, [turn.user_id])
        self._note(thing, [turn.user_id, *others])
        return Granted(thing.what, thing.name, "own", 1 + len(others))

    def _turn_of(self, user_id: str) -> _Turn:
        """Return what the agent was given before, and what others lack.

        They are those whom the rules have judged and who are under way, and those who wait to be judged and whose
        profile is known.
        """
        judged = {
            record.user_id: record.findings
            for step in _JUDGED
            for record in self._ledger.standing_at(step, limit=_LOOKED_AT_MAX)
            if not record.cancel_asked and record.user_id != user_id
        }
        book = self._rules.in_force()
        waiting = [other for other in self._ledger.waiting_users(limit=_LOOKED_AT_MAX) if other != user_id]
        profiles = self._profiles.read_ahead(waiting)
        noted = self._noted([user_id, *judged, *profiles])
        lacking = {
            other: [thing for thing in grantables(found.wanted, found.profile) if thing.note not in noted[other]]
            for other, found in judged.items()
            if found.wanted and found.profile
        }
        for other, profile in profiles.items():
            try:
                wanted = book.wanted_for(profile)
                things = grantables(self._belongings.resolved(wanted), profile) if wanted.asks_access else []
            except (NoRuleMatched, NameUnknown):
                continue  # for their own turn to find out
            # Rules that look at the division would judge an agent otherwise who was moved before their turn.
            early = [thing for thing in things if not (thing.what == "division" and book.looks_at_division)]
            blind = book.looks_at_location and profile.locations is None  # read before the rules looked there
            if profile.state != "deleted" and not blind:
                lacking[other] = [thing for thing in early if thing.note not in noted[other]]
        return _Turn(user_id, noted[user_id], lacking)

    def _noted(self, user_ids: Sequence[str]) -> dict[str, set[str]]:
        found = self._shelf.get_many([_key(user_id) for user_id in user_ids])
        return {user_id: _read(raw) for user_id, raw in zip(user_ids, found, strict=True)}

    def _note(self, thing: Grantable, user_ids: Sequence[str]) -> None:
        notes = {
            _key(user_id): json.dumps(sorted(noted | {thing.note})).encode()
            for user_id, noted in self._noted(user_ids).items()
        }
        self._shelf.put_many(notes, keep_s=_KEEP_S)


def forget_notes(shelf: Shelf, user_ids: Sequence[str]) -> None:
    """Forget what agents were given, before somebody has them looked at anew."""
    for user_id in user_ids:
        shelf.drop(_key(user_id))


@dataclass(frozen=True, slots=True)
class _Turn:
    """Whose turn it is, what they were given before, and what others lack."""

    user_id: str
    had: set[str]
    lacking: Mapping[str, Sequence[Grantable]] = field(default_factory=dict)


def _read(raw: bytes | None) -> set[str]:
    try:
        return set(map(str, json.loads(raw))) if raw else set()
    except (ValueError, TypeError):
        return set()  # a lost note costs a call


def _key(user_id: str) -> str:
    return f"granted:{user_id}"
