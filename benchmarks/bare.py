"""The calls that jitprov makes for an agent, and nothing else: plain `requests`, one pooled session, no checks.

Same methods, queries and bodies, so the same answers come back; what a provisioning costs is held against this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from benchmarks.arena import Arena
from benchmarks.guides import EDGES, SKILLS, Guide
from jitprov.genesys.payloads import PhoneSetup, phone_body

_TIMEOUT_S = 10


class BareCalls:
    """Makes them; reads token, skill ids and phone base beforehand.

    Args:
        arena: Whose sandbox is called.
    """

    def __init__(self, arena: Arena) -> None:
        self._api_url = arena.plan.api_url
        self._session = requests.Session()
        self._session.trust_env = False
        guide = Guide.naive(arena)
        token = guide.token()
        self._headers = {"Authorization": f"Bearer {token}"}
        skills = guide.call(token, "GET", "/api/v2/routing/skills", params={"pageSize": 500})["entities"]
        self._skill_ids = {skill["name"]: skill["id"] for skill in skills}
        base = guide.phone_base(token)
        site_id = guide.call(token, "GET", "/api/v2/organizations/me")["defaultSiteId"]
        self._setup = PhoneSetup(site_id, base["id"], base["lines"][0]["id"])

    def provision(self, users: Sequence[Mapping[str, Any]]) -> None:
        """Make users ready whose stations have their lines' ids: one read for all, then three calls each."""
        wanted = {
            "id": [user["id"] for user in users],
            "state": "any",
            "pageSize": 100,
            "expand": ["skills", "station"],
        }
        for user in self._call("GET", "/api/v2/users", params=wanted)["entities"]:
            mine = f"/api/v2/users/{user['id']}"
            skills = [{"id": self._skill_ids[name], "proficiency": 1.0} for name in SKILLS[user["department"]]]
            self._call("PATCH", f"{mine}/routingskills/bulk", json=skills)
            body = phone_body(user["id"], f"{user['name']} {user['id'][:8]} WebRTC", self._setup)
            phone = self._call("POST", f"{EDGES}/phones", json=body)
            self._call("PUT", f"{mine}/station/defaultstation/{phone['lines'][0]['id']}")

    def _call(self, method: str, path: str, **content: Any) -> Any:
        answer = self._session.request(
            method, f"{self._api_url}{path}", headers=self._headers, timeout=_TIMEOUT_S, **content
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None
