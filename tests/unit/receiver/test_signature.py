"""Deliveries that are signed after Standard Webhooks."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

import pytest

from jitprov.errors import ConfigurationError
from jitprov.receiver.signature import TOLERANCE_S, Claim, Signatures

# The example of the specification and of its reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID, TIMESTAMP = b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330"
BODY = b'{"test": 2432232314}'
SIGNATURE = b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW_S = 1614265330.0
NEXT = "whsec_" + base64.b64encode(b"n" * 32).decode()

Headers = list[tuple[bytes, bytes]]


def headers(
    message_id: bytes = MESSAGE_ID,
    timestamp: bytes = TIMESTAMP,
    signature: bytes = SIGNATURE,
    *more: tuple[bytes, bytes],
) -> Headers:
    return [
        (b"host", b"x"),
        (b"webhook-id", message_id),
        (b"webhook-timestamp", timestamp),
        (b"webhook-signature", signature),
    ]


def sign(secret: str, text: bytes) -> bytes:
    """Sign as a sender does."""
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    return b"v1," + base64.b64encode(hmac.new(raw, text, sha256).digest())


@pytest.fixture
def signatures() -> Signatures:
    return Signatures(lambda: (SECRET, NEXT))


def lets_in(signatures: Signatures, given: Headers, raw: bytes = BODY, now_s: float = NOW_S) -> bool:
    claim = signatures.claim(given, now_s)
    return claim is not None and signatures.holds(claim, raw)


def test_vector_of_the_specification(signatures: Signatures) -> None:
    """The specification's own example is right, over its very bytes alone."""
    assert lets_in(signatures, headers())
    assert not lets_in(signatures, headers(), BODY + b" ")
    assert not lets_in(signatures, headers(), b'{"test":2432232314}')
    assert not lets_in(Signatures(lambda: (NEXT,)), headers())


@pytest.mark.parametrize(
    "listed",
    [
        b"v1,wrong " + SIGNATURE,
        SIGNATURE + b" v1,wrong",
        b"v1a,wrong " + SIGNATURE + b" v2,wrong",
        sign(NEXT, MESSAGE_ID + b"." + TIMESTAMP + b"." + BODY),
    ],
)
def test_several_signatures_and_secrets(signatures: Signatures, listed: bytes) -> None:
    """One right signature of any active secret is enough, among others and among other versions."""
    assert lets_in(signatures, headers(signature=listed))


@pytest.mark.parametrize(
    "listed",
    [
        b"",
        b"v1,",
        b"v1",
        SIGNATURE[3:],
        b"v1a," + SIGNATURE[3:],
        b"V1," + SIGNATURE[3:],
        SIGNATURE[:-1],
        SIGNATURE + b"=",
        SIGNATURE.lower(),
        SIGNATURE.replace(b",", b", "),
        b"v1,\xff\xfe",
        b"v1,x " * 1000,
    ],
)
def test_wrong_signatures(signatures: Signatures, listed: bytes) -> None:
    """Nothing but the very signature is one."""
    assert not lets_in(signatures, headers(signature=listed))


@pytest.mark.parametrize(
    ("away_s", "right"), [(0, True), (TOLERANCE_S, True), (TOLERANCE_S + 1, False), (86_400, False)]
)
@pytest.mark.parametrize("direction", [1, -1], ids=["late", "early"])
def test_tolerance(signatures: Signatures, away_s: float, direction: int, right: bool) -> None:
    """A timestamp too far from now is refused, one from the future as well, before the body is read."""
    assert (signatures.claim(headers(), NOW_S + direction * away_s) is not None) == right


@pytest.mark.parametrize("timestamp", [b"", b" 1614265330", b"+1614265330", b"1614265330.0", b"1e9", b"-1", b"9" * 30])
def test_timestamps_that_are_none(signatures: Signatures, timestamp: bytes) -> None:
    """A timestamp is digits alone."""
    assert signatures.claim(headers(timestamp=timestamp), NOW_S) is None


@pytest.mark.parametrize("message_id", [b"", b"a.b", b".", b"a b", b"a\x7f", b"\xff", b"a" * 257])
def test_ids_that_are_none(signatures: Signatures, message_id: bytes) -> None:
    """An id with a dot could move the border between id and timestamp under the same signature."""
    assert signatures.claim(headers(message_id=message_id), NOW_S) is None


@pytest.mark.parametrize("name", [b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
def test_each_header_once(signatures: Signatures, name: bytes) -> None:
    """Each header is there exactly once."""
    without = [pair for pair in headers() if pair[0] != name]
    twice = headers() + [pair for pair in headers() if pair[0] == name]

    assert signatures.claim(without, NOW_S) is None
    assert signatures.claim(twice, NOW_S) is None


def test_nobody_may_sign() -> None:
    """Without a secret no signature counts, and none is asked for."""
    signatures = Signatures(lambda: ())

    assert not signatures.wanted(headers())
    assert not signatures.holds(Claim(b"a.1.", (SIGNATURE[3:],)), BODY)


def test_half_written_secret() -> None:
    """A secret that is being written matches nothing, and the other goes on."""
    secrets = [SECRET]
    signatures = Signatures(lambda: secrets)
    secrets[:] = ["whsec_M", "whsec_", SECRET]

    assert lets_in(signatures, headers())
    secrets[:] = ["whsec_", ""]
    assert not lets_in(signatures, headers(signature=sign("", MESSAGE_ID + b"." + TIMESTAMP + b"." + BODY)))


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!", "whsec_" + "A" * 28, "whsec_" + "A" * 88])
def test_refuses_to_start(secret: str) -> None:
    """A secret that is none is told at the start, without being shown."""
    with pytest.raises(ConfigurationError) as caught:
        Signatures(lambda: (secret,))

    assert secret not in str(caught.value).replace("whsec_ and", "")
