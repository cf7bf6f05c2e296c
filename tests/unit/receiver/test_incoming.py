"""Headers that condemn a request, and the bounds of reading it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from jitprov.receiver.answers import Turned
from jitprov.receiver.incoming import check_headers, read_stream

TYPE = (b"content-type", b"application/json; charset=utf-8")


@pytest.mark.parametrize(
    "headers",
    [
        [TYPE],
        [(b"content-type", b"application/json")],
        [(b"content-type", b'APPLICATION/JSON;charset="utf8"')],
        [(b"content-type", b"application/json; profile=x")],
        [TYPE, (b"content-encoding", b"identity"), (b"content-length", b"100")],
    ],
)
def test_fine(headers: list[tuple[bytes, bytes]]) -> None:
    """Uncompressed JSON as UTF-8 of at most the limit may go on."""
    check_headers(headers, 100)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 415),
        ([TYPE, TYPE], 415),
        ([(b"content-type", b"")], 415),
        ([(b"content-type", b"application/json; charset=latin-1")], 415),
        ([(b"content-type", b"text/json")], 415),
        ([TYPE, (b"content-encoding", b"br")], 415),
        ([TYPE, (b"content-length", b"101")], 413),
        ([TYPE, (b"content-length", b"9" * 30)], 413),
    ],
)
def test_condemned(headers: list[tuple[bytes, bytes]], status: int) -> None:
    """Another type, an encoding or too great a length ends it before the body."""
    with pytest.raises(Turned) as turned:
        check_headers(headers, 100)

    assert turned.value.answer.status_code == status


def a_request(chunks: Sequence[bytes], *, ends: bool = True, goes: bool = False) -> tuple[Request, list[bytes]]:
    """Return a request whose body comes in these chunks, and the list of those not asked for yet."""
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or not ends}
        if goes:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive), left


def test_reads_all() -> None:
    """A body of exactly the limit is read, in however many pieces it comes."""
    request, _ = a_request([b"ab", b"", b"cd"])

    assert asyncio.run(read_stream(request, 4, 5)) == b"abcd"


def test_stops_at_the_limit() -> None:
    """Nothing is asked for beyond the chunk that breaks the limit."""
    request, left = a_request([b"ab", b"cd", b"ef", b"gh"])

    with pytest.raises(Turned) as turned:
        asyncio.run(read_stream(request, 3, 5))
    assert turned.value.answer.status_code == 413
    assert left == [b"ef", b"gh"]


def test_gives_up() -> None:
    """A body that does not end in time is a 408."""
    request, _ = a_request([b"ab"], ends=False)

    with pytest.raises(Turned) as turned:
        asyncio.run(read_stream(request, 100, 0.01))
    assert turned.value.answer.status_code == 408


def test_gone() -> None:
    """A sender that goes away is no 408."""
    request, _ = a_request([b"ab"], ends=False, goes=True)

    with pytest.raises(ClientDisconnect):
        asyncio.run(read_stream(request, 100, 5))
