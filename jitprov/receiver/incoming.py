"""A request's headers and stream → its body, bounded in size and time, before anybody parses it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.requests import Request

from jitprov.receiver import answers

BODY_WITHIN_S = 5.0

_MEND_TYPE = "Send Content-Type: application/json; charset=utf-8"
_MEND_ENCODING = "Send it uncompressed"


def check_headers(headers: Iterable[tuple[bytes, bytes]], limit_bytes: int) -> None:
    """Turn a request away that its headers condemn.

    Args:
        headers: Name in lower case and value, as they came.
        limit_bytes: Largest body.

    Raises:
        Turned: 415 for another type or an encoding, 413 for a declared length beyond the limit.
    """
    types: list[bytes] = []
    for name, value in headers:
        if name == b"content-type":
            types.append(value)
        elif name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise answers.Turned(answers.not_json("Content-Encoding", "is not identity", _MEND_ENCODING))
        elif name == b"content-length" and _too_many(value, limit_bytes):
            raise answers.Turned(answers.too_large(limit_bytes))
    if len(types) != 1:
        cause = "is missing" if not types else "is there more than once"
        raise answers.Turned(answers.not_json("Content-Type", cause, _MEND_TYPE))
    if not _is_json_as_utf8(types[0]):
        raise answers.Turned(answers.not_json("Content-Type", "is not JSON as UTF-8", _MEND_TYPE))


def _too_many(length: bytes, limit_bytes: int) -> bool:
    # The server has refused what is not a number; a chunked body is measured while it comes.
    return length.isdigit() and int(length) > limit_bytes


def _is_json_as_utf8(value: bytes) -> bool:
    kind, *parameters = (part.strip().lower() for part in value.split(b";"))
    if kind != b"application/json":
        return False
    for parameter in parameters:
        name, _, given = parameter.partition(b"=")
        if name.strip() == b"charset" and given.strip(b"\"' ") not in {b"utf-8", b"utf8"}:
            return False
    return True


async def read_stream(request: Request, limit_bytes: int, within_s: float) -> bytes:
    """Return the body.

    Args:
        request: Of which nothing was read yet.
        limit_bytes: Largest body; reading stops with the first chunk beyond it.
        within_s: For all of it, so that a sender of a byte a second does not hold a place.

    Raises:
        Turned: 413 or 408.
        ClientDisconnect: The sender is gone.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit_bytes:
                    raise answers.Turned(answers.too_large(limit_bytes))
    except TimeoutError:
        raise answers.Turned(answers.too_late(within_s)) from None
    return bytes(body)
