"""Told once, over restarts and among several; told again when it is over; never by storm."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from fixed_clock import FixedClock
from jitprov.alerts.conditions import Bounds, Facts, Kind
from jitprov.alerts.keeper import ALERTS, Keeper
from jitprov.cache.memory import MemoryCache
from jitprov.errors import DependencyDown, LedgerLost

REFUSING: dict[str, object] = {"answers": {401: 9}}
PAUSED: dict[str, object] = {"paused_s": 999.0, "paused_by": "people"}


@dataclass
class Office:
    """A chat room, a shared shelf, and any number of keepers."""

    clock: FixedClock
    said: list[str] = field(default_factory=list)
    works: bool = True
    tried: int = 0
    trouble: dict[str, object] = field(default_factory=dict)
    away: DependencyDown | None = None

    def __post_init__(self) -> None:
        self.cache = MemoryCache(self.clock.monotonic_s)

    def facts(self) -> Facts:
        if self.away:
            raise self.away
        return Facts(self.clock.now(), **self.trouble)  # type: ignore[arg-type]

    def tell(self, text: str) -> bool:
        self.tried += 1
        if self.works:
            self.said.append(text)
        return self.works

    def keeper(self) -> Keeper:
        return Keeper(self.cache, self.facts, Bounds(paused_s=60), tell=self.tell, now=self.clock.now)

    def look(self, *keepers: Keeper, for_s: float = 0.0) -> None:
        """Let them look, and go on looking every ten seconds."""
        stop = threading.Event()
        for _ in range(int(for_s // 10) + 1):
            for keeper in keepers:
                keeper.look(stop)
            if for_s:
                self.clock.advance(10)


@pytest.fixture
def office(clock: FixedClock) -> Office:
    return Office(clock)


def test_an_alert_is_told_once_by_all(office: Office) -> None:
    """Several keepers, one of them started later, tell of a lasting trouble once."""
    office.trouble = REFUSING
    office.look(office.keeper(), office.keeper(), for_s=600)
    office.look(office.keeper(), for_s=60)

    assert len(office.said) == 1
    assert office.said[0].startswith("jitprov alert: refusing: the receiver refused 9 of 9")


def test_what_is_over_is_told_once_too(office: Office) -> None:
    """Recovery is told when the trouble has been gone for a minute; coming and going in between tells nothing new."""
    one, other = office.keeper(), office.keeper()
    office.trouble = REFUSING
    office.look(one)
    for _ in range(3):
        office.trouble = {}
        office.look(other, for_s=30)
        office.trouble = REFUSING
        office.look(one, for_s=30)
    assert len(office.said) == 1
    office.trouble = {}
    office.look(one, other, for_s=200)

    assert len(office.said) == 2
    assert office.said[1].startswith("jitprov recovered: refusing, after")
    assert office.cache.get(ALERTS) == b"{}"


def test_what_must_last_is_not_told_before(office: Office) -> None:
    """A pause shorter than its bound tells nothing, one that lasts does."""
    office.trouble = PAUSED
    office.look(office.keeper(), for_s=40)
    office.trouble = {}
    office.look(office.keeper(), for_s=10)
    assert office.said == []
    office.trouble = PAUSED
    office.look(office.keeper(), for_s=80)

    assert len(office.said) == 1


def test_a_deaf_room_is_tried_ever_less_often(office: Office) -> None:
    """A message that does not get through is tried again after growing pauses, and told once when it does."""
    office.works, office.trouble = False, REFUSING
    office.look(office.keeper(), for_s=3600)
    tried = office.tried
    office.works = True
    office.look(office.keeper(), for_s=1000)

    assert 5 <= tried <= 12
    assert len(office.said) == 1


def test_what_nobody_heard_of_is_not_told_to_be_over(office: Office) -> None:
    """A trouble that ends before it could be told is dropped."""
    office.works, office.trouble = False, REFUSING
    office.look(office.keeper())
    office.trouble = {}
    office.look(office.keeper(), for_s=100)
    office.works = True
    office.look(office.keeper(), for_s=1000)

    assert office.said == []


@pytest.mark.parametrize(
    ("error", "word"), [(DependencyDown("x"), "Redis does not answer"), (LedgerLost("x"), "emptied")]
)
def test_a_store_that_is_away_is_told_from_memory(office: Office, error: DependencyDown, word: str) -> None:
    """A ledger that stays away rings without it, once; its return is told."""
    keeper = office.keeper()
    office.away = error
    office.look(keeper, for_s=50)
    assert office.said == []
    office.look(keeper, for_s=120)
    office.away = None
    office.look(keeper, for_s=200)

    assert len(office.said) == 2
    assert word in office.said[0]
    assert office.said[1].startswith(f"jitprov recovered: {Kind.LEDGER}")


def test_what_another_version_kept_is_begun_anew(office: Office) -> None:
    """A shelf with something else on it stops nobody."""
    office.cache.put(ALERTS, b'{"refusing": 7}', ttl_s=60)
    office.trouble = REFUSING
    office.look(office.keeper())

    assert len(office.said) == 1
