"""What agents have, read as cheaply as it can be known: for a few agents on their own, for many by listings.

Skills, languages, division, default station and groups come with the listing of users. Phones, stations and queues are
listed for all when that takes fewer calls than asking for each. Roles with their divisions, and utilization, the API
tells of one agent at a time only: they are read when `thorough`; else roles are known by name, and utilization is not.
So are queues that replacing takes away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jitprov.domain.actual import ANY_DIVISION, Actual
from jitprov.domain.agent import Phone, WantedState
from jitprov.genesys.access import AccessClient
from jitprov.genesys.client import GenesysClient
from jitprov.genesys.holdings import HoldingsClient, Listed

# So few agents are asked about one by one.
_FEW = 3


@dataclass(frozen=True, slots=True)
class ActualReader:
    """Reads what agents have. Errors are those of the clients.

    Attributes:
        genesys: Tells phones of one agent.
        access: Tells utilization.
        holdings: Tells everything else.
    """

    genesys: GenesysClient
    access: AccessClient
    holdings: HoldingsClient

    def read(self, listed: Sequence[Listed], wanted: Mapping[str, WantedState], *, thorough: bool) -> dict[str, Actual]:
        """Return what agents have, by user id; only what the rules ask of each is looked at.

        Args:
            listed: Who.
            wanted: What the rules want, with ids, by user id; those who are not in it are left out.
            thorough: Whether to ask about each agent what no listing tells.
        """
        asked = {each.profile.user_id: each for each in listed if each.profile.user_id in wanted}
        phones = self._phones([user_id for user_id in asked if wanted[user_id].phone])
        at_own = self._at_own_phone(asked, phones)
        queues = self._queues({user_id: wanted[user_id].queue_ids for user_id in asked if wanted[user_id].queues})
        found = {}
        for user_id, each in asked.items():
            wish = wanted[user_id]
            found[user_id] = Actual(
                each.profile,
                utilization=self.access.get_utilization(user_id) if thorough and wish.utilization else None,
                roles=self._roles(each, wish, thorough=thorough),
                queues=queues.get(user_id),
                spare_queues=self.holdings.spare_queues(user_id, kept=wish.queue_ids)
                if thorough and wish.replaces_queues
                else None,
                phones=phones.get(user_id),
                at_own_phone=at_own.get(user_id),
            )
        return found

    def _roles(self, each: Listed, wish: WantedState, *, thorough: bool) -> frozenset[tuple[str, str]]:
        # Who holds none of the wanted roles need not be asked where.
        held = frozenset((role_id, ANY_DIVISION) for role_id in each.roles.values())
        if not thorough or not any((grant.role_id, ANY_DIVISION) in held for grant in wish.roles):
            return held
        return self.holdings.grants_of(each.profile.user_id)

    def _phones(self, user_ids: Sequence[str]) -> dict[str, tuple[Phone, ...]]:
        every = self.holdings.phones_by_user(pages_max=len(user_ids)) if len(user_ids) > _FEW else None
        if every is None:
            return {user_id: tuple(self.genesys.find_phones(user_id)) for user_id in user_ids}
        return {user_id: tuple(every.get(user_id, ())) for user_id in user_ids}

    def _at_own_phone(self, asked: Mapping[str, Listed], phones: Mapping[str, tuple[Phone, ...]]) -> dict[str, bool]:
        """Tell of everybody who has a phone whether the default station is the phone's."""
        default = {user_id: asked[user_id].profile.default_station_id for user_id, held in phones.items() if held}
        by_line = {user_id for user_id, station_id in default.items() if station_id == phones[user_id][0].line_id}
        unsure = {user_id: each for user_id, each in default.items() if each and user_id not in by_line}
        owners = self.holdings.users_of_stations(list(unsure.values()))
        return {
            user_id: user_id in by_line or owners.get(station_id) == user_id for user_id, station_id in default.items()
        }

    def _queues(self, wanted: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        every = frozenset[str]().union(*wanted.values())
        if len(wanted) <= max(_FEW, len(every)):
            return {user_id: self.holdings.queues_of(user_id, enough=ids) for user_id, ids in wanted.items()}
        members = {queue_id: self.holdings.members_of(queue_id) for queue_id in every}
        return {user_id: frozenset(each for each in every if user_id in members[each]) for user_id in wanted}
