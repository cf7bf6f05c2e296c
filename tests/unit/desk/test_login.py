"""Login and sessions: what a cookie is worth, and what a wrong key costs."""

from __future__ import annotations

import pytest

from desk_room import KEY, VIEWER_KEY, Room, signed_in
from jitprov.desk.session import COOKIE, LASTS_S, Role, Sessions

NOW_S = 1_764_000_000.0


def sessions_of(keys: dict[Role, str]) -> Sessions:
    return Sessions(lambda: {role: [key] for role, key in keys.items()})


def test_the_cookie_is_for_this_site_and_no_script(room: Room) -> None:
    """The session's cookie is HttpOnly and SameSite=Strict, and Secure where the proxy says https."""
    client = room.client(follow_redirects=False)
    plain = client.post("/login", data={"key": KEY}).headers["set-cookie"]
    behind = client.post("/login", data={"key": KEY}, headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]

    assert "HttpOnly" in plain
    assert "samesite=strict" in plain.lower()
    assert "Secure" not in plain
    assert "Secure" in behind


def test_a_wrong_key_opens_nothing_and_is_slowed(room: Room) -> None:
    """A wrong key is 401 without a cookie; after five a source waits, told how long; the right key still enters."""
    client = room.client(follow_redirects=False)
    answers = [client.post("/login", data={"key": f"wrong{number}"}) for number in range(7)]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert client.post("/login", data={"key": KEY}).status_code == 303


@pytest.mark.parametrize(
    ("back", "leads"),
    [
        ("/agents?state=failed", "/agents?state=failed"),
        ("//evil.test", "/"),
        ("https://evil.test", "/"),
        ("/\\evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("", "/"),
    ],
)
def test_the_login_leads_back_into_the_room_only(room: Room, back: str, leads: str) -> None:
    """Where the login leads is a page of this room, whatever its form says."""
    answer = room.client(follow_redirects=False).post("/login", data={"key": KEY, "back": back})

    assert answer.headers["Location"] == leads


def test_signing_out_drops_the_session(room: Room) -> None:
    """After it the browser has no session, and the board asks for a key."""
    client = signed_in(room.client())
    assert client.get("/").url.path == "/"
    assert client.get("/login").url.path == "/"

    client.post("/logout")
    assert client.get("/").url.path == "/login"


def test_a_login_from_another_site_is_refused(room: Room) -> None:
    """A foreign page cannot sign a browser in under a name of its choice."""
    answer = room.client().post("/login", data={"key": KEY}, headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403


def test_a_link_from_a_mail_comes_again_by_itself(room: Room) -> None:
    """A strict cookie is not sent with a foreign link: the page comes once more from here, then the login."""
    client = room.client()
    first = client.get("/agents?state=failed", headers={"Sec-Fetch-Site": "cross-site"})

    assert first.status_code == 200
    assert 'http-equiv="refresh" content="0"' in first.text
    assert client.get("/agents?state=failed", headers={"Sec-Fetch-Site": "same-origin"}).url.path == "/login"


def test_large_and_strange_forms_are_refused(room: Room) -> None:
    """A form over 16 KiB is 413, one that is no form is 400; nothing is guessed."""
    client = room.client()

    assert client.post("/login", content=b"key=" + b"x" * 20_000).status_code == 413
    assert client.post("/login", content=b"\xff\xfe=1").status_code == 400
    assert client.post("/login", content="&".join(f"a{number}=1" for number in range(200))).status_code == 400


def test_a_session_is_worth_what_its_key_opened() -> None:
    """A session tells role, name and zone; it ends with its time, with its key, and with any changed letter."""
    sessions = sessions_of({Role.OPERATOR: KEY, Role.VIEWER: VIEWER_KEY})
    cookie = sessions.open(Role.VIEWER, VIEWER_KEY, " Kim\n\x00" + "x" * 99, "Europe/Berlin", now_s=NOW_S)
    visitor = sessions.read(cookie, now_s=NOW_S + 60)

    assert visitor is not None
    assert (visitor.role, visitor.zone, visitor.may_act) == (Role.VIEWER, "Europe/Berlin", False)
    assert visitor.who == "Kim" + "x" * 57
    assert sessions.read(cookie, now_s=NOW_S + LASTS_S) is None
    assert sessions_of({Role.OPERATOR: KEY, Role.VIEWER: "other"}).read(cookie, now_s=NOW_S) is None
    assert sessions_of({Role.OPERATOR: KEY}).read(cookie, now_s=NOW_S) is None
    for number, letter in enumerate(cookie):
        forged = cookie[:number] + ("A" if letter != "A" else "B") + cookie[number + 1 :]
        assert sessions.read(forged, now_s=NOW_S) is None, number


def test_a_viewer_cannot_make_itself_an_operator() -> None:
    """A cookie that names another role is signed by another key, so it is none."""
    sessions = sessions_of({Role.OPERATOR: KEY, Role.VIEWER: VIEWER_KEY})
    as_operator = sessions_of({}).open(Role.OPERATOR, VIEWER_KEY, "Mallory", "", now_s=NOW_S)

    assert sessions.read(as_operator, now_s=NOW_S) is None
    for strange in ("", ".", "x", "e30=.x", "bnVsbA==.x", "é.é"):
        assert sessions.read(strange, now_s=NOW_S) is None


def test_forms_differ_by_session() -> None:
    """Two sessions of one person have forms of their own."""
    sessions = sessions_of({Role.OPERATOR: KEY})
    one, other = (
        sessions.read(sessions.open(Role.OPERATOR, KEY, "Kim", "", now_s=at), now_s=at) for at in (NOW_S, NOW_S + 1)
    )

    assert one
    assert other
    assert one.csrf != other.csrf


def test_a_forged_cookie_in_a_browser_is_a_stranger(room: Room) -> None:
    """A cookie that no key signed leads to the login."""
    client = room.client()
    client.cookies.set(COOKIE, "e30=.00")

    assert client.get("/").url.path == "/login"
