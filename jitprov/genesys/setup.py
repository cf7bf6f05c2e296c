"""What the organization has for all: skills, sites, phone bases; that part of the client which the catalogue reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jitprov.errors import SetupMissing
from jitprov.genesys.payloads import WEBRTC_META_BASE, PhoneBase, entities_of, object_of, pages_of, text_of
from jitprov.genesys.transport import Transport
from jitprov.genesys.understanding import understood

EDGES = "/api/v2/telephony/providers/edges"
_SKILLS_PER_PAGE = 500
_PAGES_MAX = 200


class SetupReads:
    """Reads what is the same for all agents. All errors are those of `Transport.request` unless said."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _get(self, path: str, **params: Any) -> Any:
        return self._transport.request("GET", path, safe=True, params=params)

    def _each(self, path: str, page_size: int, **params: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the active entities of all pages of a listing."""
        for number in range(1, _PAGES_MAX + 1):
            content = self._get(path, pageSize=page_size, pageNumber=number, **params)
            entities = understood(lambda content=content: entities_of(content))  # type: ignore[misc]
            yield from (entity for entity in entities if str(entity.get("state") or "active") == "active")
            if number >= understood(lambda content=content: pages_of(content)):  # type: ignore[misc]
                break

    def list_routing_skills(self) -> dict[str, str]:
        """Return every active routing skill: name → id.

        Source: GET /api/v2/routing/skills, routing:skill:view. Cost: 1 per 500 skills.
        """
        return understood(lambda: dict(map(_named, self._each("/api/v2/routing/skills", _SKILLS_PER_PAGE))))

    def get_default_site_id(self) -> str:
        """Return the organization's default site.

        Raises:
            SetupMissing: It has none.

        Source: GET /api/v2/organizations/me, no permission. Cost: 1.
        """
        content = self._get("/api/v2/organizations/me")
        site_id = content.get("defaultSiteId") if isinstance(content, dict) else None
        if not isinstance(site_id, str) or not site_id:
            raise SetupMissing("the organization has no default site")
        return site_id

    def list_sites(self) -> dict[str, str]:
        """Return every active site: name → id.

        Source: GET /api/v2/telephony/providers/edges/sites, telephony:plugin:all. Cost: 1 per 100.
        """
        return understood(lambda: dict(map(_named, self._each(f"{EDGES}/sites", 100))))

    def list_webrtc_bases(self) -> dict[str, PhoneBase]:
        """Return the WebRTC phone base settings by name, in the API's order, with the line base settings in them.

        Raises:
            SetupMissing: There are none.

        Source: GET /api/v2/telephony/providers/edges/phonebasesettings, telephony:plugin:all. Cost: 1 per 100.
        """

        def parse() -> dict[str, PhoneBase]:
            listed = self._each(f"{EDGES}/phonebasesettings", 100, expand=["lines"])
            bases = [base for base in listed if object_of(base, "phoneMetaBase").get("id") == WEBRTC_META_BASE]
            return {
                str(base.get("name") or ""): PhoneBase(text_of(base, "id"), text_of(base, "lines", 0, "id"))
                for base in reversed(bases)  # of two of one name the first counts
            }

        found = understood(parse)
        if not found:
            raise SetupMissing("the organization has no WebRTC phone base settings")
        return dict(reversed(found.items()))


def _named(entity: Mapping[str, Any]) -> tuple[str, str]:
    return text_of(entity, "name"), text_of(entity, "id")
