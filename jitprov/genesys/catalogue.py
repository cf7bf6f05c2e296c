"""What is the same for all agents: skill ids, site, phone base, how stations are found. Read once for all workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from jitprov.cache import Cache
from jitprov.domain.clock import Clock
from jitprov.domain.skills import nearest_names
from jitprov.errors import SetupMissing, SkillUnknown
from jitprov.genesys.client import GenesysClient
from jitprov.genesys.organization import organization_key
from jitprov.genesys.payloads import PhoneSetup
from jitprov.settings import Settings

StationSource = Literal["line_id", "lookup"]

_KEEP_S = 3600.0
_REFRESH_EVERY_S = 60.0
# Real seconds that a worker trusts its own copy.
_NEAR_S = 5.0
_DAY_S = 86_400.0
_HOLD_S = 45.0


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
        self._cache = cache
        self._clock = clock
        self._scale = settings.time_scale
        self._owner = organization_key(settings)
        self._near: dict[str, tuple[float, bytes]] = {}

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
        self._near.pop("skills", None)
        self._cache.drop(self._key("skills"))

    def phone_setup(self) -> PhoneSetup:
        """Return default site, WebRTC phone base and line base.

        Raises:
            SetupMissing: The organization lacks one; looked for again at most once a minute, by all workers together.
        """

        def fetch() -> dict[str, str]:
            missing = self._cache.get(self._key("setup-missing"))
            if missing is not None:
                raise SetupMissing(missing.decode())
            try:
                base = self._client.find_webrtc_base()
                site_id = self._client.get_default_site_id()
            except SetupMissing as error:
                told = error.message.encode()
                self._cache.put(self._key("setup-missing"), told, ttl_s=_REFRESH_EVERY_S / self._scale)
                raise
            return {"site": site_id, "phone": base.phone_base_id, "line": base.line_base_id}

        kept = self._read("phone-setup", fetch)
        return PhoneSetup(site_id=kept["site"], phone_base_id=kept["phone"], line_base_id=kept["line"])

    def station_source(self) -> StationSource | None:
        """Return where station ids come from in this organization; None while nobody has found out."""
        kept = self._get("station-source")
        return cast("StationSource", kept.decode()) if kept in {b"line_id", b"lookup"} else None

    def learn_station_source(self, source: StationSource) -> None:
        """Remember it for a day."""
        self._near.pop("station-source", None)
        self._cache.put(self._key("station-source"), source.encode(), ttl_s=_DAY_S / self._scale)

    def _wait(self, real_s: float) -> None:
        self._clock.wait(real_s * self._scale)

    def _key(self, name: str) -> str:
        return f"catalogue:{self._owner}:{name}"

    def _get(self, name: str, *, near: bool = True) -> bytes | None:
        # What changes once an hour need not be asked of Redis for each agent.
        now_s = self._clock.monotonic_s()
        until_s, held = self._near.get(name, (0.0, b""))
        if near and held and until_s > now_s:
            return held
        raw = self._cache.get(self._key(name))
        if raw is not None:
            self._near[name] = (now_s + _NEAR_S, raw)
        return raw

    def _kept(self, name: str, *, near: bool = True) -> dict[str, str] | None:
        raw = self._get(name, near=near)
        try:
            kept = json.loads(raw) if raw else None
        except ValueError:
            return None  # what cannot be read is read anew
        return kept if isinstance(kept, dict) else None

    def _keep(self, name: str, value: dict[str, Any]) -> None:
        self._near.pop(name, None)
        self._cache.put(self._key(name), json.dumps(value).encode(), ttl_s=_KEEP_S / self._scale)

    def _read(self, name: str, fetch: Callable[[], dict[str, str]]) -> dict[str, str]:
        kept = self._kept(name)
        if kept is not None:
            return kept
        with self._cache.single_flight(self._key(name), hold_s=_HOLD_S, wait=self._wait, wait_max_s=_HOLD_S) as late:
            kept = self._kept(name) if late else None
            if kept is None:
                kept = fetch()
                self._keep(name, kept)
                self._mark_fresh(name)
        return kept

    def _read_again(self, name: str, fetch: Callable[[], dict[str, str]], known: dict[str, str]) -> dict[str, str]:
        with self._cache.single_flight(self._key(name), hold_s=_HOLD_S, wait=self._wait, wait_max_s=_HOLD_S):
            if self._cache.get(self._key(f"{name}:fresh")) is not None:
                return self._kept(name, near=False) or known
            read = fetch()
            self._keep(name, read)
            self._mark_fresh(name)
            return read

    def _mark_fresh(self, name: str) -> None:
        self._cache.put(self._key(f"{name}:fresh"), b"1", ttl_s=_REFRESH_EVERY_S / self._scale)


def station_source_kept(cache: Cache, settings: Settings) -> StationSource | None:
    """Return what the workers have found out about station ids, for whoever only wants to tell a time."""
    kept = cache.get(f"catalogue:{organization_key(settings)}:station-source")
    return cast("StationSource", kept.decode()) if kept in {b"line_id", b"lookup"} else None


def _missing(name: str, known: dict[str, str]) -> str:
    near = nearest_names(name, known)
    hint = f"; nearest: {', '.join(repr(each) for each in near)}" if near else ""
    return f"no routing skill {name!r}{hint}"
