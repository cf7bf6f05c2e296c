"""Good events, broken by chance: whatever becomes of them, reading them ends in an answer. `make fuzz` tries more."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from jitprov.domain.events import Kind, Opening
from jitprov.domain.ids import is_uuid
from jitprov.receiver.body import Refused, StartRule, read_body

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
EVENTS = [path.read_bytes() for path in sorted((Path(__file__).parents[2] / "data/events").glob("*.json"))]
RULE = StartRule(frozenset({"user"}), {"create": Kind.NEW}, "2ad5fb86-a096-4e6a-83ba-d61cf8c7e5d7")
TOKENS = [b"\x00", b"\xff", b'"', b"\\", b"\\u0000", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"null"]
TOKENS += [b"1e999", b"9" * 5000, b"[" * 40, b"]" * 40, b'"id":', b'"__type__":', b"\xef\xbb\xbf", b"\xc0\xaf", b" "]
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just([]), st.just({}))

Edit = tuple[float, float, bytes]


def mutate(raw: bytes, edits: list[Edit]) -> bytes:
    """Replace stretches: (where, how much, by what)."""
    for where, share, token in edits:
        start = int(where * len(raw))
        raw = raw[:start] + token + raw[start + int(share * 40) :]
    return raw


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8))),
    min_size=1,
    max_size=6,
)


def check(raw: bytes) -> None:
    """Read, and judge what was read."""
    readings = read_body(raw, RULE, lambda: "new")
    assert readings
    for reading in readings:
        if isinstance(reading, Opening):
            assert is_uuid(reading.user_id)
            assert is_uuid(reading.event_id)
        elif isinstance(reading, Refused):
            assert reading.error.field
            assert len(str(reading.error)) < 400


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(EVENTS), EDITS)
def test_bytes(event: bytes, edits: list[Edit]) -> None:
    """An event with bytes replaced, added or lost is taken, ignored or refused; ids that are taken are UUIDs."""
    check(mutate(event, edits))


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(EVENTS), st.data())
def test_values(event: bytes, data: st.DataObject) -> None:
    """An event with one value replaced by anything JSON can hold, at any depth, is answered as well."""
    document = json.loads(event)
    place = document
    while isinstance(place, dict) and place:
        key = data.draw(st.sampled_from(sorted(place)))
        inner = place[key]
        if not isinstance(inner, dict) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(LEAVES)
            break
        place = inner
    check(json.dumps(document).encode("utf-8", "surrogatepass"))
