"""A dump of dead letters → the events in it. Pure; judges no event and writes nothing.

Taken are, one document or one a line (JSON Lines):

    {"detail": …}                          an event, as EventBridge sends it
    […]                                    an array of any of these
    {"Messages": […]}                      what `aws sqs receive-message` prints
    {"Records": […]}                       what a Lambda of the queue is handed
    {"Body": "…"}, {"body": "…"}           an SQS message: its body is an event as text
    {"Entries": […]}                       what `aws events put-events` is handed
    {"Detail": "…", "DetailType": …}       an entry of it: the detail is text

Whatever else a message says (receipt handle, error code, rule) is left aside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from jitprov.errors import EventInvalid
from jitprov.receiver.strict_json import parse_strictly

BYTES_MAX = 268_435_456
LETTERS_MAX = 100_000
_NESTED_MAX = 4
_LISTS = ("Messages", "Records", "Entries")


@dataclass(frozen=True, slots=True)
class Letter:
    """One event of a dump.

    Attributes:
        where: Place in the dump, such as `line 7` or `Messages[3]`.
        body: The event as JSON, for `body.read_body`; empty when there is none to read.
        error: Why it cannot be read; None when it can.
    """

    where: str
    body: bytes = b""
    error: EventInvalid | None = None


def unfold(raw: bytes) -> Iterator[Letter]:
    """Return every event of a dump, in its order; what cannot be read is among them, with its place.

    Args:
        raw: The dump, UTF-8.

    Raises:
        EventInvalid: More than `LETTERS_MAX` events.
    """
    for number, letter in enumerate(_letters(raw), 1):
        if number > LETTERS_MAX:
            raise EventInvalid("dump", f"holds more than {LETTERS_MAX} events", "Split it")
        yield letter


def _letters(raw: bytes) -> Iterator[Letter]:
    text = raw.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict | list):
        yield from _unfolded(document, "", 0)
        return
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            yield from _read(line.strip(), f"line {number}", 0)


def _read(text: bytes, where: str, depth: int) -> Iterator[Letter]:
    try:
        document = parse_strictly(text)
    except EventInvalid as error:
        yield Letter(where, error=error)
        return
    yield from _unfolded(document, where, depth)


def _unfolded(document: object, where: str, depth: int) -> Iterator[Letter]:
    if depth > _NESTED_MAX:
        yield Letter(where, error=EventInvalid(where or "dump", "is nested too deeply", "Dump the queue's messages"))
    elif isinstance(document, list):
        for index, item in enumerate(document):
            yield from _unfolded(item, f"{where}[{index}]", depth + 1)
    elif isinstance(document, dict):
        yield from _of_object(document, where, depth)
    else:
        yield Letter(where, error=EventInvalid(where or "dump", "is not an object", "Dump events, or SQS messages"))


def _of_object(document: dict[str, object], where: str, depth: int) -> Iterator[Letter]:
    for name in _LISTS:
        if isinstance(document.get(name), list):
            yield from _unfolded(document[name], f"{where}.{name}" if where else name, depth + 1)
            return
    for name in ("Body", "body"):
        body = document.get(name)
        if isinstance(body, str):
            yield from _read(body.encode(), where or name, depth + 1)
            return
    detail = document.get("Detail")
    if isinstance(detail, str):
        yield from _of_entry(detail, where)
        return
    yield Letter(where or "the document", json.dumps(document).encode())


def _of_entry(detail: str, where: str) -> Iterator[Letter]:
    place = where or "Detail"
    try:
        yield Letter(place, json.dumps({"detail": parse_strictly(detail.encode())}).encode())
    except EventInvalid as error:
        yield Letter(place, error=error)
