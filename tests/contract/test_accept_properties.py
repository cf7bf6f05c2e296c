"""Accepting never writes over a provisioning, nor leads an id that leads to one elsewhere: drawn histories, on both.

Memory and a real Redis are walked side by side and must answer alike. Ids are drawn from a handful, so that they
collide as they never do by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from builders import a_failure
from fixed_clock import FixedClock
from jitprov.domain import provisioning as moves
from jitprov.domain.events import Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.provisioning import Provisioning
from jitprov.errors import DependencyDown
from jitprov.ledger import Claim, Ledger
from jitprov.ledger.memory import MemoryLedger
from jitprov.ledger.redis import RedisLedger

PROVISIONINGS = [provisioning_id_from(UUID(int=number << 96, version=4)) for number in range(5)]
assert len(set(PROVISIONINGS)) == 5  # an id keeps but a part of its UUID
EVENTS = [str(UUID(int=100 + number, version=4)) for number in range(6)]
USERS = [str(UUID(int=200 + number, version=4)) for number in range(4)]
OPENINGS = st.builds(Opening, st.sampled_from(PROVISIONINGS), st.sampled_from(EVENTS), st.sampled_from(USERS))
ACTS = st.lists(
    st.one_of(
        st.lists(OPENINGS, min_size=1, max_size=4),  # accepted in one call
        st.sampled_from(PROVISIONINGS),  # fails at its step
    ),
    min_size=2,
    max_size=12,
)


@dataclass(frozen=True)
class Side:
    """One ledger, and how to look into its indices."""

    ledger: Ledger
    redis: Redis | None = None
    prefix: str = ""

    def leads_to(self) -> dict[str, str]:
        """Return what each event and user id leads to."""
        if self.redis is not None:
            return {**self._index("events"), **self._index("users")}
        assert isinstance(self.ledger, MemoryLedger)
        return self.ledger.store.events | self.ledger.store.users

    def records(self) -> dict[str, Provisioning]:
        return {record.provisioning_id: record for record in self.ledger.get_many(PROVISIONINGS)}

    def accept(self, openings: Sequence[Opening]) -> list[tuple[str, bool]] | str:
        try:
            answers = self.ledger.accept(openings, look_after_s=10)
        except DependencyDown as error:
            return str(error)
        return [(answer.provisioning_id, answer.duplicate) for answer in answers]

    def fail(self, provisioning_id: str) -> bool:
        record = self.ledger.get(provisioning_id)
        if record is None:
            return False
        claim = self.ledger.claim(provisioning_id, record.step, record.generation, token=uuid4().hex, lease_s=10)
        if not isinstance(claim, Claim):
            return False
        return self.ledger.record(claim, moves.fail(claim.record, claim.now, a_failure()), look_after_s=10)

    def _index(self, name: str) -> dict[str, str]:
        assert self.redis is not None
        return {str(known): str(led) for known, led in self.redis.hgetall(f"{self.prefix}{name}").items()}


def walk(side: Side, act: list[Opening] | str) -> object:
    """Do one act; return what it answered, once sure that it harmed nothing that was there."""
    records, leads = side.records(), side.leads_to()
    if isinstance(act, str):
        return side.fail(act)
    answer = side.accept(act)
    records_after, leads_after = side.records(), side.leads_to()
    assert {kept: records_after.get(kept) for kept in records} == records, "a provisioning was written over"
    assert {known: leads_after.get(known) for known in leads} == leads, "an id leads elsewhere"
    assert set(leads_after.values()) <= set(records_after), "an id leads nowhere"
    if isinstance(answer, list):
        for opening, (served, _) in zip(act, answer, strict=True):
            assert leads_after[opening.event_id] == served
            assert served in records_after
    else:
        assert "taken" in answer
    return answer


@pytest.fixture(scope="module")
def client(redis_url: str) -> Redis:
    return Redis.from_url(redis_url, decode_responses=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_what_is_there_stays(client: Redis, acts: list[list[Opening] | str]) -> None:
    """Whatever ids come again in whatever mixture, records and indices stay, and both ledgers answer alike."""
    prefix = f"test:{uuid4().hex[:12]}:"
    redis = Side(RedisLedger(client, prefix), client, prefix)
    memory = Side(MemoryLedger(FixedClock().now))

    for act in acts:
        assert walk(redis, act) == walk(memory, act)
        assert redis.leads_to() == memory.leads_to()


def sides(client: Redis) -> list[Side]:
    prefix = f"test:{uuid4().hex[:12]}:"
    return [Side(RedisLedger(client, prefix), client, prefix), Side(MemoryLedger(FixedClock().now))]


def test_a_taken_id_is_refused(client: Redis) -> None:
    """A new event and user under an id that is taken get an error and leave no trace; those beside it are opened."""
    for side in sides(client):
        first = Opening(PROVISIONINGS[0], EVENTS[0], USERS[0])
        colliding = Opening(PROVISIONINGS[0], EVENTS[1], USERS[1])
        beside = Opening(PROVISIONINGS[2], EVENTS[2], USERS[2])
        side.accept([first])

        assert "taken" in str(side.accept([colliding, beside]))
        assert side.leads_to().keys() == {EVENTS[0], USERS[0], EVENTS[2], USERS[2]}
        assert side.records()[PROVISIONINGS[0]].user_id == USERS[0]
        assert side.accept([Opening(PROVISIONINGS[1], EVENTS[1], USERS[1])]) == [(PROVISIONINGS[1], False)]


def test_an_id_that_leads_nowhere_swallows_no_event(client: Redis) -> None:
    """An index whose provisioning is gone, as after a restore in part, opens anew instead of answering "duplicate"."""
    for side in sides(client):
        side.accept([Opening(PROVISIONINGS[0], EVENTS[0], USERS[0])])
        side.accept(
            [Opening(PROVISIONINGS[2], EVENTS[2], USERS[2])]
        )  # were the last one gone, the ledger would be lost
        if side.redis is not None:
            side.redis.delete(f"{side.prefix}p:{PROVISIONINGS[0]}")
        else:
            assert isinstance(side.ledger, MemoryLedger)
            del side.ledger.store.entries[PROVISIONINGS[0]]

        again = Opening(PROVISIONINGS[1], EVENTS[0], USERS[0])
        assert side.accept([again]) == [(PROVISIONINGS[1], False)]
        assert side.records()[PROVISIONINGS[1]].user_id == USERS[0]
