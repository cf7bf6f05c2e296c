"""Reads an answer within bounds of size and time, whatever the other end does.

Also how long it asks to wait, and what it says about its token's allowance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import requests
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from jitprov.budget import Reading
from jitprov.domain.clock import Clock

ANSWER_BYTES_MAX = 8_388_608
# From sending to the last byte. The read timeout alone never ends a body that drips.
ANSWER_S_MAX = 30.0
_CHUNK_BYTES = 65_536
_RETRY_AFTER_DEFAULT_S = 15.0
_RETRY_AFTER_MAX_S = 300.0
# Longer ones count no requests; the bound keeps the meter's arithmetic in whole numbers.
_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)


class Unreadable(Exception):  # noqa: N818  it never leaves this room
    """The body is too large, too slow or broken off; the text says which."""


class PlainSession(requests.Session):
    """A session that looks at no redirect: requests would read its body without bound, unasked."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: there is nowhere to go."""


def read_body(answer: BaseHTTPResponse, clock: Clock, *, began_s: float) -> bytes:
    """Return the whole body, unpacked.

    Args:
        answer: Not read yet.
        clock: Measures.
        began_s: When the request was sent, by the clock's steady count.

    Raises:
        Unreadable: Over `ANSWER_BYTES_MAX` or `ANSWER_S_MAX`, or broken off.
    """
    read = bytearray()
    try:
        # read1 returns what has arrived, so that the clock is looked at between a dripping server's bytes.
        while chunk := answer.read1(_CHUNK_BYTES, decode_content=True):
            read += chunk
            if len(read) > ANSWER_BYTES_MAX:
                raise Unreadable("larger than 8 MiB")
            if clock.monotonic_s() - began_s > ANSWER_S_MAX:
                raise Unreadable(f"slower than {ANSWER_S_MAX:g} s")
    except (HTTPError, OSError) as error:
        raise Unreadable(f"broken off ({type(error).__name__})") from None
    return bytes(read)


def retry_after_s(header: str | None, *, now_s: float) -> float:
    """Return how long a 429 asks to wait, in API seconds, 1.0 to 300.0; 15.0 when it does not say.

    Args:
        header: `Retry-After`: seconds or an HTTP date.
        now_s: Seconds since the epoch, for a date.
    """
    if header is None:
        return _RETRY_AFTER_DEFAULT_S
    try:
        wait_s = float(header)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(header).timestamp() - now_s
        except ValueError:
            return _RETRY_AFTER_DEFAULT_S
    if not wait_s > 0:
        return 1.0 if wait_s == 0 else _RETRY_AFTER_DEFAULT_S
    return min(max(wait_s, 1.0), _RETRY_AFTER_MAX_S)


def answered_at_s(headers: Mapping[str, str], clock: Clock) -> float:
    """Return when an answer was sent, in seconds since the epoch: by its own `Date`, since this clock may be wrong."""
    try:
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        return clock.wall_s()


def allowance(headers: Mapping[str, str], *, sent_s: float, heard_s: float) -> Reading | None:
    """Return what `inin-ratelimit-allowed`, `-count` and `-reset` say; None when one is missing or no number.

    Args:
        headers: Of an answer to a bearer token.
        sent_s: When its request left, by the clock's steady count.
        heard_s: When the answer's headers had come.
    """
    numbers = [headers.get(f"inin-ratelimit-{name}", "") for name in ("allowed", "count", "reset")]
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    allowed, count, reset_s = map(int, numbers)
    return Reading(allowed, count, reset_s, sent_s, heard_s) if allowed >= 1 else None
