"""What is kept of a refused body, and on which way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from jitprov.errors import DependencyDown, EventInvalid
from jitprov.receiver.body import Refused
from jitprov.receiver.quarantine import ENTRIES_KEPT, TEXT_MAX_BYTES, Item, Quarantine, describe
from jitprov.sealing import Seals
from switched_ledger import SwitchedLedger

SEALS = Seals("data-" + "d" * 40)
CANARY = b"robin.canary@example.test"
WRONG = Refused(EventInvalid("detail", "is missing", "Send it"), "6f9a3f0e-52c1-4d43-9d0a-3c1d7b7f5e21", 0)


@pytest.fixture
def ledger() -> Iterator[SwitchedLedger]:
    ledger = SwitchedLedger()
    yield ledger
    ledger.go_on.set()


def test_description() -> None:
    """A description finds the body at its sender and holds nothing of its text, which is sealed for this entry."""
    item = describe(CANARY, [WRONG, WRONG], SEALS)

    assert item.entry["sha256"] == hashlib.sha256(CANARY).hexdigest()
    assert item.entry["refused"] == "2"
    assert item.entry["event_ids"] == f"{WRONG.event_id} {WRONG.event_id}"
    assert CANARY.decode() not in str(item)
    assert SEALS.open(item.sealed, about=f"quarantine {item.entry['id']}") == CANARY


@pytest.mark.parametrize(
    ("size_bytes", "seals", "text"),
    [
        (TEXT_MAX_BYTES, SEALS, "sealed"),
        (TEXT_MAX_BYTES + 1, SEALS, "not kept: larger than 16384 bytes"),
        (5, Seals(), "not kept: JITPROV_DATA_KEY is not set"),
    ],
)
def test_text_within_bounds(size_bytes: int, seals: Seals, text: str) -> None:
    """The text is kept up to a size and only where it can be sealed; otherwise the entry says why not."""
    item = describe(b"x" * size_bytes, [WRONG], seals)

    assert item.entry["text"] == text
    assert bool(item.sealed) == (text == "sealed")


def test_newest_are_kept(ledger: SwitchedLedger) -> None:
    """An entry is stamped by the ledger's clock; only the newest are kept."""
    quarantine = Quarantine(ledger)
    for number in range(ENTRIES_KEPT + 5):
        quarantine.submit(Item({"id": str(number)}, "sealed")).result(10)

    newest = ledger.quarantined(limit=10_000)
    assert len(newest) == ENTRIES_KEPT
    assert newest[0] == {"at": "2026-11-23T09:00:00.000+00:00", "id": str(ENTRIES_KEPT + 4)}
    assert (ledger.sealed_body("4"), ledger.sealed_body("5")) == ("", "sealed")
    assert quarantine.close()


def test_ledger_away(ledger: SwitchedLedger) -> None:
    """An entry that could not be kept is no success."""
    quarantine = Quarantine(ledger)
    ledger.away = True

    with pytest.raises(DependencyDown):
        quarantine.submit(Item({"id": "x"}, "")).result(10)
    assert quarantine.close()
