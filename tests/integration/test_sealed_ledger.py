"""What lies in Redis of a person: nothing that can be read without the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis

from builders import a_failure, a_phone, a_profile, an_opening
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import CORRIDOR, Findings, Provisioning
from jitprov.errors import ConfigurationError
from jitprov.ledger import Claim
from jitprov.ledger.redis import RedisLedger
from jitprov.sealing import Seals

pytestmark = pytest.mark.integration

OLD, NEW = "o" * 40, "n" * 40
PERSONAL = ("Robin", "robin", "example.test", "Seasonal_Retail", "Agent")


class Shelf:
    """One prefix, opened with different keys."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url, self.prefix = url, prefix
        self._opened: list[RedisLedger] = []

    def ledger(self, *keys: str) -> RedisLedger:
        self._opened.append(RedisLedger.connect(self.url, self.prefix, seals=Seals(*keys)))
        return self._opened[-1]

    def close(self) -> None:
        for ledger in self._opened:
            ledger.close()

    def content(self) -> str:
        """Return every key and value under the prefix."""
        readers = {"hash": "hgetall", "zset": "zrange", "list": "lrange", "string": "get"}
        with Redis.from_url(self.url, decode_responses=True) as client:
            told = []
            for key in client.scan_iter(f"{self.prefix}*"):
                kind = client.type(key)
                span = (0, -1) if kind in {"zset", "list"} else ()
                told.append(f"{key}={getattr(client, readers[kind])(key, *span)}")
        return "\n".join(told)


@pytest.fixture
def shelf(redis_url: str, key_prefix: str) -> Iterator[Shelf]:
    shelf = Shelf(redis_url, key_prefix)
    yield shelf
    shelf.close()


def claim(ledger: RedisLedger, record: Provisioning) -> Claim:
    claim = ledger.claim(record.provisioning_id, record.step, record.generation, token=record.step, lease_s=10)
    assert isinstance(claim, Claim), claim
    return claim


def walked(ledger: RedisLedger, record: Provisioning, findings: Findings | None = None) -> Provisioning:
    held = claim(ledger, record)
    assert ledger.record(held, moves.advance(held.record, held.now, findings or held.record.findings), look_after_s=10)
    seen = ledger.get(record.provisioning_id)
    assert seen is not None
    return seen


def with_a_profile(ledger: RedisLedger) -> Provisioning:
    opening = an_opening()
    ledger.accept([opening], look_after_s=10)
    record = ledger.get(opening.provisioning_id)
    assert record is not None
    found = Findings(profile=a_profile(user_id=record.user_id), phone=a_phone())
    return walked(ledger, record, found)


def test_redis_holds_nothing_personal(shelf: Shelf) -> None:
    """Name, address, department, title and the phone's name lie sealed, and who has the key reads them."""
    record = with_a_profile(shelf.ledger(NEW))

    told = shelf.content()
    assert record.provisioning_id in told
    assert [word for word in PERSONAL if word in told] == []
    assert record.findings.profile is not None
    assert record.findings.profile.name == "Robin Example"
    found = shelf.ledger(NEW).find(" ROBIN@example.test ")
    assert found is not None
    assert found.provisioning_id == record.provisioning_id


def test_who_has_no_key_works_without_names(shelf: Shelf) -> None:
    """Without the key a record is read without findings, an operator's move leaves them, and none can be added."""
    record = with_a_profile(shelf.ledger(NEW))
    keyless = shelf.ledger()

    seen = keyless.get(record.provisioning_id)
    assert seen == replace(record, findings=Findings())
    assert keyless.page() == [seen]
    assert keyless.find("robin@example.test") is None
    assert keyless.change(seen, moves.cancel(seen, keyless.ping()), look_after_s=10)
    kept = shelf.ledger(NEW).get(record.provisioning_id)
    assert kept is not None
    assert kept.findings == record.findings
    told = replace(seen, version=kept.version)
    with pytest.raises(ConfigurationError, match="JITPROV_DATA_KEY"):
        keyless.change(told, replace(told, findings=Findings(profile=a_profile())), look_after_s=10)


def test_a_step_is_not_run_without_its_findings(shelf: Shelf) -> None:
    """Who claims with another key is told so: it would take what was made for not made. The text says why."""
    record = with_a_profile(shelf.ledger(OLD))

    for keys in [(), (NEW,)]:
        ledger = shelf.ledger(*keys)
        held = claim(ledger, record)
        assert "JITPROV_DATA_KEY" in held.sealed
        assert held.record.findings == Findings()
        later = moves.wait(held.record, held.now, 0.0, a_failure(), spends=False, counted_s=0.0)
        assert ledger.record(held, later, look_after_s=10)

    right = claim(shelf.ledger(OLD), record)
    assert (right.sealed, right.record.findings) == ("", record.findings)
    assert right.record.steps[right.record.step].attempts == 1


def test_the_first_key_is_the_one(shelf: Shelf) -> None:
    """Whoever comes with another key is refused, with the setting and the remedy; who has none is not asked."""
    shelf.ledger(OLD).match_key()
    shelf.ledger(OLD).match_key()
    shelf.ledger().match_key()

    for keep in ("the first", "nothing"):
        with pytest.raises(ConfigurationError, match=r"JITPROV_DATA_KEY: .*JITPROV_DATA_KEY_OLD"):
            shelf.ledger(NEW).match_key(keep=keep)
    shelf.ledger(OLD).match_key()


def test_looking_at_the_key_leaves_nothing(shelf: Shelf) -> None:
    """A look alone makes no key the right one."""
    shelf.ledger(NEW).match_key(keep="nothing")
    shelf.ledger(OLD).match_key()


def test_a_rotated_key_is_the_one_from_then_on(shelf: Shelf) -> None:
    """Once a process with both has begun, the new one alone will do, and the old one alone will not."""
    shelf.ledger(OLD).match_key()
    shelf.ledger(NEW, OLD).match_key()
    shelf.ledger(OLD, NEW).match_key(keep="nothing")

    shelf.ledger(NEW).match_key()
    with pytest.raises(ConfigurationError, match="JITPROV_DATA_KEY"):
        shelf.ledger(OLD).match_key()


def test_a_lost_key_can_be_given_up(shelf: Shelf) -> None:
    """An operator can say that the key in hand is the right one from now on."""
    shelf.ledger(OLD).match_key()
    shelf.ledger(NEW).match_key(keep="whatever was")

    shelf.ledger(NEW).match_key()


def test_rotation(shelf: Shelf) -> None:
    """With new and old key everything is read and found, and what is written is the new key's alone."""
    before = with_a_profile(shelf.ledger(OLD))
    both = shelf.ledger(NEW, OLD)

    found = both.find("robin@example.test")
    assert found is not None
    assert found.findings == before.findings
    phone = replace(before.findings, phone=a_phone())
    after = walked(both, before, phone)
    new = shelf.ledger(NEW).find("robin@example.test")
    assert new is not None
    assert new.findings == after.findings == phone


def test_the_same_findings_are_not_sealed_again(shelf: Shelf) -> None:
    """A step that found nothing more leaves the sealed text as it is: sealing costs only where something was found."""
    ledger = shelf.ledger(NEW)
    record = with_a_profile(ledger)

    def sealed() -> str | None:
        with Redis.from_url(shelf.url, decode_responses=True) as client:
            return client.hget(f"{shelf.prefix}p:{record.provisioning_id}", "findings")

    before = sealed()
    assert record.step is CORRIDOR[1]
    walked(ledger, record)

    assert before
    assert sealed() == before
