"""Bytes → JSON, without anything that two parsers could read differently. Knows nothing of events.

Python's own parser takes NaN, the last of two equal keys, UTF-16 and half a surrogate pair; pydantic's takes some of
these too. What the ledger keeps must not depend on who reads it, so all of it is refused here.
"""

from __future__ import annotations

import json
import math
import re

from jitprov.errors import EventInvalid

DEPTH_MAX = 32

_BODY = "body"
_MEND_JSON = "Send one JSON document as UTF-8"
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_HARMLESS_KEY = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def parse_strictly(raw: bytes) -> object:
    """Return the JSON document in `raw`.

    Args:
        raw: UTF-8 without a byte order mark, at most `DEPTH_MAX` objects and arrays deep.

    Raises:
        EventInvalid: Anything else; tells where, and quotes nothing of the text but a plain key.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EventInvalid(_BODY, f"is not UTF-8 (byte {error.start})", _MEND_JSON) from None
    if not text.strip(" \t\r\n"):
        raise EventInvalid(_BODY, "is empty", _MEND_JSON)
    try:
        document: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise EventInvalid(_BODY, f"is not JSON (line {error.lineno}, column {error.colno})", _MEND_JSON) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # an integer of thousands of digits, which Python refuses to convert
        raise EventInvalid(_BODY, "holds a number that is too long", _MEND_JSON) from None
    if text.count("{") + text.count("[") > DEPTH_MAX:
        _check_depth(document)
    if _SURROGATE_ESCAPE.search(text):
        _check_surrogates(document)
    return document


def _refuse_constant(name: str) -> None:
    raise EventInvalid(_BODY, f"holds {name.lstrip('-')}, which is not JSON", "Send numbers, or null")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise EventInvalid(_BODY, "holds a number beyond what a double can hold", "Send it as text")
    return number


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            shown = f" {key!r}" if _HARMLESS_KEY.fullmatch(key) else ""
            raise EventInvalid(_BODY, f"holds the key{shown} twice in one object", "Send each key once")
        seen.add(key)
    return found


def _too_deep() -> EventInvalid:
    return EventInvalid(_BODY, f"is more than {DEPTH_MAX} objects and arrays deep", "Send an event, not more around it")


def _check_depth(document: object) -> None:
    level = [document] if isinstance(document, (dict, list)) else []
    depth = 0
    while level:
        depth += 1
        if depth > DEPTH_MAX:
            raise _too_deep()
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]


def _check_surrogates(document: object) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise EventInvalid(_BODY, "holds half a surrogate pair", _MEND_JSON) from None


# Made once: json.loads makes one for each text.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_duplicates)
