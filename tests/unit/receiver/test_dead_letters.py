"""Every form in which dead letters come, and what cannot be read among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitprov.errors import EventInvalid
from jitprov.receiver import dead_letters
from jitprov.receiver.dead_letters import unfold

EVENT = json.loads((Path(__file__).parents[2] / "data/events/user-create.audit.json").read_text())


def events_in(dump: str) -> list[Any]:
    letters = list(unfold(dump.encode()))
    assert [letter.error for letter in letters] == [None] * len(letters)
    return [json.loads(letter.body) for letter in letters]


def message(event: Any) -> dict[str, Any]:
    return {"MessageId": str(uuid4()), "ReceiptHandle": "handle", "Body": json.dumps(event)}


@pytest.mark.parametrize(
    "dump",
    [
        json.dumps(EVENT),
        json.dumps(EVENT, indent=2),
        json.dumps([EVENT]),
        f"\ufeff{json.dumps(EVENT)}",
        f"\n{json.dumps(EVENT)}\n\n",
        json.dumps({"Messages": [message(EVENT)]}),
        json.dumps(message(EVENT)),
        json.dumps({"Records": [{"messageId": "1", "body": json.dumps(EVENT), "eventSource": "aws:sqs"}]}),
        json.dumps(message([EVENT])),
    ],
)
def test_each_form_holds_the_event(dump: str) -> None:
    """An event, an array, SQS messages as printed, as handed to a function, or one a line: the same event."""
    assert events_in(dump) == [EVENT]


def test_lines_keep_their_order() -> None:
    """JSON Lines may mix events and messages; their order stays."""
    other = EVENT | {"id": "other"}

    assert events_in(f"{json.dumps(EVENT)}\n\n{json.dumps(message(other))}\n") == [EVENT, other]


def test_an_entry_for_the_event_bus() -> None:
    """What was put on a bus has its detail as text; that is all that is needed of it."""
    entry = {"Source": "x", "DetailType": "y", "Detail": json.dumps(EVENT["detail"])}

    assert events_in(json.dumps({"Entries": [entry]})) == [{"detail": EVENT["detail"]}]


def test_what_cannot_be_read_is_told_with_its_place() -> None:
    """A broken line or body is among the letters, with its place and cause; the others are read."""
    lines = [json.dumps(EVENT), "{broken", '{"Body": "not json"}', "7", json.dumps(EVENT)]
    letters = list(unfold("\n".join(lines).encode()))

    assert [bool(letter.error) for letter in letters] == [False, True, True, True, False]
    assert [letter.where for letter in letters if letter.error] == ["line 2", "line 3", "line 4"]


def test_a_bound_on_events_and_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump without end is refused, and messages in messages in messages are not followed for ever."""
    monkeypatch.setattr(dead_letters, "LETTERS_MAX", 3)
    deep: Any = EVENT
    for _ in range(10):
        deep = message(deep)

    with pytest.raises(EventInvalid, match="more than 3 events"):
        list(unfold(json.dumps([EVENT] * 4).encode()))
    (letter,) = unfold(json.dumps(deep).encode())
    assert "too deeply" in str(letter.error)


def test_nothing_holds_nothing() -> None:
    """An empty dump has no letters."""
    assert list(unfold(b" \n")) == []


@given(st.binary(max_size=300))
def test_any_bytes_are_unfolded_or_told(raw: bytes) -> None:
    """Whatever a dump holds, each letter has a body or an error, and nothing else is raised."""
    for letter in unfold(raw):
        assert bool(letter.body) != bool(letter.error)
