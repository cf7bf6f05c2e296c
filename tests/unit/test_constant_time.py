"""Keys are compared by the function that is made for it, all of them, whatever came; by no other.

The time itself is not tested: on a shared machine noise drowns nanoseconds.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence

import pytest
from starlette.requests import Request

from desk_room import guard_of
from jitprov.desk.session import Role, Sessions
from jitprov.receiver.auth import Doorkeeper
from jitprov.receiver.signature import Claim, Signatures

KEYS = ["first-" + "1" * 40, "second-" + "2" * 40]
SECRETS = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
OFFERED = [*KEYS, "first-" + "1" * 39 + "x", "x" * 46, "", "f", "1" * 5000]

Compared = list[tuple[bytes, bytes]]


class Bare(bytes):
    """A credential that may be compared in constant time alone: any other comparison fails the test."""

    __hash__ = None  # type: ignore[assignment]  # nor looked up in a set

    def __eq__(self, other: object) -> bool:
        pytest.fail("a credential was compared by ==")

    __ne__ = __eq__

    def startswith(self, *_: object) -> bool:
        pytest.fail("a credential was compared by its beginning")


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    """Every pair that was compared in constant time."""
    pairs: Compared = []
    real = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        pairs.append((bytes(one), bytes(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    return pairs


def by_webhook_key(offered: str) -> None:
    Doorkeeper("X-API-Key", lambda: KEYS).lets_in([(b"x-api-key", Bare(offered.encode()))])


def by_operator_key(offered: str) -> None:
    guard = guard_of(*KEYS)
    guard.visitor(Request({"type": "http", "headers": [(b"x-operator-key", Bare(offered.encode()))]}))


def by_login(offered: str) -> None:
    guard_of(*KEYS).opened_by(Bare(offered.encode()))


@pytest.mark.parametrize("offered", OFFERED, ids=lambda offered: offered[:12] or "empty")
@pytest.mark.parametrize("ask", [by_webhook_key, by_operator_key, by_login])
def test_each_key_is_compared(compared: Compared, ask: Callable[[str], None], offered: str) -> None:
    """The whole of what was offered is held against the whole of each key, also after one has matched."""
    ask(offered)

    assert compared == [(offered.encode(), key.encode()) for key in KEYS]


@pytest.mark.parametrize("theirs", [[b"x"], [b"x", b"y", b"z"]], ids=["one", "three"])
def test_each_signature_is_compared(compared: Compared, theirs: Sequence[bytes]) -> None:
    """Every signature is held against what every secret makes of the body."""
    signatures = Signatures(lambda: [f"whsec_{secret}" for secret in SECRETS])
    assert not signatures.holds(Claim(b"id.1.", tuple(map(Bare, theirs))), b"{}")

    assert [given for _, given in compared] == [*theirs, *theirs]
    assert len({made for made, _ in compared}) == len(SECRETS)


def test_each_sessions_seal_is_compared(compared: Compared) -> None:
    """A session's seal is held against what each key of its role makes of it."""
    sessions = Sessions(lambda: {Role.OPERATOR: KEYS})
    cookie = sessions.open(Role.OPERATOR, KEYS[0], "Kim", "", now_s=0)
    assert sessions.read(cookie, now_s=1)

    assert len(compared) == len(KEYS)
    assert {given for _, given in compared} == {cookie.rpartition(".")[2].encode()}
