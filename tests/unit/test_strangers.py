"""How often a wrong key may come from one source."""

from __future__ import annotations

import pytest

from jitprov.strangers import Strangers, source_of


def test_allowance() -> None:
    """A source has its allowance at once, then one wrong key per interval; waiting makes it whole again."""
    strangers = Strangers(at_once=3, every_s=2.0)

    assert [strangers.met("a", 100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 2.0, 2.0]
    assert strangers.met("a", 102.0) == 0.0
    assert strangers.met("a", 102.5) == 1.5
    assert [strangers.met("a", 200.0) for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]


def test_sources_are_apart() -> None:
    """One source's wrong keys do not make another wait."""
    strangers = Strangers(at_once=1)
    strangers.met("a", 100.0)

    assert strangers.met("a", 100.0) > 0
    assert strangers.met("b", 100.0) == 0.0


def test_memory_is_bounded() -> None:
    """However many sources come, so many are remembered; the quiet one is forgotten before the busy one."""
    strangers = Strangers(at_once=2, sources_max=10)
    for number in range(1000):
        strangers.met("busy", float(number) * 2)
        strangers.met(f"once-{number}", float(number) * 2)

    assert len(strangers) == 10
    strangers.met("busy", 2000.0)
    assert strangers.met("busy", 2000.0) == 0.0
    assert strangers.met("busy", 2000.0) > 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("2001:db8:1:2:3::4", [], "20010db800010002"),
        ("::ffff:192.0.2.7", [], "192.0.2.7"),
        ("", [], "unknown"),
        ("127.0.0.1", [b"192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", [b"203.0.113.9, 192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", [b"203.0.113.9", b"192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", [b"192.0.2.7, "], "unknown"),
        ("127.0.0.1", [b"\xff\xfe"], "unknown"),
    ],
)
def test_source(peer: str, forwarded: list[bytes], source: str) -> None:
    """With a proxy in front the last entry counts, which is the proxy's own; a sender cannot choose its source."""
    headers = [(b"host", b"x"), *((b"x-forwarded-for", value) for value in forwarded)]

    assert source_of(peer, headers, b"x-forwarded-for") == source
    assert source_of("192.0.2.1", headers, b"") == "192.0.2.1"
