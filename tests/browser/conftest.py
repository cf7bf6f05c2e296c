"""A browser, and a morning to look at: real parts, sixty agents, a third of whom run into a misspelled skill.

Chromium is Debian's own, driven by playwright; nothing is downloaded. Every page is watched: an error in its console,
or a request that leaves this machine, fails the test that opened it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, sync_playwright

from board_morning import MISSPELLED, OPERATOR_KEY, VIEWER_KEY, Morning, Visitors
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, free_port
from running import RealParts

DEPARTMENTS = ["Seasonal_Retail", "Seasonal_Tech_Support", "Seasonal_Holiday"]
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)

RULES = f"""version: 1
match: first
unmatched: fail
rules:
  - name: Seasonal retail
    when: {{department: Seasonal_Retail}}
    skills: {{Customer_Service: 1.0, Order_Tracking: 1.0}}
  - name: Seasonal tech support
    when: {{department: Seasonal_Tech_Support}}
    skills: {{Basic_Troubleshooting: 1.0}}
  - name: Seasonal holiday
    when: {{department: Seasonal_Holiday}}
    skills: {{{MISSPELLED}: 1.0}}
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that keeps pictures."""
    parser.addoption("--screenshots", metavar="FOLDER", help="keep pictures of the main states there")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, without a window."""
    found = shutil.which("chromium")
    if found is None:
        message = "no chromium: as root, apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, headless=True, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def morning(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Morning]:
    """Sixty agents have signed in at once; the receiver runs, and as yet no worker."""
    folder = tmp_path_factory.mktemp("morning")
    redis = OwnRedis(folder)
    redis.start()
    rules, port, scale = folder / "rules.yaml", free_port(), 20.0
    rules.write_text(RULES)
    with SandboxThread(SandboxOptions(time_scale=scale)) as sandbox:
        settings = {
            "JITPROV_OPERATOR_KEY": OPERATOR_KEY,
            "JITPROV_VIEWER_KEY": VIEWER_KEY,
            "JITPROV_RECEIVER_PORT": str(port),
            "JITPROV_FLOWER_PORT": str(free_port()),
            "JITPROV_RULES_FILE": str(rules),
        }
        with RealParts(redis, sandbox, folder, scale, settings) as parts:
            parts.start("receiver", until="receiver_listening")
            _, events = sandbox.control.sign_in_silently(_agents(request), departments=DEPARTMENTS)
            url = f"http://127.0.0.1:{port}"
            accepted = requests.post(f"{url}/events", json=events, headers={"X-API-Key": "w" * 40}, timeout=60)
            assert accepted.status_code == 202, accepted.text
            yield Morning(parts, redis, url)
    redis.kill()


def _agents(request: pytest.FixtureRequest) -> int:
    """Return how many sign in: more for the pictures."""
    return 300 if request.config.getoption("--screenshots") else 60


@pytest.fixture
def visitors(browser: Browser, morning: Morning, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    """Open pages of the morning; in the end none of them has met trouble."""
    folder = request.config.getoption("--screenshots")
    visitors = Visitors(browser, morning.url, Path(folder) if folder else None)
    yield visitors
    for context in browser.contexts:
        context.close()
    assert visitors.left() == []
