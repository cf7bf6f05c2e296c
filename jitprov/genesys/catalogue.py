"""What is the same for all agents: skill ids, site, phone base. Read once for all workers."""

from __future__ import annotations

from collections.abc import Sequence

from jitprov.cache import Cache
from jitprov.domain.clock import Clock
from jitprov.errors import SetupMissing, SkillUnknown
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
        if not names:
            return {}
        known = self._listings.read("skills", self._client.list_routing_skills)
        if any(name not in known for name in names):
            known = self._listings.read_again("skills", self._client.list_routing_skills, known)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise SkillUnknown("; ".join(missing("routing skill", name, known) for name in unknown))
        return {name: known[name] for name in names}

    def forget_skills(self) -> None:
        """Have the skills read anew by whoever asks next: an id of them was refused."""
        self._shelf.drop("skills")

    def phone_setup(self) -> PhoneSetup:
        """Return default site, WebRTC phone base and line base.

        Raises:
            SetupMissing: The organization lacks one; looked for again at most once a minute, by all workers together.
        """

        def fetch() -> dict[str, str]:
            told = self._shelf.get("setup-missing", near=False)
            if told is not None:
                raise SetupMissing(told.decode())
            try:
                base = self._client.find_webrtc_base()
                site_id = self._client.get_default_site_id()
            except SetupMissing as error:
                self._shelf.put("setup-missing", error.message.encode(), keep_s=REFRESH_EVERY_S)
                raise
            return {"site": site_id, "phone": base.phone_base_id, "line": base.line_base_id}

        kept = self._listings.read("phone-setup", fetch)
        return PhoneSetup(site_id=kept["site"], phone_base_id=kept["phone"], line_base_id=kept["line"])
