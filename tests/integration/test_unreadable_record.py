"""A record that this version cannot read: the others go on, and nothing of it is told."""

from __future__ import annotations

import logging

import pytest
from redis import Redis

from builders import an_opening
from jitprov.ledger.codec import Unreadable
from jitprov.ledger.redis import RedisLedger
from own_redis import OwnRedis

pytestmark = pytest.mark.integration

NEWER = '{"findings": {"profile": {"name": "Robin Example"}}, "steps": {"greet": {}}}'


@pytest.mark.parametrize(("field", "value"), [("story", NEWER), ("story", "{"), ("state", "asleep"), ("step", "greet")])
def test_one_record_does_not_hold_up_the_others(
    own_redis: OwnRedis, caplog: pytest.LogCaptureFixture, field: str, value: str
) -> None:
    """What is due and what is listed leaves out the one; who asks for that one is told, without its content."""
    ledger = RedisLedger.connect(own_redis.url, "jitprov:")
    broken, whole = an_opening(), an_opening()
    ledger.accept([broken, whole], look_after_s=0)
    with Redis.from_url(own_redis.url) as client:
        client.hset(f"jitprov:p:{broken.provisioning_id}", field, value)

    with caplog.at_level(logging.ERROR):
        assert [found.record.user_id for found in ledger.due(limit=10)] == [whole.user_id]
        assert [record.user_id for record in ledger.page()] == [whole.user_id]
    assert [found.record.user_id for found in ledger.due(limit=10)] == [whole.user_id]  # the broken one has its pause
    with pytest.raises(Unreadable) as caught:
        ledger.get(broken.provisioning_id)

    assert broken.provisioning_id in caplog.text + str(caplog.records[0].__dict__)
    assert "Robin" not in str(caught.value) + str([record.__dict__ for record in caplog.records])
    ledger.close()
