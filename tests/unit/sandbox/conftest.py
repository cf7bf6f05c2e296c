"""A sandbox in a thread, and a plain client of it that keeps a token and hides nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread

EDGES = "/telephony/providers/edges"
BASIC = base64.b64encode(b"sandbox-client:sandbox-secret").decode()


class Api:
    """Talks to one sandbox as Genesys' callers do, and to its control port."""

    def __init__(self, sandbox: SandboxThread) -> None:
        self.sandbox = sandbox
        self.control = sandbox.control
        self.session = requests.Session()
        self.log_in()

    def log_in(self) -> str:
        """Fetch a token and use it from now on."""
        answer = self.session.post(
            f"{self.sandbox.base_url}/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": f"Basic {BASIC}"},
        )
        token: str = answer.json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        return token

    def __call__(self, method: str, path: str, **how: Any) -> requests.Response:
        """Send one request below /api/v2."""
        return self.session.request(method, f"{self.sandbox.base_url}/api/v2{path}", timeout=10, **how)

    def skill_id(self, name: str) -> str:
        """Return the id of the skill of exactly this name."""
        entries = self("GET", "/routing/skills", params={"name": name, "pageSize": 500}).json()["entities"]
        return next(str(entry["id"]) for entry in entries if entry["name"] == name)

    def phone_body(self, user_id: str | None, name: str = "a phone", base: str = "WebRTC Phone") -> dict[str, Any]:
        """Return a body that makes a phone."""
        bases = self("GET", f"{EDGES}/phonebasesettings").json()["entities"]
        found = next(each for each in bases if each["name"] == base)
        site_id = self("GET", "/organizations/me").json()["defaultSiteId"]
        body = {
            "name": name,
            "site": {"id": site_id},
            "phoneBaseSettings": {"id": found["id"]},
            "lines": [{"name": f"{name} line", "lineBaseSettings": {"id": found["lines"][0]["id"]}}],
        }
        return body if user_id is None else body | {"webRtcUser": {"id": user_id}}

    def make_phone(self, user_id: str, name: str = "a phone") -> dict[str, Any]:
        """Make a WebRTC phone."""
        answer = self("POST", f"{EDGES}/phones", json=self.phone_body(user_id, name))
        assert answer.status_code == 200, answer.text
        phone: dict[str, Any] = answer.json()
        return phone


@pytest.fixture
def api_with() -> Iterator[Callable[..., Api]]:
    """Start sandboxes with the options given; all end with the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> Api:
            sandbox = stack.enter_context(SandboxThread(SandboxOptions(**{"time_scale": 60.0, **options})))
            api = Api(sandbox)
            stack.callback(api.session.close)
            return api

        yield start


@pytest.fixture
def api(api_with: Callable[..., Api]) -> Api:
    """A sandbox with its usual options, one sandbox minute a second."""
    return api_with()


@pytest.fixture
def user_id(api: Api) -> str:
    """Somebody who has just signed in."""
    return str(api.control.sign_in(count=1)[0]["id"])
