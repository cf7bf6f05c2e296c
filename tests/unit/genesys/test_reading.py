"""A body is read within bounds, whatever the other end does."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest
import requests
from urllib3 import HTTPResponse

from fixed_clock import FixedClock
from jitprov.genesys.reading import ANSWER_BYTES_MAX, ANSWER_S_MAX, PlainSession, Unreadable, read_body


class Dripping(io.BytesIO):
    """Gives one byte a second, and never a read timeout."""

    def __init__(self, content: bytes, clock: FixedClock) -> None:
        super().__init__(content)
        self.clock = clock

    def read1(self, size: int | None = -1, /) -> bytes:
        self.clock.advance(1.0)
        return super().read(1)


def an_answer(body: Any, **headers: str) -> HTTPResponse:
    raw = body if isinstance(body, io.BytesIO) else io.BytesIO(body)
    return HTTPResponse(raw, headers=headers, status=200, preload_content=False)


def test_a_body_is_read_whole(clock: FixedClock) -> None:
    """Many chunks become one body, a packed one is unpacked."""
    body = b"x" * 300_000

    assert read_body(an_answer(body), clock, began_s=0.0) == body
    assert read_body(an_answer(gzip.compress(body), **{"content-encoding": "gzip"}), clock, began_s=0.0) == body


@pytest.mark.parametrize("packed", [True, False])
def test_a_body_has_its_largest_size(clock: FixedClock, packed: bool) -> None:
    """Packed or not, no more than the bound is kept."""
    body = b"x" * (ANSWER_BYTES_MAX + 1)
    answer = an_answer(gzip.compress(body), **{"content-encoding": "gzip"}) if packed else an_answer(body)

    with pytest.raises(Unreadable, match="larger"):
        read_body(answer, clock, began_s=0.0)


def test_a_dripping_body_is_cut_off(clock: FixedClock) -> None:
    """A server that sends a byte now and then holds a worker no longer than the bound."""
    answer = an_answer(Dripping(b" " * 1000, clock))

    with pytest.raises(Unreadable, match="slower"):
        read_body(answer, clock, began_s=0.0)

    assert clock.monotonic_s() <= ANSWER_S_MAX + 1


def test_a_short_body_is_broken_off(clock: FixedClock) -> None:
    """Less than was announced is not the whole."""
    with pytest.raises(Unreadable, match="broken off"):
        read_body(an_answer(b"{}", **{"content-length": "9"}), clock, began_s=0.0)


def test_a_redirect_is_not_looked_at() -> None:
    """Its target is nowhere, so nothing of it is read or followed."""
    answer = requests.Response()
    answer.status_code, answer.headers["Location"] = 302, "https://elsewhere.test/"

    with PlainSession() as session:
        assert session.get_redirect_target(answer) is None  # type: ignore[func-returns-value]
