"""What every ledger must keep of what jitprov gave, run on memory and on a real Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from redis import Redis

from builders import NINE_AM, a_phone, a_skill, an_opening
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.agent import Place, RoleGrant
from jitprov.domain.given import Given, Memory
from jitprov.ledger import Claim, Ledger
from jitprov.ledger.memory import MemoryLedger
from jitprov.ledger.redis import RedisLedger
from jitprov.sealing import Seals

MEMORY = Memory(
    given=Given(
        skills=(a_skill(),),
        roles=(RoleGrant("Agent", "", "r1", "d1"),),
        division=Place("Season", "d2"),
        division_before=Place("Home", "d1"),
        phone=a_phone(),
        station_id="s1",
    ),
    perhaps=Given(queues=(Place("Calls", "q1"),)),
    department="Seasonal_Retail",
    given_at=NINE_AM,
    rules_version="v1",
)


@dataclass
class Kept:
    ledger: Ledger
    pass_time: Callable[[float], None]


@pytest.fixture(params=["memory", "redis"])
def kept(request: pytest.FixtureRequest, clock: FixedClock, key_prefix: str) -> Iterator[Kept]:
    if request.param == "memory":
        yield Kept(MemoryLedger(clock.now), clock.advance)
        return
    ledger = RedisLedger.connect(request.getfixturevalue("redis_url"), key_prefix, seals=Seals("d" * 40))
    yield Kept(ledger, time.sleep)
    ledger.close()


@pytest.fixture
def ledger(kept: Kept) -> Ledger:
    return kept.ledger


def claimed(ledger: Ledger, user_id: str = "", *, token: str = "t1", lease_s: float = 10) -> Claim:
    opening = an_opening(**({"user_id": user_id} if user_id else {}))
    [accepted] = ledger.accept([opening], look_after_s=10)
    record = ledger.get(accepted.provisioning_id)
    assert record is not None
    claim = ledger.claim(record.provisioning_id, record.step, record.generation, token=token, lease_s=lease_s)
    assert isinstance(claim, Claim), claim
    return claim


def written(ledger: Ledger, claim: Claim, memory: Memory | None) -> bool:
    after = moves.advance(claim.record, claim.now, claim.record.findings)
    return ledger.record(claim, after, look_after_s=10, memory=memory)


def test_what_was_given_comes_with_the_next_claim(ledger: Ledger) -> None:
    """What is written with a step is handed to whoever claims the next one, whole; before, there is nothing."""
    claim = claimed(ledger)
    assert claim.memory == Memory()
    assert written(ledger, claim, MEMORY)

    record = ledger.get(claim.record.provisioning_id)
    assert record is not None
    following = ledger.claim(record.provisioning_id, record.step, record.generation, token="t2", lease_s=10)
    assert isinstance(following, Claim)
    assert following.memory == MEMORY


def test_it_is_left_when_a_step_says_nothing_of_it(ledger: Ledger) -> None:
    """A step that gives nothing leaves the memory as it is."""
    claim = claimed(ledger)
    written(ledger, claim, MEMORY)
    record = ledger.get(claim.record.provisioning_id)
    assert record is not None
    following = ledger.claim(record.provisioning_id, record.step, record.generation, token="t2", lease_s=10)
    assert isinstance(following, Claim)
    assert written(ledger, following, None)

    assert ledger.memories([claim.record.user_id, "unknown"]) == {claim.record.user_id: MEMORY}
    assert ledger.all_memories() == {claim.record.user_id: MEMORY}


def test_a_lost_lease_remembers_nothing(kept: Kept) -> None:
    """Whoever lost the lease writes neither the step nor what it gave."""
    late = claimed(kept.ledger, lease_s=0.2)
    kept.pass_time(0.3)
    record = late.record
    assert isinstance(
        kept.ledger.claim(record.provisioning_id, record.step, record.generation, token="t2", lease_s=10), Claim
    )

    assert not written(kept.ledger, late, MEMORY)
    assert kept.ledger.all_memories() == {}


def test_an_empty_memory_is_forgotten(ledger: Ledger) -> None:
    """An agent of whom nothing is left to remember is not remembered."""
    claim = claimed(ledger)
    written(ledger, claim, MEMORY)
    record = ledger.get(claim.record.provisioning_id)
    assert record is not None
    following = ledger.claim(record.provisioning_id, record.step, record.generation, token="t2", lease_s=10)
    assert isinstance(following, Claim)
    written(ledger, following, Memory())

    assert ledger.all_memories() == {}


def test_it_outlives_the_provisioning(ledger: Ledger) -> None:
    """When the provisioning is forgotten, what it gave is not."""
    claim = claimed(ledger)
    written(ledger, claim, MEMORY)
    record = ledger.get(claim.record.provisioning_id)
    assert record is not None
    assert ledger.change(record, moves.cancel(record, ledger.ping()), look_after_s=10)
    assert ledger.forget(ended_before=ledger.ping() + timedelta(days=1)) == 1
    assert ledger.get(record.provisioning_id) is None

    assert ledger.all_memories() == {record.user_id: MEMORY}


@pytest.mark.integration
def test_it_lies_sealed_in_redis(redis_url: str, key_prefix: str) -> None:
    """Neither a name nor a department can be read in Redis; another user's entry cannot be put in its place."""
    ledger = RedisLedger.connect(redis_url, key_prefix, seals=Seals("d" * 40))
    claim = claimed(ledger)
    written(ledger, claim, MEMORY)
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        raw = redis.hgetall(f"{key_prefix}given")
        redis.hset(f"{key_prefix}given", "somebody-else", raw[claim.record.user_id])
    found = ledger.all_memories()
    ledger.close()

    assert list(raw) == [claim.record.user_id]
    assert not any(word in raw[claim.record.user_id] for word in ("Seasonal", "Customer", "Robin"))
    assert list(found) == [claim.record.user_id]
