"""The operator's room as JSON: closed without a key, and the same answers as the command line."""

from __future__ import annotations

import pytest

from desk_room import KEY, VIEWER_KEY, Room, guard_of
from jitprov.errors import ConfigurationError, DependencyDown
from own_redis import wait_until

HEADERS = {"X-Operator-Key": KEY}
PAGES = ["/", "/agents", "/agents/x", "/ready?q=Robin", "/retry", "/log"]
ANSWERS = [
    "/api/provisionings",
    "/api/provisionings/x",
    "/api/budget",
    "/api/retry",
    "/api/causes",
    "/api/acts",
]
WRONG = [
    {},
    {"X-Operator-Key": ""},
    {"X-Operator-Key": "wrong"},
    {"Authorization": "Bearer "},
    {"Cookie": "jitprov_session=x.y"},
]


@pytest.mark.parametrize("headers", WRONG, ids=str)
@pytest.mark.parametrize("path", ANSWERS)
def test_the_room_is_closed(room: Room, path: str, headers: dict[str, str]) -> None:
    """Without the right key every answer is 401, and tells nothing."""
    room.failed({"name": "Robin"})
    answer = room.client().get(path, headers=headers)

    assert answer.status_code == 401
    assert "Robin" not in answer.text


@pytest.mark.parametrize("headers", WRONG, ids=str)
@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_the_login(room: Room, path: str, headers: dict[str, str]) -> None:
    """Without the right key every page leads to the login, which leads back; and tells nothing."""
    room.failed({"name": "Robin Secret"})
    answer = room.client().get(path, headers=headers)

    assert answer.url.path == "/login"
    assert "Robin Secret" not in answer.text
    assert f'name="back" value="{path}"' in answer.text


def test_without_a_key_set_nobody_enters(room: Room) -> None:
    """Empty keys let nobody in, not even with an empty one."""
    client = room.client(key="", viewer_key="")

    assert client.get("/api/budget", headers={"X-Operator-Key": ""}).status_code == 401
    assert client.get("/api/budget", auth=("anyone", "")).status_code == 401
    assert client.post("/login", data={"key": ""}).status_code == 401


@pytest.mark.parametrize("keys", [("k" * 31, ""), (KEY, "v" * 31)])
def test_a_short_key_is_told_at_the_start(keys: tuple[str, str]) -> None:
    """A key that could be guessed is refused at the start, by its setting's name and without its text."""
    with pytest.raises(ConfigurationError) as caught:
        guard_of(*keys)

    assert "_KEY: shorter than 32" in str(caught.value)
    assert "kkk" not in str(caught.value)
    assert "vvv" not in str(caught.value)


def test_a_key_is_bytes(room: Room) -> None:
    """A key with letters beyond ASCII opens the room as its UTF-8 bytes, in a header and in the login's form."""
    key = "schlüssel-" + "ö" * 40
    client = room.client(key=key, viewer_key="")

    assert client.get("/api/budget", headers={b"X-Operator-Key": key.encode()}).status_code == 200
    assert client.post("/login", data={"key": key}, follow_redirects=False).status_code == 303


