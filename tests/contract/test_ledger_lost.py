"""What every ledger must do when its store is emptied, exchanged or set back, run on memory and on a real Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from builders import an_opening
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import CORRIDOR
from jitprov.errors import ConfigurationError, LedgerLost
from jitprov.ledger import Claim, Ledger
from jitprov.ledger.book import Book, BookMemory
from jitprov.ledger.memory import MemoryLedger
from jitprov.ledger.memory_store import MemoryStore
from jitprov.ledger.redis import RedisLedger

FIRST = CORRIDOR[0]
DAY_S = 86_400.0


@dataclass
class Store:
    """A store that several processes use, and what may happen to it."""

    process: Callable[..., Ledger]
    empty: Callable[[], None]
    drop: Callable[[str], object]
    pass_time: Callable[[float], None]
    knows: Callable[[str], bool]
    back_up: Callable[[], Callable[[], None]]


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, clock: FixedClock, key_prefix: str) -> Iterator[Store]:
    if request.param == "memory":
        kept = MemoryStore(clock.now)
        yield Store(
            lambda memory=None: MemoryLedger(clock.now, kept, memory),
            kept.empty,
            kept.entries.pop,
            clock.advance,
            lambda provisioning_id: provisioning_id in kept.entries,
            lambda: partial(setattr, kept, "book_found", kept.book_found),
        )
        return
    url = request.getfixturevalue("redis_url")
    with ExitStack() as opened:
        client = opened.enter_context(Redis.from_url(url))

        def process(memory: BookMemory | None = None) -> Ledger:
            ledger = RedisLedger.connect(url, key_prefix, memory=memory)
            opened.callback(ledger.close)
            return ledger

        def empty() -> None:
            for key in client.scan_iter(f"{key_prefix}*"):
                client.delete(key)

        def back_up() -> Callable[[], None]:
            dumped = client.dump(f"{key_prefix}book")
            return lambda: client.restore(f"{key_prefix}book", 0, dumped, replace=True)

        yield Store(
            process,
            empty,
            lambda provisioning_id: client.delete(f"{key_prefix}p:{provisioning_id}"),
            time.sleep,
            lambda provisioning_id: bool(client.exists(f"{key_prefix}p:{provisioning_id}")),
            back_up,
        )


def accepted(ledger: Ledger, **changes: str) -> str:
    opening = an_opening(**changes)
    [answer] = ledger.accept([opening], look_after_s=10)
    return answer.provisioning_id


def claimed(ledger: Ledger, provisioning_id: str, token: str = "t") -> Claim:
    claim = ledger.claim(provisioning_id, FIRST, 1, token=token, lease_s=10)
    assert isinstance(claim, Claim), claim
    return claim


def acknowledge(store: Store) -> None:
    store.process().acknowledge_loss(opens_in_s=0, looks_for_s=DAY_S)
    store.pass_time(0.01)


def test_the_first_start_is_no_alarm(store: Store) -> None:
    """A ledger that was never used opens its book at the first event; processes that come later take it as it is."""
    assert store.process().book() == Book()
    accepted(store.process())

    assert store.process().trust() == store.process().trust() != Book()
    assert store.process().trust().looks_until is None


def test_an_emptied_store_takes_nothing_in(store: Store) -> None:
    """Who worked with it accepts nothing into an emptied store, again and again, until somebody acknowledges it."""
    ledger = store.process()
    accepted(ledger)
    store.empty()

    opening = an_opening()
    for _ in range(2):
        with pytest.raises(LedgerLost, match="empty"):
            ledger.accept([opening], look_after_s=10)
    with pytest.raises(LedgerLost):
        ledger.trust()
    assert not store.knows(opening.provisioning_id)

    acknowledge(store)
    accepted(ledger)


def test_a_loss_that_one_saw_stops_newcomers_too(store: Store) -> None:
    """A process that starts after the loss, and remembers nothing, does not open a new book once the loss was seen."""
    ledger = store.process()
    accepted(ledger)
    store.empty()
    with pytest.raises(LedgerLost):
        ledger.trust()

    with pytest.raises(LedgerLost):
        accepted(store.process())


def test_a_newcomers_book_is_found_out(store: Store) -> None:
    """A newcomer that took the emptied store for a new one is stopped as soon as one who remembers looks."""
    remembers, newcomer = store.process(), store.process()
    accepted(remembers)
    store.empty()
    accepted(newcomer)

    with pytest.raises(LedgerLost, match="another"):
        remembers.trust()
    with pytest.raises(LedgerLost):
        accepted(newcomer)
    acknowledge(store)
    assert remembers.trust() == newcomer.trust()


def test_nothing_is_worked_on_in_anothers_book(store: Store) -> None:
    """A worker that remembers the lost ledger runs no step of an agent in the book that stands in its place."""
    worker, newcomer = store.process(), store.process()
    claimed(worker, accepted(worker))
    store.empty()
    provisioning_id = accepted(newcomer)

    with pytest.raises(LedgerLost):
        worker.claim(provisioning_id, FIRST, 1, token="t", lease_s=10)
    record = newcomer.get(provisioning_id)
    assert record is not None
    assert record.steps[FIRST].attempts == 0


def test_a_file_remembers_beyond_the_process(store: Store, tmp_path: Path) -> None:
    """A process started after the loss knows of it by the file; after the acknowledgement all others do, too."""
    memory, elsewhere = BookMemory(tmp_path / "ledger.json"), BookMemory(tmp_path / "elsewhere.json")
    accepted(store.process(memory))
    store.process(elsewhere).trust()
    store.empty()

    with pytest.raises(LedgerLost, match="empty"):
        accepted(store.process(memory))
    acknowledge(store)
    accepted(store.process(memory))
    accepted(store.process(elsewhere))
    accepted(store.process(memory))


def test_a_store_set_back_is_found_out(store: Store) -> None:
    """A store without the last thing a process wrote, as after a failover to a lagging replica, takes nothing in."""
    ledger, other = store.process(), store.process()
    accepted(other)
    store.drop(accepted(ledger))

    with pytest.raises(LedgerLost, match="older state"):
        accepted(ledger)
    with pytest.raises(LedgerLost, match="doubted"):
        accepted(other)
    acknowledge(store)
    accepted(ledger)
    accepted(other)


def test_a_step_that_was_undone_is_found_out(store: Store) -> None:
    """A worker whose last written step is undone runs no other; what forgets by rule is no loss."""
    ledger, other = store.process(), store.process()
    provisioning_id = accepted(other)
    claim = claimed(ledger, provisioning_id)
    assert ledger.record(claim, moves.advance(claim.record, claim.now, claim.record.findings), look_after_s=10)
    store.drop(provisioning_id)

    with pytest.raises(LedgerLost, match="older state"):
        ledger.claim(provisioning_id, CORRIDOR[1], 1, token="u", lease_s=10)


def test_after_a_loss_workers_look_first(store: Store) -> None:
    """Whoever was accepted before the acknowledged time is over is looked at first; before a loss nobody is."""
    ledger = store.process()
    assert not claimed(ledger, accepted(ledger)).look_first
    store.empty()
    acknowledge(store)

    assert claimed(ledger, accepted(ledger)).look_first


def test_looking_first_has_an_end(store: Store) -> None:
    """Who is accepted after that time is not looked at."""
    ledger = store.process()
    store.process().acknowledge_loss(opens_in_s=0, looks_for_s=0)
    store.pass_time(0.01)

    assert not claimed(ledger, accepted(ledger)).look_first


def test_it_opens_when_what_was_under_way_has_ended(store: Store) -> None:
    """After the acknowledgement nothing is taken in or worked on before the door's time."""
    ledger = store.process()
    provisioning_id = accepted(ledger)
    ledger.acknowledge_loss(opens_in_s=0.3, looks_for_s=DAY_S)

    with pytest.raises(LedgerLost, match="opens in"):
        accepted(ledger)
    with pytest.raises(LedgerLost, match="opens in"):
        ledger.claim(provisioning_id, FIRST, 1, token="t", lease_s=10)
    store.pass_time(0.35)
    accepted(ledger)
    assert claimed(ledger, provisioning_id).look_first


def test_an_old_acknowledgement_does_not_count(store: Store) -> None:
    """A store restored from a backup is not taken because it was acknowledged long before, after an earlier loss."""
    store.process().acknowledge_loss(opens_in_s=0, looks_for_s=DAY_S)
    restore = store.back_up()
    store.empty()
    store.pass_time(0.01)
    ledger = store.process()
    accepted(ledger)

    restore()
    with pytest.raises(LedgerLost, match="another"):
        accepted(ledger)
    acknowledge(store)
    accepted(ledger)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"book_id": "b", "seen_at": "yesterday"}'])
def test_a_memory_that_cannot_be_read_says_so(tmp_path: Path, text: str) -> None:
    """A damaged file is no first start: it is named, with its setting and a remedy."""
    file = tmp_path / "ledger.json"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=r"JITPROV_LEDGER_MEMORY.*cannot be read"):
        BookMemory(file).check()


def test_a_memory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A folder that is not there is told before anything is accepted."""
    with pytest.raises(ConfigurationError, match=r"JITPROV_LEDGER_MEMORY.*cannot be written"):
        BookMemory(tmp_path / "nowhere" / "ledger.json").check()
