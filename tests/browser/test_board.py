"""A morning on the board, in a real browser: the tests follow each other as the hours do, over real parts."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from board_morning import MISSPELLED, OPERATOR_KEY, VIEWER_KEY, Morning, Visitors
from own_redis import wait_until

LONG_MS = 60_000


def accessible(page: Page) -> list[str]:
    """Return what axe finds serious on a page."""
    found = Axe().run(page)
    return [
        f"{each['id']}: {each['help']} {[node['html'][:120] for node in each['nodes'][:3]]}"
        for each in found.response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


def test_a_stranger_sees_the_login_alone(visitors: Visitors) -> None:
    """Without a key there is a login and nothing else; a wrong key is told so, and the right one leads back."""
    visitors.expect(r"401 \(Unauthorized\)")
    page = visitors.page(key=None)
    expect(page).to_have_title("Sign in · jitprov")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    visitors.keep(page, "login")
    assert accessible(page) == []

    page.goto("/agents?state=failed")
    visitors.sign_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("This key opens nothing.")
    visitors.sign_in(page, OPERATOR_KEY)
    expect(page).to_have_url(re.compile(r"/agents\?state=failed$"))
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


def test_a_stampede_is_followed_live(visitors: Visitors, morning: Morning) -> None:
    """Without a reload the numbers move while workers work, up to failures by cause with the fix named."""
    page = visitors.page()
    everybody = sum(morning.counts().values())
    expect(page.locator("h1")).to_contain_text("0 of")
    page.evaluate("window.stillTheSame = true")
    morning.parts.worker("--concurrency", "2")

    expect(page.locator(".numbers .ready b")).not_to_have_text("0", timeout=LONG_MS)
    expect(page.locator(".lede")).to_contain_text("The last one at about", timeout=LONG_MS)
    wait_until(lambda: morning.counts().get("ready", 0) >= everybody * 0.3, within_s=90)
    page.wait_for_timeout(2500)
    visitors.keep(page, "board", whole=True)
    assert accessible(page) == []
    expect(page.locator("#failures")).to_contain_text(f"no routing skill '{MISSPELLED}'", timeout=LONG_MS)
    expect(page.locator("#failures")).to_contain_text("mend rules.yaml line 13 (the workers read it again)")
    expect(page.locator("#failures")).to_contain_text("jitprov retry --error skill_unknown")
    assert page.evaluate("window.stillTheSame") is True
    curve = page.get_by_role("img", name=re.compile(r"agents were call-ready at"))
    expect(curve).to_be_visible()


def test_dark_and_small_it_is_the_same_board(visitors: Visitors) -> None:
    """In the dark colours turn and stay readable; on a phone nothing is wider than the screen."""
    dark = visitors.page(dark=True)
    expect(dark.locator("h1")).to_contain_text("call-ready")
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 19, 21)"
    assert accessible(dark) == []
    visitors.keep(dark, "board-dark", whole=True)

    phone = visitors.page(phone=True)
    for path, name in (("/", "phone-board"), ("/agents?state=failed", "phone-agents"), ("/ready?q=a", "")):
        phone.goto(path)
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        if name:
            visitors.keep(phone, name)
    assert accessible(phone) == []


def test_the_whole_corridor_is_done(visitors: Visitors, morning: Morning) -> None:
    """When all have ended the headline says who needs the operator; a list leads to an agent with its steps."""
    wait_until(lambda: not {k for k in ("accepted", "running", "waiting") if morning.counts().get(k)}, within_s=120)
    counts = morning.counts()
    assert counts["failed"] == sum(counts.values()) // 3
    page = visitors.page()
    expect(page.locator(".lede")).to_contain_text("need you", timeout=LONG_MS)

    page.get_by_role("link", name="Show them").first.click()
    expect(page.locator("tbody tr")).to_have_count(min(counts["failed"], 50))
    visitors.keep(page, "agents")
    assert accessible(page) == []
    page.locator("tbody th a").first.click()
    expect(page.locator(".steps > li")).to_have_count(5)
    expect(page.locator(".steps > .step-failed")).to_contain_text("Apply the rules")
    expect(page.locator(".steps > .step-pending")).to_have_count(3)
    expect(page.get_by_role("link", name="in Flower").first).to_have_attribute(
        "href", re.compile(r"/task/[0-9a-f-]{36}$")
    )
    visitors.keep(page, "agent", whole=True)
    assert accessible(page) == []


def test_a_team_lead_asks_and_cannot_act(visitors: Visitors, morning: Morning) -> None:
    """The viewer's key answers "is Robin ready?" by name and address, and shows no button that acts."""
    page = visitors.page(key=VIEWER_KEY)
    expect(page).to_have_url(re.compile(r"/ready$"))
    ready = next(
        user for user in morning.parts.sandbox.control.state()["users"] if user["department"] == "Seasonal_Retail"
    )
    for question in (ready["email"], ready["name"].split()[0].upper()):
        page.get_by_label("E-mail address or name").fill(question)
        page.get_by_role("button", name="Ask").click()
        expect(page.locator(".answers")).to_contain_text(f"Yes. {ready['name']} is call-ready since")
    visitors.keep(page, "ready")
    assert accessible(page) == []
    for path in ("/", "/agents?state=failed", "/retry?state=failed"):
        page.goto(path)
        expect(page.get_by_role("button", name=re.compile("Retry|Cancel|Pause"))).to_have_count(0)
        expect(page.get_by_role("link", name=re.compile("Retry"))).to_have_count(0)


