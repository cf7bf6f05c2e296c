"""The receiver's answers, as values; decides on none of them.

What EventBridge does with each tells them apart: it repeats 429 and 5xx, heeds Retry-After, and drops an event that met
any other 4xx.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from jitprov.errors import EventInvalid

_RETRY_AFTER_S = 5
_RETRY_AFTER_CROWDED_S = 1
# EventBridge has it in hand anyway; a browser shall not ask for a password.
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="jitprov"'}
# Whoever asks learns no more; the log and `jitprov doctor` say the rest.
LEDGER_LOST = "the ledger was lost, and nobody has acknowledged it; see `jitprov doctor` on the receiver's side"
_LAST = {"Connection": "close"}


class Turned(Exception):  # noqa: N818  not an error of the program: the answer to give instead of going on
    """The request goes no further.

    Args:
        answer: What its sender gets.
    """

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def as_json(status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON body."""
    text = json.dumps(body, separators=(",", ":"))
    return Response(text.encode(), status, dict(headers or {}), media_type="application/json")


def refusal(status: int, field: str, cause: str, remedy: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that names field, cause and remedy."""
    return as_json(status, {"error": {"field": field, "cause": cause, "remedy": remedy}}, headers)


def invalid(error: EventInvalid, refused: list[dict[str, object]]) -> Response:
    """Return the 400 for a body in which nothing is valid; `refused` when it held several events."""
    body: dict[str, object] = {"error": {"field": error.field, "cause": error.cause, "remedy": error.remedy}}
    return as_json(HTTPStatus.BAD_REQUEST, body | ({"refused": refused} if refused else {}))


def wrong_key() -> Response:
    """Return the 401, the same whatever was wrong."""
    return refusal(
        HTTPStatus.UNAUTHORIZED,
        "credentials",
        "missing or wrong",
        "Send one active webhook key: as the key header, as a bearer token, or as the password of Basic",
        _CHALLENGE,
    )


def too_often(wait_s: float) -> Response:
    """Return the 429 for one more wrong key of a source that brought too many; the connection ends with it."""
    after_s = math.ceil(wait_s)
    return refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        "credentials",
        "too many wrong keys from this source",
        f"Send an active webhook key; a wrong one not before {after_s} s",
        {"Retry-After": str(after_s), **_LAST},
    )


def too_late(limit_s: float) -> Response:
    """Return the 408 for a body that did not come in time."""
    return refusal(HTTPStatus.REQUEST_TIMEOUT, "body", f"not complete after {limit_s:g} s", "Send it in one go", _LAST)


def too_large(limit_bytes: int) -> Response:
    """Return the 413; the connection ends with it, so that nobody reads the rest."""
    return refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body",
        f"larger than {limit_bytes} bytes",
        "Send fewer events at once, or raise JITPROV_BODY_MAX_BYTES",
        _LAST,
    )


def not_json(field: str, cause: str, remedy: str) -> Response:
    """Return the 415."""
    return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, field, cause, remedy)


def come_again(cause: str, *, crowded: bool = False) -> Response:
    """Return the 503: nothing is lost as long as the sender tries again."""
    after_s = _RETRY_AFTER_CROWDED_S if crowded else _RETRY_AFTER_S
    return refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "receiver",
        cause,
        f"Send it again in {after_s} s; doing so is safe",
        {"Retry-After": str(after_s)},
    )
