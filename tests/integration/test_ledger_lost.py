"""The whole of jitprov after its Redis was emptied: nothing silently, and nobody with two phones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from redis import Redis

from jitprov.cli.checks import check_ledger
from jitprov.cli.doctor import acknowledge
from jitprov.domain.provisioning import State, Step
from jitprov.errors import ConfigurationError
from jitprov.ledger.book import Book
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import Settings, read_settings
from jitprov.wiring import make_ledger
from own_redis import OwnRedis, free_port, wait_until
from running import RealParts, ended

pytestmark = pytest.mark.integration
LATE_S = 50_000.0


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path) -> Iterator[RealParts]:
    options = SandboxOptions(time_scale=20, station_lag_s=(LATE_S, LATE_S), default_station_needs_visible_station=True)
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as parts:
        parts.settings |= {
            "JITPROV_RECEIVER_PORT": str(free_port()),
            "JITPROV_OPERATOR_KEY": "o" * 40,
            "JITPROV_LEDGER_MEMORY": str(tmp_path / "ledger.json"),
            # The door opens one lease after the acknowledgement.
            "JITPROV_CONNECT_TIMEOUT_S": "1",
            "JITPROV_READ_TIMEOUT_S": "2",
            "JITPROV_LEASE_S": "5",
        }
        yield parts


def post(parts: RealParts, user_id: str) -> requests.Response:
    return requests.post(
        f"http://127.0.0.1:{parts.settings['JITPROV_RECEIVER_PORT']}/events",
        json={"detail": {"action": "Create", "entity": {"id": user_id}}},
        headers={"X-API-Key": "w" * 40},
        timeout=10,
    )


def ledger_check(chosen: Settings) -> tuple[str, str]:
    check = next(check for check in check_ledger(chosen) if check.name == "ledger")
    return check.health, f"{check.found}. {check.remedy}"


def test_an_emptied_redis_is_never_silent(parts: RealParts) -> None:
    """After FLUSHALL receivers answer 503, restarted ones too, until acknowledged; nobody gets a second phone after."""
    receiver = parts.start("receiver", until="receiver_listening")
    parts.start("reconciler", until="reconciler_started")
    parts.worker()
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    user_id = str(user["id"])
    assert post(parts, user_id).status_code == 202
    ledger = parts.ledger()

    def has_phone() -> bool:
        record = ledger.find(user_id)
        return record is not None and record.step is Step.ASSIGN_STATION

    wait_until(has_phone, within_s=30)

    with Redis.from_url(parts.redis.url) as client:
        client.flushall()
    assert post(parts, user_id).status_code == 503
    parts.end(receiver)
    receiver = parts.start("receiver", until="receiver_listening")
    assert post(parts, user_id).status_code == 503
    wait_until(lambda: "reconciler_waits" in parts.logs(), within_s=10)

    parts.sandbox.control.advance_clock(LATE_S)
    told = json.loads(parts.run("doctor", "--acknowledge-empty", "--json").stdout)["checks"]
    assert "the ledger opens in" in next(str(check["found"]) for check in told if check["name"] == "ledger")
    wait_until(lambda: post(parts, user_id).status_code == 202, within_s=15, every_s=0.5)
    wait_until(lambda: ended(ledger, user_id, State.READY), within_s=60)
    (seen,) = parts.sandbox.control.state(user_id)["users"]
    assert len(seen["phones"]) == 1
    ledger.close()


def test_a_loss_that_nobody_noticed_needs_a_word_more(redis_url: str, key_prefix: str, tmp_path: Path) -> None:
    """Doctor changes nothing of a ledger that is well, or not there yet, unless that is asked for expressly."""
    chosen = read_settings(redis_url=redis_url, key_prefix=key_prefix, ledger_memory=tmp_path / "ledger.json")
    ledger = make_ledger(chosen)
    ledger.trust()
    assert ledger_check(chosen)[0] == "ok"

    with pytest.raises(ConfigurationError, match="--yes"):
        acknowledge(chosen, though_well=False)
    assert ledger.book().acknowledged_at is None
    acknowledge(chosen, though_well=True)
    assert ledger.book().acknowledged_at is not None
    ledger.close()


def test_doctor_tells_a_first_start_from_a_loss(redis_url: str, key_prefix: str, tmp_path: Path) -> None:
    """A ledger that nobody has used is well, and stays unopened; one that is gone, and remembered, is down."""
    chosen = read_settings(redis_url=redis_url, key_prefix=key_prefix)
    checks = {check.name: check.health for check in check_ledger(chosen)}
    assert checks == {"ledger": "ok", "ledger's memory": "warning"}
    assert make_ledger(chosen).book() == Book()

    remembering = read_settings(redis_url=redis_url, key_prefix=key_prefix, ledger_memory=tmp_path / "ledger.json")
    assert ledger_check(remembering)[0] == "ok"
    make_ledger(remembering).trust()
    with Redis.from_url(redis_url) as client:
        client.delete(f"{key_prefix}book")
    health, text = ledger_check(remembering)
    assert (health, "--acknowledge-empty" in text) == ("down", True)