def test_a_key_may_read_in_three_ways(room: Room) -> None:
    """The key is taken as header, bearer token and password of Basic; the viewer's likewise."""
    client = room.client()
    for key in (KEY, VIEWER_KEY):
        assert client.get("/api/budget", headers={"X-Operator-Key": key}).status_code == 200
        assert client.get("/api/budget", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/api/budget", auth=("anyone", key)).json()["limit_per_min"] == 300


def test_an_act_needs_the_operators_key_as_a_header(room: Room) -> None:
    """What a browser adds by itself never changes anything, nor does the viewer's key, nor another site."""
    record = room.failed()
    path = f"/api/provisionings/{record.provisioning_id}/retry"

    assert room.client().post(path, auth=("anyone", KEY)).status_code == 401
    assert room.client().post(path, headers={"X-Operator-Key": VIEWER_KEY}).status_code == 403
    assert room.client().post("/api/retry", headers={"X-Operator-Key": VIEWER_KEY}).status_code == 403
    assert room.client().post(path, headers={**HEADERS, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert room.sent == []
    assert room.client().post(path, headers=HEADERS).json()["verdict"] == "done"
    assert [each.provisioning_id for each in room.sent] == [record.provisioning_id]


def test_a_valve_that_was_turned_is_noted(room: Room) -> None:
    """Flower's word that an operator turned a step's valve is in the log; of no other task, and by no other key."""
    turned = "/api/valves/jitprov.create_phone/turned?worker=one@here&rate=120/m"

    assert room.client().post(turned, headers={"X-Operator-Key": VIEWER_KEY}).status_code == 403
    assert room.client().post(turned.replace("create_phone", "x"), headers=HEADERS).status_code == 404
    assert room.client().post(turned.split("?", maxsplit=1)[0], headers=HEADERS).status_code == 400
    assert room.client().get("/api/acts", headers=HEADERS).json()["acts"] == []
    assert room.client().post(turned, headers={**HEADERS, "X-Operator-Name": "Kim"}).status_code == 200
    [act] = room.client().get("/api/acts", headers=HEADERS).json()["acts"]
    assert (act["who"], act["what"], act["whom"]) == ("Kim", "turn", "the valve of jitprov.create_phone")
    assert act["outcome"] == "120/m on one@here, until it starts again."


def test_every_act_is_in_the_log(room: Room) -> None:
    """A retry and a cancel leave who, what, whom and why; a name is taken from its header."""
    record = room.failed()
    client = room.client()
    named = {**HEADERS, "X-Operator-Name": "Kim"}
    client.post(f"/api/provisionings/{record.user_id}/retry?why=mended", headers=named)
    room.clock.advance(1)
    client.post(f"/api/provisionings/{record.user_id}/cancel", headers=HEADERS)

    cancel, retry = client.get("/api/acts", headers=HEADERS).json()["acts"]
    assert (retry["who"], retry["what"], retry["whom"], retry["why"]) == (
        "Kim",
        "retry",
        record.provisioning_id,
        "mended",
    )
    assert (cancel["who"], cancel["what"]) == ("operator key", "cancel")


def test_answers_match_the_state(room: Room) -> None:
    """Unknown ids are 404, a list says how many there are and where it goes on, one under way has its time."""
    record = room.failed()
    for _ in range(3):
        room.opened()
    client = room.client()

    assert client.get("/api/provisionings/nobody", headers=HEADERS).status_code == 404
    assert client.post("/api/provisionings/nobody/retry", headers=HEADERS).status_code == 404
    listed = client.get("/api/provisionings?state=failed", headers=HEADERS).json()
    assert (listed["counts"]["failed"], len(listed["provisionings"]), listed["following"]) == (1, 1, None)
    page = client.get("/api/provisionings?limit=3", headers=HEADERS).json()
    rest = client.get(f"/api/provisionings?limit=3&after={page['following']}", headers=HEADERS).json()
    assert len({each["provisioning_id"] for each in page["provisionings"] + rest["provisionings"]}) == 4
    assert client.get(f"/api/provisionings/{record.user_id}", headers=HEADERS).json()["ready_at"] is None
    under_way = listed = client.get("/api/provisionings?state=waiting", headers=HEADERS).json()["provisionings"][0]
    assert client.get(f"/api/provisionings/{under_way['user_id']}", headers=HEADERS).json()["ready_at"]


@pytest.mark.parametrize(
    "query", ["state=lost", "step=dance", "since=yesterday", "since=2026-11-23T09:00", "after=x", "limit=0"]
)
def test_a_wrong_question_is_named(room: Room, query: str) -> None:
    """A state, step, instant or place that is none gets 400 that names the field."""
    answer = room.client().get(f"/api/provisionings?{query}", headers=HEADERS)

    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["detail"]


def test_retry_all_that_match(room: Room) -> None:
    """The preview counts agents, calls and minutes; the act retries exactly those, and the log has its outcome."""
    skill = [room.failed(code="skill_unknown", retry_helps=False) for _ in range(3)]
    other = room.failed(code="unavailable")
    client = room.client()

    seen = client.get("/api/retry?error=skill_unknown", headers=HEADERS).json()
    assert (seen["agents"], seen["hopeless"]) == (3, 3)
    assert seen["calls"] > 0
    assert seen["minutes"] > 0
    assert client.post("/api/retry?error=skill_unknown&why=mended", headers=HEADERS).status_code == 202
    wait_until(lambda: client.get("/api/acts", headers=HEADERS).json()["acts"][0]["finished"], within_s=10)
    assert {each.provisioning_id for each in room.sent} == {record.provisioning_id for record in skill}
    assert other.provisioning_id not in {each.provisioning_id for each in room.sent}
    act = client.get("/api/acts", headers=HEADERS).json()["acts"][0]
    assert (act["outcome"], act["why"]) == ("3 retried", "mended")


def test_a_lost_redis_is_said(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the ledger does not answer, JSON says 503 and when to come again."""

    def away() -> None:
        raise DependencyDown("the ledger's Redis does not answer")

    monkeypatch.setattr(room.ledger, "count", away)
    answer = room.client().get("/api/provisionings", headers=HEADERS)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "Redis" in answer.json()["detail"]
