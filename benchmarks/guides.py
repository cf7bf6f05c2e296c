"""What guides and tools do for one agent, call by call, in plain `requests`. Shares no code with jitprov."""

from __future__ import annotations

import threading
from typing import Any, Self

import requests

from benchmarks.arena import CLIENT_ID, CLIENT_SECRET, Arena

SKILLS = {
    "Seasonal_Retail": ("Customer_Service", "Order_Tracking"),
    "Seasonal_Tech_Support": ("Basic_Troubleshooting",),
}
_WEBRTC = "inin_webrtc_softphone.json"
EDGES = "/api/v2/telephony/providers/edges"
_TIMEOUT_S = 30


class Refused(Exception):  # noqa: N818  the benchmark's own
    """A call did not succeed; a naive function ends there."""


class Guide:
    """Does for one agent what a guide says.

    Args:
        api_url: Of the sandbox.
        time_scale: API seconds per real second.
        retries: How often a 429 is waited out, as the provider's SDK does; 0 ends at the first.
        thorough: The Terraform provider's sequence instead of the naive one.
        token: The access token, where several processes share it; asked for when empty.
    """

    def __init__(self, api_url: str, time_scale: float, *, retries: int, thorough: bool, token: str = "") -> None:
        self._api_url = api_url
        self._scale = time_scale
        self._retries = retries
        self._thorough = thorough
        self._own = threading.local()
        self._lock = threading.Lock()
        self._shared_token = token
        self.stopped = threading.Event()
        self.redelivery_s = 5.0 / time_scale

    @classmethod
    def naive(cls, arena: Arena) -> Self:
        """The naive function: everything looked up for each agent."""
        return cls(arena.plan.api_url, arena.world.time_scale, retries=0, thorough=False)

    @classmethod
    def terraform(cls, arena: Arena) -> Self:
        """The provider's sequence: reads back what it wrote, waits out 429."""
        return cls(arena.plan.api_url, arena.world.time_scale, retries=20, thorough=True)

    def provision(self, user_id: str) -> None:
        """Make one agent ready, or raise `Refused`."""
        token = self.token()
        if self._thorough:
            self._as_terraform(user_id, token)
        else:
            self._as_guides_say(user_id, token)

    def _session(self) -> requests.Session:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._own.session.trust_env = False
        session: requests.Session = self._own.session
        return session

    def token(self) -> str:
        """Return the one token."""
        with self._lock:
            if not self._shared_token:
                answer = self._session().post(
                    f"{self._api_url}/oauth/token",
                    data={"grant_type": "client_credentials"},
                    auth=(CLIENT_ID, CLIENT_SECRET),
                    timeout=_TIMEOUT_S,
                )
                self._shared_token = answer.json()["access_token"]
            return self._shared_token

    def call(self, token: str, method: str, path: str, **content: Any) -> Any:
        """Send one request, and wait out a 429 if this guide does."""
        for _ in range(self._retries + 1):
            if self.stopped.is_set():
                break
            headers = {"Authorization": f"Bearer {token}"}
            answer = self._session().request(
                method, f"{self._api_url}{path}", headers=headers, timeout=_TIMEOUT_S, **content
            )
            if answer.ok:
                return answer.json() if answer.content else None
            if answer.status_code not in {404, 409, 429} or not self._retries:
                break
            wait_s = float(answer.headers.get("Retry-After", 2))
            self.stopped.wait(wait_s / self._scale)
        raise Refused(path)

    def find_station(self, token: str, user_id: str) -> str:
        """Poll for the station."""
        for _ in range(6):
            found = self.call(token, "GET", "/api/v2/stations", params={"webRtcUserId": user_id})["entities"]
            if found:
                return str(found[0]["id"])
            self.stopped.wait((5.0 if self._thorough else 1.0) / self._scale)
        raise Refused("station")

    def make_phone(self, token: str, user: dict[str, Any], base: dict[str, Any]) -> None:
        """Create the phone."""
        site_id = self.call(token, "GET", "/api/v2/organizations/me")["defaultSiteId"]
        line_base = {"id": base["lines"][0]["id"]}
        name = f"{user['name']} {user['id'][:8]}"
        body = {
            "name": name,
            "site": {"id": site_id},
            "phoneBaseSettings": {"id": base["id"]},
            "lines": [{"name": f"{name} line", "lineBaseSettings": line_base}],
            "webRtcUser": {"id": user["id"]},
        }
        self.call(token, "POST", f"{EDGES}/phones", json=body)

    def phone_base(self, token: str) -> dict[str, Any]:
        """Look up the WebRTC phone base."""
        content = self.call(token, "GET", f"{EDGES}/phonebasesettings", params={"pageSize": 100, "expand": "lines"})
        found: dict[str, Any] = next(each for each in content["entities"] if each["phoneMetaBase"]["id"] == _WEBRTC)
        return found

    def give_skills(self, token: str, user: dict[str, Any]) -> None:
        """Look up each skill by name and patch them all."""
        ids = []
        for name in SKILLS[user["department"]]:
            entities = self.call(token, "GET", "/api/v2/routing/skills", params={"name": name})["entities"]
            ids.append(next(each["id"] for each in entities if each["name"] == name))
        body = [{"id": skill_id, "proficiency": 1.0} for skill_id in ids]
        self.call(token, "PATCH", f"/api/v2/users/{user['id']}/routingskills/bulk", json=body)

    def _as_guides_say(self, user_id: str, token: str) -> None:
        user = self.call(token, "GET", f"/api/v2/users/{user_id}")
        self.give_skills(token, user)
        base = self.phone_base(token)
        self.call(token, "GET", f"{EDGES}/linebasesettings/{base['lines'][0]['id']}")
        self.make_phone(token, user, base)
        station_id = self.find_station(token, user_id)
        self.call(token, "PUT", f"/api/v2/users/{user_id}/station/defaultstation/{station_id}")

    def _as_terraform(self, user_id: str, token: str) -> None:
        user = self.call(token, "GET", f"/api/v2/users/{user_id}", params={"expand": ["skills", "languages"]})
        names = SKILLS[user["department"]]
        catalogue = self.call(token, "GET", "/api/v2/routing/skills", params={"pageSize": 500})["entities"]
        body = [{"id": each["id"], "proficiency": 1.0} for each in catalogue if each["name"] in names]
        self.call(token, "GET", f"/api/v2/users/{user_id}/routingskills", params={"pageSize": 50})
        self.call(token, "PATCH", f"/api/v2/users/{user_id}/routingskills/bulk", json=body)
        self.call(token, "GET", f"/api/v2/users/{user_id}/routinglanguages", params={"pageSize": 50})
        utilization = self.call(token, "GET", f"/api/v2/routing/users/{user_id}/utilization")
        wanted = {"utilization": utilization.get("utilization", {})}
        self.call(token, "PUT", f"/api/v2/routing/users/{user_id}/utilization", json=wanted)
        self.call(token, "GET", f"/api/v2/users/{user_id}", params={"expand": ["skills", "languages"]})
        self.call(token, "GET", f"/api/v2/routing/users/{user_id}/utilization")
        base = self.phone_base(token)
        for _ in range(2):  # once for the line base, once for the meta base
            self.call(token, "GET", f"{EDGES}/phonebasesettings/{base['id']}")
        self.make_phone(token, user, base)
        phones = {"webRtcUser.id": user_id, "fields": "webRtcUser"}
        self.call(token, "GET", f"{EDGES}/phones", params=phones)
        station_id = self.find_station(token, user_id)
        self.call(token, "PUT", f"/api/v2/users/{user_id}/station/associatedstation/{station_id}")
        self.call(token, "PUT", f"/api/v2/users/{user_id}/station/defaultstation/{station_id}")
        self.call(token, "GET", f"{EDGES}/phones", params=phones)
