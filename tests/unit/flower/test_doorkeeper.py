from __future__ import annotations

import base64

import pytest

from jitprov.desk.session import Role, Sessions
from jitprov.errors import ConfigurationError
from jitprov.flower.doorkeeper import Doorkeeper, is_foreign, keys_of
from jitprov.settings import read_settings

KEYS = {Role.OPERATOR: ["o" * 40], Role.VIEWER: ["v" * 40]}
HERE = "flower.test:5555"


def basic(who: str, key: str) -> str:
    return "Basic " + base64.b64encode(f"{who}:{key}".encode()).decode()


def a_door() -> Doorkeeper:
    return Doorkeeper(lambda: KEYS, wall_s=lambda: 1000.0, monotonic_s=lambda: 0.0)


@pytest.mark.parametrize("role", list(Role))
def test_a_key_opens_for_its_role_and_any_name(role: Role) -> None:
    """A key of the board as password lets its role in, under the name that was typed."""
    visitor = a_door().visitor(basic("Kim Example", KEYS[role][0]), "")

    assert visitor is not None
    assert (visitor.role, visitor.who, visitor.may_act) == (role, "Kim Example", role is Role.OPERATOR)


def test_a_nameless_visitor_is_named_by_the_key() -> None:
    """Without a name the log of acts still says whose key it was, and control characters never get there."""
    nameless, cheeky = (a_door().visitor(basic(who, KEYS[Role.OPERATOR][0]), "") for who in ("", "K\r\nim"))

    assert nameless is not None
    assert cheeky is not None
    assert (nameless.who, cheeky.who) == ("operator key", "Kim")


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic ????", basic("operator", "wrong"), basic("o" * 40, ""), f"Bearer {'o' * 40}", basic("x", "")],
)
def test_anything_else_is_a_stranger(authorization: str) -> None:
    """What is no key in Basic opens nothing, also with a good session beside it."""
    session = Sessions(lambda: KEYS).open(Role.OPERATOR, "o" * 40, "Kim", "", now_s=1000.0)

    assert a_door().visitor(authorization, "") is None
    assert a_door().visitor(authorization, session) is None


def test_the_boards_session_opens_flower() -> None:
    """A session that the board opened is let in with its role and name; a forged or late one is not."""
    early = Sessions(lambda: KEYS).open(Role.VIEWER, "v" * 40, "Robin", "", now_s=999.0)
    late = Sessions(lambda: KEYS).open(Role.VIEWER, "v" * 40, "Robin", "", now_s=-100_000.0)
    forged = Sessions(lambda: {Role.VIEWER: ["x" * 40]}).open(Role.VIEWER, "x" * 40, "Robin", "", now_s=999.0)
    let_in = a_door().visitor("", early)

    assert let_in is not None
    assert (let_in.role, let_in.who) == (Role.VIEWER, "Robin")
    assert [a_door().visitor("", cookie) for cookie in (late, forged, "", "x")] == [None] * 4


def test_keys_may_change_while_running() -> None:
    """A changed key counts at once, for visitors and for what Flower asks of the board; an empty one opens nothing."""
    keys = {Role.OPERATOR: ["o" * 40], Role.VIEWER: [""]}
    door = Doorkeeper(lambda: keys, wall_s=lambda: 1000.0)

    assert door.visitor(basic("x", ""), "") is None
    keys[Role.OPERATOR] = ["n" * 40]
    assert door.visitor(basic("x", "o" * 40), "") is None
    assert door.visitor(basic("x", "n" * 40), "") is not None
    assert (door.key_of(Role.OPERATOR), door.key_of(Role.VIEWER)) == ("n" * 40, "")


def test_wrong_keys_are_bounded() -> None:
    """The sixth wrong key of one source has to wait; another source has not."""
    door = a_door()

    assert [door.wrong_key("192.0.2.1", ()) for _ in range(5)] == [0.0] * 5
    assert door.wrong_key("192.0.2.1", ()) > 0
    assert door.wrong_key("192.0.2.2", ()) == 0.0


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": f"http://{HERE}"}, False),
        ({"Origin": "https://evil.test"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": f"http://{HERE}", "Sec-Fetch-Site": "cross-site"}, True),
    ],
)
def test_what_another_site_sends_is_told(headers: dict[str, str], foreign: bool) -> None:
    """What a browser says of the page that asks is believed; one that names no site names its origin."""
    assert is_foreign(headers, host=HERE) is foreign


def test_flower_asks_for_real_keys() -> None:
    """Without an operator key, or with one that could be guessed, Flower does not start, and says what to set."""
    with pytest.raises(ConfigurationError, match="JITPROV_OPERATOR_KEY"):
        keys_of(read_settings(operator_key="", viewer_key="v" * 40))
    with pytest.raises(ConfigurationError, match="JITPROV_VIEWER_KEY: shorter than 32"):
        Doorkeeper(lambda: keys_of(read_settings(operator_key="o" * 40, viewer_key="short")))
