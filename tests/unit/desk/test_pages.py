"""The board's pages: what they say, what they escape, who may act."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from desk_room import KEY, VIEWER_KEY, Room, csrf, signed_in
from jitprov.budget import BudgetState
from jitprov.errors import DependencyDown
from jitprov.ledger.overview import Act
from own_redis import wait_until

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{1234*4321}}</style>\u202e'


class Tags(HTMLParser):
    """Collects what could run or load, and attributes that could."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str | None] = []
        self.risky: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script":
            self.scripts.append(given.get("src"))
        if tag in {"img", "iframe", "object", "embed", "style", "base"}:
            self.risky.append(tag)
        self.risky += [name for name in given if name.startswith("on") or name == "style"]
        self.risky += [value or "" for value in given.values() if (value or "").lower().startswith("javascript:")]


@pytest.fixture
def client(room: Room) -> TestClient:
    return signed_in(room.client())


def text_of(page: str) -> str:
    """Return a page without its tags, spaces drawn together."""
    main = page.split("<main", 1)[1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", main))


def test_the_board_says_where_everybody_stands(room: Room, client: TestClient) -> None:
    """Numbers first: ready of arrived, each state, and when the last one will be ready."""
    room.ready()
    room.failed()
    room.opened()
    page = client.get("/")

    told = text_of(page.text)
    assert "1 of 3 agents call-ready" in told
    assert re.search(r"The last one at about \d\d:\d\d:\d\d, in \d+ s\.", told)
    assert "3 arrived 1 waiting 0 running 1 call-ready 1 failed" in told
    assert "1 of 3 ready, 1 failed" in page.text.split("<title>")[1]


def test_an_empty_board_and_a_finished_one(room: Room, client: TestClient) -> None:
    """Before the first arrival it says so; after the last it says since when."""
    assert "No agent has arrived in the last 12 hours" in client.get("/").text
    room.ready()
    room.clock.advance(3)
    finished = room.client()
    assert "1 agent call-ready" in text_of(signed_in(finished).get("/").text)
    assert "Since 10:00:00." in text_of(finished.get("/").text)  # Berlin's time, as the browser said
    room.clock.advance(13 * 3600)
    assert "No agent has arrived" in signed_in(room.client()).get("/").text
    assert "1 agent call-ready" in text_of(signed_in(room.client()).get("/?period=all").text)


def test_failures_are_grouped_with_the_fix(room: Room, client: TestClient) -> None:
    """Each cause says how many, what, and the command that mends it; a link retries those alone."""
    for _ in range(2):
        room.failed(
            code="skill_unknown",
            message="no routing skill 'X'",
            remedy="Mend it; then: jitprov retry ID",
            retry_helps=False,
        )
    room.failed(code="unavailable")
    page = client.get("/").text

    told = text_of(page)
    assert "2 agents at “Read the profile” skill_unknown no routing skill &#39;X&#39;" in told
    assert "Mend first Mend it; then: jitprov retry --error skill_unknown" in told
    assert told.index("skill_unknown") < told.index("unavailable")
    assert '/retry?state=failed&amp;step=fetch_profile&amp;error=skill_unknown"' in page


def test_waits_have_their_reason(room: Room, client: TestClient) -> None:
    """Those who wait are told apart: for their turn, and for something."""
    room.opened()
    room.waiting(code="station_late")
    told = text_of(client.get("/").text)

    assert "1 for their turn: the API allows 300 calls a minute" in told
    assert "1 for Genesys to show their phone&#39;s station" in told


def test_a_pause_is_said_with_its_reason(room: Room, client: TestClient) -> None:
    """A paused budget says for how long and why."""
    room.budget.now = BudgetState(300, 12, 34, 40.0, 40.0, "the API answered 429")
    room.opened()

    assert "The budget is paused for 40 s: the API answered 429" in text_of(client.get("/").text)


def test_pause_and_resume(room: Room, client: TestClient) -> None:
    """A form holds all calls, for minutes or without an end, and another lets them go on; both are in the log."""
    record = room.opened()
    form = {"csrf": csrf(client.get("/").text), "minutes": "", "why": "wrong rules"}
    assert client.post("/budget/pause", data=form | {"minutes": "7"}).status_code == 400
    client.post("/budget/pause", data=form)

    again = signed_in(room.client())
    told = text_of(again.get("/").text)
    assert "The budget is paused until somebody resumes it: Kim: wrong rules" in told
    assert "No time can be told while the budget is paused" in told
    assert "no time can be told" in text_of(again.get(f"/ready?q={record.user_id}").text)
    assert again.get("/retry").status_code == 200
    again.post("/budget/resume", data={"csrf": csrf(again.get("/").text)})
    assert room.budget.now.paused_s == 0
    assert "Pause all calls" in signed_in(room.client()).get("/").text
    assert [act.what for act in room.ledger.acts()] == ["pause", "resume"]


def test_a_standstill_is_said_instead_of_a_time(room: Room, client: TestClient) -> None:
    """When nobody becomes ready though some could, no time is told anywhere: it would be a lie."""
    record = room.opened()
    room.clock.advance(600)
    told = text_of(client.get("/").text)

    assert "Nobody became ready for 10 min" in told
    assert "No time can be told" in told
    assert "no time can be told" in text_of(client.get(f"/agents/{record.provisioning_id}").text)
    assert "no time can be told" in text_of(client.get(f"/ready?q={record.user_id}").text)


def test_the_list_filters_and_goes_on(room: Room, client: TestClient) -> None:
    """A filter narrows, its words stay in the form, pages follow each other; a whole id leads to its agent."""
    for number in range(60):
        room.failed({"name": f"Robin {number}", "department": "Seasonal_Retail"})
    kim = room.ready({"name": "Kim", "email": "kim@example.test"})

    first = client.get("/agents?state=failed&department=seasonal_retail&q=robin")
    assert first.text.count('<th scope="row">') == 50
    following = first.text.split('href="/agents?')[-1].split('"')[0].replace("&amp;", "&")
    second = client.get(f"/agents?{following}")
    assert second.text.count('<th scope="row">') == 10
    assert "Next page" not in second.text
    assert 'value="robin"' in second.text
    assert "Nobody matches" in client.get("/agents?q=nobody").text
    for any_id in (kim.user_id, kim.task_id(), "kim@example.test"):
        assert client.get(f"/agents?q={any_id}").url.path == f"/agents/{kim.provisioning_id}"


def test_an_agents_page_shows_every_step_and_the_remedy(room: Room, client: TestClient) -> None:
    """All steps are there, also those to come, with task ids, and why it failed with the command that retries it."""
    record = room.failed(remedy="Look; then: jitprov retry ID")
    page = client.get(f"/agents/{record.user_id}")

    assert all(record.task_id(step) in page.text for step in record.steps)
    assert page.text.count("to come") == 4
    assert f"jitprov retry {record.task_id()}" in page.text
    assert "c0ffee" in page.text
    assert client.get("/agents/nobody").status_code == 404
    assert "Nothing is known by this id" in client.get("/agents/nobody").text


def test_is_robin_ready(room: Room, client: TestClient) -> None:
    """A name or address is answered with yes, no, or not yet and when."""
    room.ready({"name": "Robin Ready", "email": "robin@example.test"})
    room.failed({"name": "Robin Failed", "email": "failed@example.test"})
    room.waiting({"name": "Robin Waiting", "email": "waiting@example.test"})

    told = text_of(client.get("/ready?q=robin").text)
    assert "Yes. Robin Ready is call-ready since 10:00:00" in told
    assert "No. Robin Failed stopped at “Read the profile”" in told
    assert re.search(r"Not yet\. Robin Waiting is ready at about 10:00:\d\d", told)
    assert "Yes. Robin Ready" in text_of(client.get("/ready?q=ROBIN@example.test").text)
    assert "Nobody is known as “Nobody”" in text_of(client.get("/ready?q=Nobody").text)


def test_buttons_retry_and_cancel(room: Room, client: TestClient) -> None:
    """The forms of an agent's page act once, say what became of it, and leave a line in the log."""
    record = room.failed({"name": "Robin"})
    path = f"/agents/{record.provisioning_id}"
    form = {"csrf": csrf(client.get(path).text), "why": "mended"}

    retried = client.post(f"{path}/retry", data=form)
    assert "It goes on where it stopped." in retried.text
    assert [each.provisioning_id for each in room.sent] == [record.provisioning_id]
    assert "There was nothing to retry." in client.post(f"{path}/retry", data=form).text
    assert "It is cancelled." in client.post(f"{path}/cancel", data=form).text
    log = text_of(client.get("/log").text)
    assert "Kim retry" in log
    assert "mended" in log
    assert client.get(f"{path}?said=You%20won").text.count("You won") == 0


def test_retry_all_after_a_preview(room: Room, client: TestClient) -> None:
    """The preview tells agents, calls, minutes and what will fail again; its form retries them all."""
    for _ in range(4):
        room.failed(code="skill_unknown", retry_helps=False)
    preview = client.get("/retry?state=failed&error=skill_unknown")

    told = text_of(preview.text)
    assert "Retry 4 agents?" in told
    assert "4 agents will fail again unless the cause is mended first" in told
    action = preview.text.split('action="/retry?')[1].split('"')[0].replace("&amp;", "&")
    client.post(f"/retry?{action}", data={"csrf": csrf(preview.text)})
    wait_until(lambda: room.ledger.acts()[0].finished, within_s=10)
    assert len(room.sent) == 4
    assert "4 retried" in client.get("/log").text
    assert "Nobody to retry" in client.get("/retry?state=failed").text


@pytest.mark.parametrize("path", ["/retry", "/agents/ID/retry", "/agents/ID/cancel", "/budget/pause", "/budget/resume"])
def test_a_form_of_somebody_else_does_nothing(room: Room, client: TestClient, path: str) -> None:
    """Without the session's own token, with another session's, or from another site a form is refused."""
    record = room.failed()
    path = path.replace("ID", record.provisioning_id)
    foreign = csrf(signed_in(room.client(), who="Other").get(f"/agents/{record.provisioning_id}").text)
    own = csrf(client.get(f"/agents/{record.provisioning_id}").text)

    assert client.post(path).status_code == 403
    assert client.post(path, data={"csrf": foreign}).status_code == 403
    assert client.post(path, data={"csrf": own}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post(path, data={"csrf": own}, headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert room.sent == []
    assert not room.ledger.acts()


def test_a_team_lead_looks_and_cannot_act(room: Room) -> None:
    """The viewer's key leads to the question, sees everything, has no buttons, and its forms are refused."""
    record = room.failed({"name": "Robin"})
    client = room.client()
    entered = client.post("/login", data={"key": VIEWER_KEY, "who": "Lead"})

    assert entered.url.path == "/ready"
    for path in ("/", f"/agents/{record.provisioning_id}", "/agents?state=failed", "/retry?state=failed"):
        page = client.get(path)
        assert page.status_code == 200
        assert page.text.count("<form") == page.text.count('action="/logout"') + page.text.count('role="search"')
    assert client.post(f"/agents/{record.provisioning_id}/retry").status_code == 403
    assert room.sent == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/agents",
        "/agents/ID",
        "/ready?q=x",
        "/retry?state=failed",
        "/log",
        "/agents?q=HOSTILE",
        "/ready?q=HOSTILE",
        "/agents?error=HOSTILE&department=HOSTILE",
    ],
)
def test_hostile_words_stay_words(room: Room, client: TestClient, path: str) -> None:
    """Names, addresses, departments, error texts, reasons and addresses of pages that hold markup show as they are."""
    profile = {"name": HOSTILE + "x", "email": HOSTILE, "department": HOSTILE, "title": HOSTILE}
    record = room.failed(
        profile, code="bad" + HOSTILE, message=HOSTILE, remedy=HOSTILE + "jitprov retry ID", correlation_id=HOSTILE
    )
    room.waiting(profile, code=HOSTILE, message=HOSTILE)
    room.ledger.note(Act("a", room.clock.now(), HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE))
    page = client.get(path.replace("ID", record.provisioning_id).replace("HOSTILE", HOSTILE))

    assert page.status_code == 200
    tags = Tags()
    tags.feed(page.text)
    assert len(tags.scripts) == 1
    assert (tags.scripts[0] or "").startswith("/static/board.js")
    assert tags.risky == []
    assert "5332114" not in page.text
    assert "alert(1)" in page.text


def test_every_page_is_strict(room: Room, client: TestClient) -> None:
    """Pages run the room's own script alone, are framed by nobody, and are kept by no cache."""
    room.failed()
    for path in ("/", "/agents", "/ready", "/retry", "/log", "/agents/nobody", "/static/board.css"):
        headers = client.get(path).headers
        assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        if "static" not in path:
            assert headers["Cache-Control"] == "no-store"


def test_a_lost_redis_has_its_page(room: Room, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """When Redis is away the page says so with 503, and comes again by itself, with and without script."""

    def away(*_: object) -> None:
        raise DependencyDown("the ledger's Redis does not answer")

    monkeypatch.setattr(room.ledger, "standing", away)
    page = client.get("/")

    assert page.status_code == 503
    assert "Redis does not answer" in page.text
    assert "data-refresh" in page.text
    assert 'http-equiv="refresh"' in page.text


def test_watchers_share_one_look(room: Room, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many look within a second, the ledger is asked once."""
    looks = []
    standing = room.ledger.standing
    monkeypatch.setattr(room.ledger, "standing", lambda since: looks.append(since) or standing(since))
    for _ in range(5):
        client.get("/")

    assert len(looks) == 1


def test_wrong_words_in_an_address_are_refused_as_a_page(room: Room, client: TestClient) -> None:
    """A period, a state or a place that is none is a page with 400 that names it."""
    for path in ("/?period=9d", "/agents?state=lost", "/agents?after=x"):
        page = client.get(path)
        assert page.status_code == 400
        assert "<html" in page.text
    assert client.get("/static/../room.py").status_code == 404
    assert client.get("/static/room.py").status_code == 404


def test_keys_are_not_in_any_page(room: Room, client: TestClient) -> None:
    """No page and no cookie holds a key."""
    room.failed()
    told = "".join(client.get(path).text for path in ("/", "/agents", "/retry", "/log")) + str(client.cookies)

    assert KEY not in told
    assert VIEWER_KEY not in told
