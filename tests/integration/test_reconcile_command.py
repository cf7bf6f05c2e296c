"""Events that were dropped while nobody listened, found by `reconcile` and by the reconciler's schedule."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from typer.testing import CliRunner, Result

from builders import an_opening
from jitprov.cli import app
from jitprov.ledger.redis import RedisLedger
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import settings
from own_redis import OwnRedis, wait_until
from running import RealParts

pytestmark = pytest.mark.integration

MISSED, HANDLED, SCALE = 200, 30, 60.0


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path) -> Iterator[RealParts]:
    with (
        SandboxThread(SandboxOptions(time_scale=SCALE)) as sandbox,
        RealParts(own_redis, sandbox, tmp_path, time_scale=SCALE) as parts,
    ):
        yield parts


@pytest.fixture
def ledger(parts: RealParts) -> Iterator[RedisLedger]:
    ledger = parts.ledger()
    yield ledger
    ledger.close()


def sign_in(parts: RealParts, count: int) -> tuple[set[str], list[dict[str, Any]]]:
    """Have people sign in whose events go nowhere; return their ids, and those events."""
    users, events = parts.sandbox.control.sign_in_silently(count)
    return {str(user["id"]) for user in users}, events


def create_by_api(parts: RealParts) -> str:
    """Have a user created with the OAuth client that jitprov has."""
    base = parts.sandbox.base_url
    login = ("sandbox-client", "sandbox-secret")
    form = {"grant_type": "client_credentials"}
    token = requests.post(f"{base}/oauth/token", auth=login, data=form, timeout=5).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    division = requests.get(f"{base}/api/v2/authorization/divisions/home", headers=headers, timeout=5).json()["id"]
    body = {"name": "By Machine", "email": "machine@example.test", "divisionId": division}
    return str(requests.post(f"{base}/api/v2/users", headers=headers, json=body, timeout=5).json()["id"])


def holds(broker: Redis, count: int) -> bool:
    return bool(broker.llen("jitprov.fetch_profile") == count)


def known(ledger: RedisLedger) -> set[str]:
    return {record.user_id for record in ledger.page(limit=1000)}


def preview_of(parts: RealParts, since: str = "2h") -> Result:
    """Run the command in this process, which takes a second less."""
    settings.cache_clear()
    try:
        return CliRunner().invoke(app, ["reconcile", "--since", since, "--json"], env=parts.environment())
    finally:
        settings.cache_clear()


def test_exactly_those_are_taken_whose_event_was_dropped(parts: RealParts, ledger: RedisLedger) -> None:
    """Of all who signed in, the preview counts those who were missed, --yes accepts them, and a second time nobody."""
    handled, events = sign_in(parts, HANDLED)
    openings = [(event["detail"]["eventBody"]["id"], event["detail"]["eventBody"]["entity"]["id"]) for event in events]
    ledger.accept([an_opening(event_id=audit, user_id=user) for audit, user in openings], look_after_s=600)
    missed, late = sign_in(parts, MISSED)
    by_machine = create_by_api(parts)
    spent = parts.sandbox.control.oracle()["calls"]

    preview = json.loads(preview_of(parts).stdout)
    counts = {name: preview[name] for name in ("audits", "openings", "known", "accepted", "done")}
    assert counts == {
        "audits": MISSED + HANDLED + 1, "openings": MISSED, "known": HANDLED, "accepted": 0, "done": False,
    }  # fmt: skip
    assert preview["ignored"] == {"own_client": 1}
    assert 3 * MISSED <= preview["calls"] <= 5 * MISSED
    assert preview["minutes"] >= preview["calls"] / 300 - 0.1
    # Two mappings, a page for each hundred who were created, and one for those who came back: nobody.
    assert preview["calls_made"] == parts.sandbox.control.oracle()["calls"] - spent == 2 + 3 + 1
    assert known(ledger) == handled

    done = parts.run("reconcile", "--since", "2h", "--yes")
    assert (done.returncode, done.stdout.startswith(f"231 created: {MISSED} agents missed, 30 known")) == (0, True)
    assert f"{MISSED} accepted" in done.stdout
    assert known(ledger) == handled | missed
    assert by_machine not in known(ledger)
    with Redis.from_url(parts.redis.url) as broker:
        assert broker.llen("jitprov.fetch_profile") == MISSED

    again = json.loads(preview_of(parts).stdout)
    assert (again["openings"], again["known"]) == (0, MISSED + HANDLED)
    late_one = late[0]["detail"]["eventBody"]
    comes = an_opening(event_id=late_one["id"], user_id=late_one["entity"]["id"])
    assert ledger.accept([comes], look_after_s=600)[0].duplicate


def test_the_reconciler_looks_on_its_schedule(parts: RealParts, ledger: RedisLedger) -> None:
    """Two reconcilers accept whoever was missed, once, also those whose audit becomes visible only a while later."""
    parts.sandbox.control.patch_options(audit_lag_s=120)
    schedule = {"JITPROV_MISSED_EVERY_S": "0.5", "JITPROV_MESSAGE_GRACE_S": "600"}
    for _ in range(2):
        parts.start("reconciler", until="reconciler_started", **schedule)
    wanted: set[str] = set()
    for count in (5, 7):
        wanted |= sign_in(parts, count)[0]
        with Redis.from_url(parts.redis.url) as broker:
            wait_until(functools.partial(holds, broker, len(wanted)), within_s=30)
        assert known(ledger) == wanted
    oracle = parts.sandbox.control.oracle()
    assert (oracle["windows_over"], oracle["answers_429"]) == (0, 0)


def test_a_time_that_the_ledger_has_forgotten_is_refused(parts: RealParts) -> None:
    """Whoever was handled so long ago may be forgotten: then nothing is looked for, and the bound is named."""
    result = preview_of(parts, "40d")

    assert result.exit_code == 2
    assert "JITPROV_KEEP_ENDED_DAYS" in result.stderr
    assert parts.sandbox.control.oracle()["calls"] == 0
