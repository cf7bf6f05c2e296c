"""Which messages of the steps' queues are handed to Celery: those that jitprov sends, and nothing else. Pure.

Whoever can write to the broker can lay anything into a queue. Celery hands what it can decode to its pool, and some of
that ends the worker, comes back after the visibility timeout, and ends the next one: arguments nested 500 deep cannot
be pickled, and kombu's own `__type__` makes a task vanish. What is thrown away here is nobody's evidence: if it was
meant for an agent, the reconciler finds the message missing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jitprov.domain.ids import parse_task_id
from jitprov.pipeline.names import QUEUES

# A chain of all steps takes some 3 kB and some 40 brackets, which bound how deep it nests.
_BODY_CHARS_MAX = 65_536
_BRACKETS_MAX = 200
_ID_CHARS_MAX = 64


def unfit(message: Any, queue: str) -> str:
    """Return why a message is not one that jitprov sends to a step's queue; empty when it may be.

    Args:
        message: As kombu read it from the list.
        queue: Where it lay; messages of other queues, such as Celery's remote control, are not looked at.
    """
    if queue not in QUEUES:
        return ""
    try:
        return _headers(message["headers"]) or _body(message)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        return f"not a message of Celery's ({type(error).__name__})"


def _is_flat(value: object) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not any(isinstance(part, list | dict) for part in parts)


def _headers(headers: Mapping[str, Any]) -> str:
    if headers["task"] not in QUEUES:
        return "another program's task"
    if parse_task_id(headers["id"]) is None:
        return "not one of our task ids"
    if not all(map(_is_flat, headers.values())):
        return "nested headers"
    retries, limits = headers.get("retries") or 0, headers.get("timelimit") or []
    if not isinstance(retries, int) or retries < 0:
        return "retries are not a count"
    if not all(limit is None or isinstance(limit, int | float) for limit in limits):
        return "time limits are not numbers"
    for name in ("eta", "expires"):
        if headers.get(name) is not None:
            datetime.fromisoformat(headers[name])
    return ""


def _body(message: Any) -> str:
    if (message["content-type"], message["content-encoding"]) != ("application/json", "utf-8"):
        return "not JSON"
    encoded = message["body"]
    if len(encoded) > _BODY_CHARS_MAX:
        return "too large"
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "not base64 of UTF-8"
    if text.count("[") + text.count("{") > _BRACKETS_MAX:
        return "nested too deep"
    args, kwargs, embedded = json.loads(text)
    if len(args) != 1 or not isinstance(args[0], str) or len(args[0]) > _ID_CHARS_MAX or kwargs:
        return "not the one argument of a step"
    following = embedded.get("chain") or []
    if not all(isinstance(step, dict) and step.get("task") in QUEUES for step in following):
        return "another program's chain"
    return ""
