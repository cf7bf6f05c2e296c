"""Users whose event never came: judged as if it had, opened once, and looked for again."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from builders import NINE_AM, an_opening
from fixed_clock import FixedClock
from jitprov.cache.memory import MemoryCache
from jitprov.domain.events import Acceptance, Kind, Opening
from jitprov.errors import Unavailable
from jitprov.genesys.audits import AuditRecord
from jitprov.ledger.memory import MemoryLedger
from jitprov.receiver.body import StartRule
from jitprov.receiver.intake import new_id
from jitprov.receiver.missed import READ_UNTIL, Round, Search, run_forever

OWN = str(uuid4())
RULE = StartRule(frozenset({"user"}), {"create": Kind.NEW}, own_client_id=OWN)
HOUR = timedelta(hours=1)


@dataclass
class Audits:
    """Records with the instant from which on each is found."""

    records: list[tuple[datetime, datetime, AuditRecord]] = field(default_factory=list)
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)
    down: bool = False

    def tell(self, at: datetime, *, lag: timedelta = timedelta(), **changes: object) -> AuditRecord:
        record = AuditRecord(str(uuid4()), "Create", "User", str(uuid4()), str(uuid4()))
        record = replace(record, **changes)  # type: ignore[arg-type]  # one keyword changes one thing
        self.records.append((at, at + lag, record))
        return record

    def read(
        self,
        entity_types: Collection[str],
        actions: Collection[str],
        since: datetime,
        until: datetime,
        *,
        now: datetime,
    ) -> list[AuditRecord]:
        assert (set(entity_types), set(actions)) == ({"user"}, {"create"})
        if self.down:
            raise Unavailable("no answer")
        self.asked.append((since, until))
        return [record for at, seen, record in self.records if since <= at < until and seen <= now]


class House:
    """A search over a ledger in memory."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.audits, self.ledger = Audits(), MemoryLedger(clock.now)
        self.cache = MemoryCache(lambda: clock.now().timestamp())
        self.search = Search(self.audits, RULE, self.ledger, new_id)  # type: ignore[arg-type]  # what it needs of it
        self.round = Round(self.search, self.cache, self.accept, overlap=HOUR, reach=timedelta(days=14))

    def accept(self, openings: Sequence[Opening]) -> list[Acceptance]:
        return self.ledger.accept(openings, look_after_s=60)


@pytest.fixture
def house(clock: FixedClock) -> House:
    return House(clock)


def test_exactly_those_who_are_unknown_are_found(house: House) -> None:
    """Known events, known users, repeated records and what has nothing to do are counted and open nothing."""
    now = house.ledger.ping()
    missed = [house.audits.tell(now - HOUR) for _ in range(3)]
    by_event, by_user, own = (house.audits.tell(now - HOUR, client_id=client) for client in ("", "", OWN.upper()))
    house.audits.tell(now - HOUR, succeeded=False)
    house.audits.tell(now - HOUR, entity_id="nobody")
    house.audits.tell(now - HOUR, entity_id=missed[0].entity_id)
    house.audits.tell(now - 3 * HOUR)
    house.accept([an_opening(event_id=by_event.audit_id), an_opening(user_id=by_user.entity_id)])

    found = house.search.look(now - 2 * HOUR, now)

    assert [opening.event_id for opening in found.openings] == [record.audit_id for record in missed]
    assert [opening.user_id for opening in found.openings] == [record.entity_id for record in missed]
    assert (found.audits, found.known, dict(found.ignored)) == (9, 3, {"own_client": 1, "failed": 1})
    assert "detail.eventBody.entity.id" in found.refused[0]
    assert own.audit_id not in {opening.event_id for opening in found.openings}


def test_an_event_that_comes_late_opens_nothing(house: House) -> None:
    """Whoever was found in the audits is known when the event comes after all."""
    now = house.ledger.ping()
    record = house.audits.tell(now - HOUR)
    assert house.round.look() == 1

    assert house.accept([an_opening(event_id=record.audit_id, user_id=record.entity_id)])[0].duplicate


def test_rounds_may_overlap(house: House) -> None:
    """A look at what was looked at before, or by two at once, accepts nobody twice."""
    now = house.ledger.ping()
    for _ in range(5):
        house.audits.tell(now - HOUR / 2)
    found = house.search.look(now - HOUR, now)

    assert house.round.look() == 5
    assert sum(not each.duplicate for each in house.accept(found.openings)) == 0
    assert house.round.look() == 0


def test_an_audit_that_becomes_visible_late_is_found_by_a_later_look(house: House) -> None:
    """What a look could not see yet is seen by the next one, as long as it is late by less than the overlap."""
    now = house.ledger.ping()
    assert house.round.look() == 0
    house.audits.tell(now - timedelta(minutes=1), lag=timedelta(minutes=20))
    house.clock.advance(600)
    assert house.round.look() == 0
    house.clock.advance(1200)

    assert house.round.look() == 1


def test_each_look_goes_on_where_the_last_one_got_to(house: House) -> None:
    """The first look goes back by the overlap, the one after a long silence covers it all; a failed one counts not."""
    began = house.ledger.ping()
    house.round.look()
    house.clock.advance(86_400)
    house.audits.down = True
    with pytest.raises(Unavailable):
        house.round.look()
    house.audits.down = False
    house.clock.advance(60)
    house.round.look()

    assert house.audits.asked == [(began - HOUR, began), (began - HOUR, house.ledger.ping())]


def test_no_look_reaches_beyond_what_the_ledger_remembers(house: House) -> None:
    """However long nobody looked, and whatever stands where the last look left its mark."""
    house.round.look()
    house.clock.advance(20 * 86_400)
    house.round.look()
    house.cache.put(READ_UNTIL, b"once upon a time", ttl_s=60)
    house.round.look()

    now = house.ledger.ping()
    assert [since for since, _ in house.audits.asked[1:]] == [now - timedelta(days=14), now - HOUR]


def test_the_loop_outlives_failures(house: House) -> None:
    """An API that is down, and a defect, end a look and not the loop."""
    house.audits.tell(NINE_AM - HOUR / 2)
    house.audits.down = True
    looks = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            looks.append(timeout)
            house.audits.down = False
            return self.is_set()

        def is_set(self) -> bool:
            return len(looks) == 2

    run_forever(house.round, Stop(), every_s=7)

    assert looks == [7, 7]
    assert sum(house.ledger.count().values()) == 1
