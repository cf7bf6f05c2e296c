"""Bytes → JSON. The corpus of refusals is read in test_body."""

from __future__ import annotations

import pytest

from jitprov.errors import EventInvalid
from jitprov.receiver.strict_json import DEPTH_MAX, parse_strictly


@pytest.mark.parametrize(
    ("raw", "document"),
    [
        (b'{"a": [1, 2.5, null, true, "\xc3\xbc"]}', {"a": [1, 2.5, None, True, "ü"]}),
        (b' "\\ud83d\\ude00" ', "\U0001f600"),
        (b"[]", []),
        (b"-0", 0),
    ],
)
def test_valid(raw: bytes, document: object) -> None:
    """Valid JSON comes out as Python's own parser reads it."""
    assert parse_strictly(raw) == document


@pytest.mark.parametrize("around", [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth(around: tuple[bytes, bytes]) -> None:
    """The deepest document allowed is read, one level more is refused; width does not count."""
    opening, closing = around
    parse_strictly(opening * DEPTH_MAX + b"1" + closing * DEPTH_MAX)
    parse_strictly(b"[" + b",".join([b"[{}]"] * 1000) + b"]")

    with pytest.raises(EventInvalid):
        parse_strictly(opening * (DEPTH_MAX + 1) + b"1" + closing * (DEPTH_MAX + 1))


def test_brackets_in_texts() -> None:
    """Brackets inside texts are no depth."""
    assert parse_strictly(b'["' + b"[{" * 1000 + b'"]') == ["[{" * 1000]


@pytest.mark.parametrize("raw", [b'{"name": "canary", }', b'{"a": "canary', b"canary", b'{"canary": 1, "canary": NaN}'])
def test_quotes_nothing(raw: bytes) -> None:
    """The message does not repeat the text that it refuses."""
    with pytest.raises(EventInvalid) as caught:
        parse_strictly(raw)

    assert "canary" not in str(caught.value)
