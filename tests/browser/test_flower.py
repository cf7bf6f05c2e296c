"""Flower in a real browser: from the board to a failed task, its chain retried there, without another login."""

from __future__ import annotations

import re

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from board_morning import VIEWER_KEY, Morning, Visitors
from jitprov.domain.provisioning import State
from own_redis import wait_until
from running import ended

pytestmark = pytest.mark.timeout(400)

LONG_MS = 150_000


def accessible(page: Page, part: str) -> list[str]:
    """Return what axe finds serious in what is ours on a page of Flower's."""
    found = Axe().run(page, context=part)
    return [each["id"] for each in found.response["violations"] if each["impact"] in {"serious", "critical"}]


def a_failed_agent(morning: Morning) -> str:
    """Let somebody sign in whom no rule covers; return the failed task."""
    [user], events = morning.parts.sandbox.control.sign_in_silently(1, departments=["Forgotten_Department"])
    sent = requests.post(f"{morning.url}/events", json=events, headers={"X-API-Key": "w" * 40}, timeout=30)
    assert sent.status_code == 202, sent.text
    ledger = morning.parts.ledger()
    wait_until(lambda: ended(ledger, user["id"], State.FAILED), within_s=150)
    failed = ledger.find(user["id"])
    ledger.close()
    assert failed is not None
    return failed.task_id()


def test_a_chain_is_retried_on_its_tasks_page(visitors: Visitors, morning: Morning) -> None:
    """The board's link leads to the failed task in Flower; *Retry chain*, confirmed, makes the agent call-ready."""
    visitors.expect(r"404 \(Not Found\)", r"400 \(Bad Request\)", "favicon")
    morning.parts.start("flower")
    morning.parts.worker("--hostname", "flower@here")
    flower = f"http://127.0.0.1:{morning.parts.settings['JITPROV_FLOWER_PORT']}"
    wait_until(lambda: _answers(f"{flower}/healthcheck"), within_s=60)
    task_id = a_failed_agent(morning)

    robin = visitors.page(key=VIEWER_KEY)
    robin.goto(f"{flower}/task/{task_id}")
    expect(robin.locator("#jitprov-agent")).to_contain_text("failed at resolve_skills")
    expect(robin.locator("#jitprov-agent")).to_contain_text("This key may look, not act")
    expect(robin.get_by_text("Retry chain")).to_have_count(0)

    page = visitors.page()
    page.goto(f"/agents/{task_id}")
    page.get_by_role("link", name="in Flower").last.click()
    agent = page.locator("#jitprov-agent")
    expect(agent).to_contain_text("no rule covers an agent with department 'Forgotten_Department'")
    expect(agent).to_contain_text("assign_station pending")
    assert accessible(page, "#jitprov-agent") == []
    visitors.keep(page, "flower-task")
    expect(page.get_by_role("link", name="The agent on the board")).to_have_attribute(
        "href", re.compile(rf"^{morning.url}/agents/")
    )

    rules = morning.parts.settings["JITPROV_RULES_FILE"]
    with open(rules) as file:  # noqa: PTH123
        text = file.read()
    with open(rules, "w") as file:  # noqa: PTH123
        file.write(text.replace("department: Seasonal_Retail}", "department: [Seasonal_Retail, Forgotten_Department]}"))
    page.get_by_role("link", name="Retry chain").click()
    expect(page.get_by_role("heading", name="Retry this agent's chain?")).to_be_visible()
    assert accessible(page, "main") == []
    visitors.keep(page, "flower-retry")
    page.wait_for_timeout(2500)  # workers look at the rules at most every two seconds
    page.get_by_label("Why").fill("the department was forgotten")
    page.get_by_role("button", name="Retry chain").click()
    expect(page.get_by_role("status")).to_have_text("It goes on where it stopped.")
    expect(agent).to_contain_text("Its agent is ready in run 2", timeout=LONG_MS)

    page.goto(f"{flower}/worker/flower@here")
    page.get_by_label("Valve of").select_option("jitprov.create_phone")
    page.get_by_label("Starts at most").fill("120 a minute")
    page.get_by_role("button", name="Turn").click()
    expect(page.locator("#valve-said")).to_contain_text("such as 120/m")
    page.get_by_label("Starts at most").fill("120/m")
    page.get_by_role("button", name="Turn").click()
    expect(page.locator("#valve-said")).to_have_text("new rate limit set successfully")
    assert accessible(page, "#jitprov-valves") == []

    page.goto("/log")
    expect(page.locator("main")).to_contain_text("the department was forgotten")
    expect(page.locator("main")).to_contain_text("turn the valve of jitprov.create_phone")
    [shown] = morning.parts.sandbox.control.state(_user_of(morning, task_id))["users"]
    assert len(shown["phones"]) == 1


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _user_of(morning: Morning, task_id: str) -> str:
    ledger = morning.parts.ledger()
    record = ledger.find(task_id)
    ledger.close()
    assert record is not None
    return record.user_id
