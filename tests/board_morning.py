"""What the browser tests work with: pages that are watched, and a morning of real parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize

from own_redis import OwnRedis
from running import RealParts

OPERATOR_KEY, VIEWER_KEY = "o" * 40, "v" * 40
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
MISSPELLED = "Holliday_Hotline"
_LONG_MS = 30_000


@dataclass
class Visitors:
    """Opens pages in fresh browsers, watches them, and keeps pictures when asked to."""

    browser: Browser
    base_url: str
    pictures: Path | None
    troubles: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def page(self, *, key: str | None = OPERATOR_KEY, dark: bool = False, phone: bool = False, **more: Any) -> Page:
        """Return a page at the board, signed in with a key, or at the login without one."""
        context = self.browser.new_context(
            base_url=self.base_url,
            viewport=PHONE if phone else DESKTOP,
            color_scheme="dark" if dark else "light",
            timezone_id="Europe/Berlin",
            locale="en-GB",
            reduced_motion="reduce",
            **more,
        )
        context.set_default_timeout(_LONG_MS)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.troubles.append(f"error on the page: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.goto("/")
        if key is not None:
            self.sign_in(page, key)
            # Keys pressed before the page has come would go to the form that is leaving.
            page.wait_for_url(lambda url: urlsplit(url).path != "/login")
        return page

    def sign_in(self, page: Page, key: str, who: str = "Kim") -> None:
        """Fill in the login's form and send it."""
        page.get_by_label("Your name").fill(who)
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Sign in").click()

    def keep(self, page: Page, name: str, *, whole: bool = False) -> None:
        """Keep a picture, when pictures are wanted."""
        if self.pictures is not None:
            self.pictures.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=self.pictures / f"{name}.png", full_page=whole, animations="disabled")

    def expect(self, *patterns: str) -> None:
        """Say which troubles this test makes on purpose."""
        self.expected = patterns

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.troubles.append(f"{message.type} in the console: {message.text}")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
            self.troubles.append(f"a request that leaves the machine: {url}")

    def left(self) -> list[str]:
        """Return the troubles that no test expected."""
        return [trouble for trouble in self.troubles if not any(re.search(each, trouble) for each in self.expected)]


@dataclass
class Morning:
    """The parts, and what the tests do to them."""

    parts: RealParts
    redis: OwnRedis
    url: str

    def counts(self) -> dict[str, int]:
        """Return how many stand in each state."""
        headers = {"X-Operator-Key": OPERATOR_KEY}
        answer = requests.get(f"{self.url}/api/provisionings?limit=1", headers=headers, timeout=30)
        counts: dict[str, int] = answer.json()["counts"] if answer.ok else {}
        return counts

    def make_the_skill(self) -> None:
        """Mend the cause in Genesys Cloud: the skill that the rules name is made."""
        base = self.parts.sandbox.base_url
        grant = {"grant_type": "client_credentials"}
        client = ("sandbox-client", "sandbox-secret")
        token = requests.post(f"{base}/oauth/token", data=grant, auth=client, timeout=30).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        made = requests.post(f"{base}/api/v2/routing/skills", json={"name": MISSPELLED}, headers=headers, timeout=30)
        assert made.ok, made.text
