"""Who may hand in events."""

from __future__ import annotations

import base64

import pytest

from jitprov.errors import ConfigurationError, DependencyDown
from jitprov.receiver.auth import Doorkeeper

KEY = "K" * 20 + "ö" + "y" * 20
NEXT = "N" * 40
RIGHT = KEY.encode()


def basic(password: bytes, user: bytes = b"eventbridge") -> bytes:
    return b"Basic " + base64.b64encode(user + b":" + password)


@pytest.fixture
def doorkeeper() -> Doorkeeper:
    return Doorkeeper("X-API-Key", lambda: (KEY, NEXT))


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-api-key", RIGHT)],
        [(b"x-api-key", NEXT.encode())],
        [(b"authorization", b"Bearer " + RIGHT)],
        [(b"authorization", b"bearer " + RIGHT)],
        [(b"authorization", basic(RIGHT))],
        [(b"authorization", basic(RIGHT, b""))],
        [(b"host", b"x"), (b"x-api-key", RIGHT), (b"cookie", b"a=b")],
    ],
)
def test_right(doorkeeper: Doorkeeper, headers: list[tuple[bytes, bytes]]) -> None:
    """Either active key lets in, as API key, bearer token or Basic password."""
    assert doorkeeper.lets_in(headers)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"x-api-key", b"")],
        [(b"x-api-key", b"wrong" * 10)],
        [(b"x-api-key", RIGHT + b" ")],
        [(b"x-api-key", b" " + RIGHT)],
        [(b"x-api-key", RIGHT.swapcase())],
        [(b"x-api-key", RIGHT[:-1])],
        [(b"x-api-key", RIGHT + b"y")],
        [(b"x-api-key", KEY.encode("latin-1"))],
        [(b"x-api-key", RIGHT * 25_000)],
        [(b"x-api-key", b"Bearer " + RIGHT)],
        [(b"x-api-key", RIGHT + b", " + RIGHT)],
        [(b"x-api-key", RIGHT), (b"x-api-key", b"wrong")],
        [(b"x-api-key", b"wrong"), (b"x-api-key", RIGHT)],
        [(b"x-api-key", RIGHT), (b"x-api-key", RIGHT)],
        [(b"x-api-key", RIGHT), (b"authorization", b"Bearer " + RIGHT)],
        [(b"x-api-key", RIGHT), (b"authorization", b"")],
        [(b"authorization", RIGHT)],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer  " + RIGHT)],
        [(b"authorization", b"Digest " + RIGHT)],
        [(b"authorization", basic(b"wrong", RIGHT))],
        [(b"authorization", b"Basic " + RIGHT)],
        [(b"authorization", b"Basic ====")],
        [(b"cookie", b"x-api-key=" + RIGHT)],
        [(b"x-other-key", RIGHT)],
    ],
    ids=lambda headers: str(headers)[:60],
)
def test_wrong(doorkeeper: Doorkeeper, headers: list[tuple[bytes, bytes]]) -> None:
    """Nothing but exactly one credential that equals an active key lets in."""
    assert not doorkeeper.lets_in(headers)


def test_header_name() -> None:
    """The header that carries the key is a setting; `Authorization` may carry it bare."""
    named = Doorkeeper("X-Genesys-Key", lambda: (KEY,))
    bare = Doorkeeper("Authorization", lambda: (KEY,))

    assert named.lets_in([(b"x-genesys-key", RIGHT)])
    assert not named.lets_in([(b"x-api-key", RIGHT)])
    assert bare.lets_in([(b"authorization", RIGHT)])
    assert bare.lets_in([(b"authorization", b"Bearer " + RIGHT)])


def test_rotation() -> None:
    """A key counts from the request after it was made active until it is taken away."""
    active = [KEY]
    doorkeeper = Doorkeeper("X-API-Key", lambda: active)
    assert not doorkeeper.lets_in([(b"x-api-key", NEXT.encode())])

    active.append(NEXT)
    assert doorkeeper.lets_in([(b"x-api-key", RIGHT)])
    assert doorkeeper.lets_in([(b"x-api-key", NEXT.encode())])

    active.remove(KEY)
    assert not doorkeeper.lets_in([(b"x-api-key", RIGHT)])
    assert doorkeeper.lets_in([(b"x-api-key", NEXT.encode())])


@pytest.mark.parametrize("active", [[], ["short"], [""]])
def test_no_key_left(active: list[str]) -> None:
    """When no usable key is left while running, nobody is told that his key is wrong: that would be final."""
    keys = [KEY]
    doorkeeper = Doorkeeper("X-API-Key", lambda: keys)
    keys[:] = active

    with pytest.raises(DependencyDown):
        doorkeeper.lets_in([(b"x-api-key", RIGHT)])


@pytest.mark.parametrize("keys", [(), ("k" * 31,), ("k" * 32, "short")])
def test_refuses_to_start(keys: tuple[str, ...]) -> None:
    """Without a key, or with one that is too short, there is no door; the message holds no key."""
    with pytest.raises(ConfigurationError) as caught:
        Doorkeeper("X-API-Key", lambda: keys)

    assert "kkk" not in str(caught.value)
