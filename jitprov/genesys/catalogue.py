"""What is the same for all agents: skill ids, site, phone base. Read once for all workers."""

from __future__ import annotations

from collections.abc import Sequence

from jitprov.cache import Cache
from jitprov.domain.clock import Clock
from jitprov.errors import NameUnknown, SetupMissing, SkillUnknown
from jitprov.genesys.client import GenesysClient
from jitprov.genesys.listings import REFRESH_EVERY_S, Listings, missing
from jitprov.genesys.payloads import PhoneSetup
from jitprov.genesys.shelf import Shelf
from jitprov.settings import Settings


class Catalogue:
    """Shared reads.

    Args:
        client: Where they come from.
        cache: Where they lie for all workers.
        clock: How to wait for another worker's read.
        settings: Time scale.
    """

    def __init__(self, client: GenesysClient, cache: Cache, clock: Clock, settings: Settings) -> None:
        self._client = client
        self._shelf = Shelf(cache, clock, settings)
        self._listings = Listings(self._shelf)

    def skill_ids(self, names: Sequence[str]) -> dict[str, str]:
        """Return the ids of skills by exact name; an unknown name has the catalogue read again, once a minute.

        Raises:
            SkillUnknown: Names what is missing and what was probably meant.
        """
        ids, unknown = self.known_skill_ids(names)
        if unknown:
            raise SkillUnknown("; ".join(unknown))
        return ids

    def forget(self) -> None:
        """Have everything that is looked up by name read anew by whoever asks next."""
        for name in ("skills", "sites", "phone-bases"):
            self._shelf.drop(name)
            self._shelf.drop(f"{name}:fresh")

    def forget_skills(self) -> None:
        """Have the skills read anew by whoever asks next: an id of them was refused."""
        self._shelf.drop("skills")

    def known_skill_ids(self, names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Return the ids of those skills that exist, and what is said of each other one."""
        if not names:
            return {}, []
        known = self._listings.known("skills", self._client.list_routing_skills, names)
        unknown = [missing("routing skill", name, known) for name in names if name not in known]
        return {name: known[name] for name in names if name in known}, unknown

    def phone_setup(self, site: str = "", base: str = "") -> PhoneSetup:
        """Return the site, WebRTC phone base and line base that a phone is made with.

        Args:
            site: Name of a site; the organization's default when empty.
            base: Name of WebRTC phone base settings; the first there are when empty.

        Raises:
            SetupMissing: The organization lacks one; looked for again at most once a minute, by all workers together.
            NameUnknown: No site or base is named so; says what was probably meant.
        """
        site_id, (phone_base_id, line_base_id) = self.site_id(site) if site else "", self.phone_base(base)
        return PhoneSetup(site_id or self._default_setup()["site"], phone_base_id, line_base_id)

    def site_id(self, name: str) -> str:
        """Return the id of a site by exact name.

        Raises:
            NameUnknown: Says what was probably meant.
        """
        known = self._listings.known("sites", self._client.list_sites, [name])
        if name not in known:
            raise NameUnknown(missing("site", name, known))
        return known[name]

    def phone_base(self, name: str = "") -> tuple[str, str]:
        """Return the ids of WebRTC phone base settings, by exact name or the first there are, and of their line base.

        Raises:
            SetupMissing: There are none.
            NameUnknown: Says what was probably meant.
        """
        if not name:
            setup = self._default_setup()
            return setup["phone"], setup["line"]

        def fetch() -> dict[str, str]:
            bases = self._client.list_webrtc_bases()
            return {each: f"{base.phone_base_id} {base.line_base_id}" for each, base in bases.items()}

        known = self._listings.known("phone-bases", fetch, [name])
        if name not in known:
            raise NameUnknown(missing("WebRTC phone base", name, known))
        phone_base_id, _, line_base_id = known[name].partition(" ")
        return phone_base_id, line_base_id

    def _default_setup(self) -> dict[str, str]:

        def fetch() -> dict[str, str]:
            told = self._shelf.get("setup-missing", near=False)
            if told is not None:
                raise SetupMissing(told.decode())
            try:
                base = next(iter(self._client.list_webrtc_bases().values()))
                site_id = self._client.get_default_site_id()
            except SetupMissing as error:
                self._shelf.put("setup-missing", error.message.encode(), keep_s=REFRESH_EVERY_S)
                raise
            return {"site": site_id, "phone": base.phone_base_id, "line": base.line_base_id}

        return self._listings.read("phone-setup", fetch)
