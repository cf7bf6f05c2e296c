"""Ids of languages, divisions, roles, groups and queues by exact name; the organization's utilization. Shared reads.

Nothing is read that no rule asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from jitprov.cache import Cache
from jitprov.domain.agent import MediaShare, Place, RoleGrant, WantedState
from jitprov.domain.clock import Clock
from jitprov.errors import NameUnknown
from jitprov.genesys.access import HOME, AccessClient, Kind
from jitprov.genesys.listings import Listings, missing
from jitprov.genesys.shelf import Shelf
from jitprov.settings import Settings

_ONE: Mapping[Kind, str] = {
    "languages": "routing language",
    "divisions": "division",
    "roles": "role",
    "groups": "group",
    "queues": "queue",
}
_UTILIZATION = "utilization"


class Belongings:
    """What the organization has that agents can be given, beside skills.

    Args:
        access: Where it comes from.
        cache: Where it lies for all workers.
        clock: How to wait for another worker's read.
        settings: Organization and time scale.
    """

    def __init__(self, access: AccessClient, cache: Cache, clock: Clock, settings: Settings) -> None:
        self._access = access
        self._shelf = Shelf(cache, clock, settings)
        self._listings = Listings(self._shelf)

    def ids(self, kind: Kind, names: Iterable[str]) -> dict[str, str]:
        """Return ids by exact name; an unknown name has the listing read again, once a minute.

        Args:
            kind: Which listing.
            names: Of its things; among divisions `HOME` stands for the home division.

        Raises:
            NameUnknown: Says what is missing and what was probably meant.
        """
        ids, unknown = self.known_ids(kind, names)
        if unknown:
            raise NameUnknown("; ".join(unknown))
        return ids

    def known_ids(self, kind: Kind, names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
        """Return the ids of those that exist, and what is said of each other one; see `ids`."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}, []
        known = self._listings.known(kind, lambda: self._access.list_named(kind), wanted)
        unknown = [missing(_ONE[kind], name, known) for name in wanted if name not in known]
        return {name: known[name] for name in wanted if name in known}, unknown

    def forget(self) -> None:
        """Have everything read anew by whoever asks next: an id was refused."""
        for kind in (*_ONE, _UTILIZATION):
            self._shelf.drop(kind)
            self._shelf.drop(f"{kind}:fresh")

    def utilization(self) -> dict[str, MediaShare]:
        """Return what agents handle at once who have nothing of their own, by media."""

        def fetch() -> dict[str, str]:
            return {
                media: json.dumps(asdict(share)) for media, share in self._access.get_organization_utilization().items()
            }

        kept = self._listings.read(_UTILIZATION, fetch)
        shares = {}
        for media, text in kept.items():
            share = json.loads(text)
            shares[media] = MediaShare(media, share["capacity"], tuple(share["interruptible"]))
        return shares

    def resolved(self, wanted: WantedState) -> WantedState:
        """Return a wanted state with the ids of everything but its skills.

        Raises:
            NameUnknown: As `ids`.
        """
        languages = self.ids("languages", [language.name for language in wanted.languages])
        own = [wanted.division.name] if wanted.division else []
        divisions = self.ids("divisions", [*own, *(grant.division or HOME for grant in wanted.roles)])
        roles = self.ids("roles", [grant.role for grant in wanted.roles])
        groups = self.ids("groups", [group.name for group in wanted.groups])
        queues = self.ids("queues", [queue.name for queue in wanted.queues])
        return replace(
            wanted,
            languages=tuple(replace(each, language_id=languages[each.name]) for each in wanted.languages),
            division=Place(wanted.division.name, divisions[wanted.division.name]) if wanted.division else None,
            roles=tuple(
                RoleGrant(grant.role, grant.division, roles[grant.role], divisions[grant.division or HOME])
                for grant in wanted.roles
            ),
            groups=tuple(Place(group.name, groups[group.name]) for group in wanted.groups),
            queues=tuple(Place(queue.name, queues[queue.name]) for queue in wanted.queues),
        )
