"""Sorts the API's answers into the errors of `jitprov.errors`, by what whoever catches them must do. Sends nothing."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from urllib3 import BaseHTTPResponse

from jitprov.errors import NotYetConsistent, OutcomeUnknown, Refused, StepError, Unavailable

_CODE = re.compile(r"[A-Za-z0-9._-]{1,80}")


class NotFound(NotYetConsistent):
    """The API answered 404: for the client to read; where it does not, the step comes again."""


class Conflict(NotYetConsistent):
    """The API answered 409, or a 400 that speaks of a duplicate: someone else, or an earlier try, was first."""


def raise_for(raw: bytes, status: int, trace: str | None, *, safe: bool) -> NoReturn:
    """Raise what an answer that is no success means.

    Args:
        raw: Its body.
        status: Its status; not 429, which is the meter's business.
        trace: `ININ-Correlation-Id`.
        safe: See `Transport.request`.
    """
    code = _code_of(raw)
    said = {"http_status": status, "correlation_id": trace}
    if status >= 500 or status < 400:  # noqa: PLR2004  a redirect is a broken answer too
        raise broken(f"{status} {code}".strip(), status, trace, safe=safe)
    if status == 404:  # noqa: PLR2004  HTTP
        raise NotFound(f"the API does not know it ({code})", **said)  # type: ignore[arg-type]
    if status == 408 or (status == 400 and "version" in code.lower()):  # noqa: PLR2004  HTTP
        raise NotYetConsistent(f"the API saw a conflict ({code})", **said)  # type: ignore[arg-type]
    if status == 409 or (status == 400 and _speaks_of_duplicate(raw)):  # noqa: PLR2004  HTTP
        raise Conflict(f"the API has it already ({code})", **said)  # type: ignore[arg-type]
    raise Refused(f"the API refused the request ({code or 'no code'})", **said)  # type: ignore[arg-type]


def silence(kind: str, *, safe: bool, refused: bool) -> StepError:
    """Return the error for a request without an answer."""
    if safe or refused:
        return Unavailable(f"the API did not answer ({kind})")
    return OutcomeUnknown(f"the API did not answer ({kind}); it may have acted all the same")


def broken(what: str, status: int, trace: str | None, *, safe: bool) -> StepError:
    """Return the error for an answer that cannot be used."""
    kind = Unavailable if safe else OutcomeUnknown
    return kind(f"the API's answer is unusable: {what}", http_status=status, correlation_id=trace)


def parsed(answer: BaseHTTPResponse, raw: bytes, status: int, trace: str | None, *, safe: bool) -> Any:
    """Return the JSON of a success; None when it has no body."""
    if not raw.strip():
        return None
    if "json" not in answer.headers.get("Content-Type", ""):
        raise broken("not JSON", status, trace, safe=safe)
    try:
        return jsonlib.loads(raw)
    except (ValueError, RecursionError):
        raise broken("broken JSON", status, trace, safe=safe) from None


def _error_body(raw: bytes) -> Mapping[str, Any]:
    try:
        content = jsonlib.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, Mapping) else {}


def _code_of(raw: bytes) -> str:
    # The code is a word of the API's; its message may quote names and addresses and is not repeated.
    code = str(_error_body(raw).get("code") or "")
    return code if _CODE.fullmatch(code) else ""


def _speaks_of_duplicate(raw: bytes) -> bool:
    content = _error_body(raw)
    words = f"{content.get('code')} {content.get('message')}".lower()
    return any(word in words for word in ("duplicate", "already", "unique", "exists", "webrtc.user.has.phone"))
