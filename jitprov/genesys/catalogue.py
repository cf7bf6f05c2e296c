"""What is the same for all agents: skill ids, site, phone base. Read once for all workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from jitprov.cache import Cache
from jitprov.domain.clock import Clock
from jitprov.domain.skills import nearest_names
from jitprov.errors import SetupMissing, SkillUnknown
from jitprov.genesys.client import GenesysClient
from jitprov.genesys.payloads import PhoneSetup
from jitprov.genesys.shelf import Shelf
from jitprov.settings import Settings

_KEEP_S = 3600.0
_REFRESH_EVERY_S = 60.0


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

    def skill_ids(self, names: Sequence[str]) -> dict[str, str]:
        """Return the ids of skills by exact name; an unknown name has the catalogue read again, once a minute.

        Raises:
            SkillUnknown: Names what is missing and what was probably meant.
        """
        if not names:
            return {}
        known = self._read("skills", self._client.list_routing_skills)
        if any(name not in known for name in names):
            known = self._read_again("skills", self._client.list_routing_skills, known)
        missing = [name for name in names if name not in known]
        if missing:
            raise SkillUnknown("; ".join(_missing(name, known) for name in missing))
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
            missing = self._shelf.get("setup-missing", near=False)
            if missing is not None:
                raise SetupMissing(missing.decode())
            try:
                base = self._client.find_webrtc_base()
                site_id = self._client.get_default_site_id()
            except SetupMissing as error:
                self._shelf.put("setup-missing", error.message.encode(), keep_s=_REFRESH_EVERY_S)
                raise
            return {"site": site_id, "phone": base.phone_base_id, "line": base.line_base_id}

        kept = self._read("phone-setup", fetch)
        return PhoneSetup(site_id=kept["site"], phone_base_id=kept["phone"], line_base_id=kept["line"])

    def _kept(self, name: str, *, near: bool = True) -> dict[str, str] | None:
        raw = self._shelf.get(name, near=near)
        try:
            kept = json.loads(raw) if raw else None
        except ValueError:
            return None  # what cannot be read is read anew
        return kept if isinstance(kept, dict) else None

    def _keep(self, name: str, value: dict[str, Any]) -> None:
        self._shelf.put(name, json.dumps(value).encode(), keep_s=_KEEP_S)

    def _read(self, name: str, fetch: Callable[[], dict[str, str]]) -> dict[str, str]:
        kept = self._kept(name)
        if kept is not None:
            return kept
        with self._shelf.turn(name) as late:
            kept = self._kept(name) if late else None
            if kept is None:
                kept = fetch()
                self._keep(name, kept)
                self._mark_fresh(name)
        return kept

    def _read_again(self, name: str, fetch: Callable[[], dict[str, str]], known: dict[str, str]) -> dict[str, str]:
        with self._shelf.turn(name):
            if self._shelf.get(f"{name}:fresh", near=False) is not None:
                return self._kept(name, near=False) or known
            read = fetch()
            self._keep(name, read)
            self._mark_fresh(name)
            return read

    def _mark_fresh(self, name: str) -> None:
        self._shelf.put(f"{name}:fresh", b"1", keep_s=_REFRESH_EVERY_S)


def _missing(name: str, known: dict[str, str]) -> str:
    near = nearest_names(name, known)
    hint = f"; nearest: {', '.join(repr(each) for each in near)}" if near else ""
    return f"no routing skill {name!r}{hint}"