def test_by_keyboard_alone_all_that_match_are_retried(visitors: Visitors, morning: Morning) -> None:
    """Mend the cause, then tab to the button, preview, reason, enter: all become ready, and the log tells it."""
    failed = morning.counts()["failed"]
    morning.make_the_skill()
    page = visitors.page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    retry_all = page.get_by_role("link", name="Retry all with skill_unknown …")
    for _ in range(60):
        page.keyboard.press("Tab")
        if retry_all.evaluate("link => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(f"Retry {failed} agents?")
    expect(page.locator("#preview")).to_contain_text("will fail again")
    expect(page.locator("#preview")).to_contain_text("API calls, from the same budget")
    visitors.keep(page, "retry")
    assert accessible(page) == []
    page.get_by_label("Why").focus()
    page.keyboard.type("made the skill in Genesys")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/log$"))
    expect(page.locator("#rows")).to_contain_text(f"{failed} retried", timeout=LONG_MS)
    expect(page.locator("#rows")).to_contain_text("made the skill in Genesys")
    visitors.keep(page, "log")
    assert accessible(page) == []

    page.goto("/")
    everybody = sum(morning.counts().values())
    expect(page.locator("h1")).to_have_text(f"All {everybody} agents call-ready", timeout=120_000)
    expect(page.locator("#failures")).to_contain_text("No failures")
    oracle = morning.parts.sandbox.control.state()["users"]
    assert {len(user["phones"]) for user in oracle} == {1}


def test_calls_are_paused_and_resumed(visitors: Visitors) -> None:
    """One button holds all calls, with the reason for everybody to see; another lets them go on."""
    page = visitors.page()
    page.get_by_text("Pause all calls …").click()
    page.get_by_label("Why").fill("wrong rules")
    page.get_by_role("button", name="Pause all calls").click()
    expect(page.locator("#notices")).to_contain_text("The budget is paused for", timeout=LONG_MS)
    expect(page.locator("#notices")).to_contain_text("Kim: wrong rules")
    assert accessible(page) == []
    page.get_by_role("button", name="Resume calls").click()
    expect(page.get_by_text("Pause all calls …")).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#notices")).not_to_contain_text("paused")


def test_a_live_part_keeps_the_focus(visitors: Visitors) -> None:
    """What has the focus keeps it when its part is exchanged."""
    page = visitors.page()
    link = page.locator(".numbers .ready a")
    link.focus()
    page.evaluate(
        "document.querySelector('#numbers').dataset.mark = document.querySelector('#numbers .ready b').textContent"
    )
    page.evaluate("document.querySelector('#numbers .ready b').textContent = '?'")
    expect(page.locator(".numbers .ready b")).not_to_have_text("?", timeout=LONG_MS)

    expect(link).to_be_focused()


def test_a_lost_redis_is_said_and_it_comes_back_by_itself(visitors: Visitors, morning: Morning) -> None:
    """An open page keeps its numbers and says that they are old; a new one says why it has none; both recover."""
    visitors.expect(r"503 \(Service Unavailable\)")
    page = visitors.page()
    heading = page.locator("h1").text_content()
    morning.redis.kill()
    expect(page.locator("#away")).to_contain_text("Redis does not answer", timeout=LONG_MS)
    expect(page.locator("h1")).to_have_text(heading or "")
    late = visitors.page()
    expect(late.locator("h1")).to_have_text("Redis does not answer", timeout=LONG_MS)
    visitors.keep(late, "redis-away")
    assert accessible(late) == []
    morning.redis.start()
    expect(page.locator("#away")).to_be_hidden(timeout=LONG_MS)
    expect(late.locator("h1")).to_contain_text("call-ready", timeout=LONG_MS)


def test_without_script_it_works(visitors: Visitors) -> None:
    """With scripts off the board shows the same, comes again by itself, and its forms work."""
    page = visitors.page(java_script_enabled=False)
    expect(page.locator("h1")).to_contain_text("call-ready")
    page.get_by_role("link", name="Agents").first.click()
    expect(page.locator("tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("h1")).to_have_text("Sign in")


@pytest.mark.parametrize("path", ["/agents/nobody", "/?period=9d"])
def test_an_error_is_a_page(visitors: Visitors, path: str) -> None:
    """What is not there, and what is not understood, is said on a page that leads back."""
    visitors.expect(r"40[04] \(")
    page = visitors.page()
    page.goto(path)
    expect(page.get_by_role("link", name="To the board")).to_be_visible()
    assert accessible(page) == []
