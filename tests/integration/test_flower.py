"""Flower 2.2 as `jitprov flower` starts it: closed without the password, telling without secrets, not forgetting."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import an_opening
from jitprov.domain.provisioning import State
from jitprov.pipeline.names import task_name
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, free_port, wait_until
from running import RealParts, ended

pytestmark = pytest.mark.integration


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path) -> Iterator[RealParts]:
    options = SandboxOptions(time_scale=20, station_lag_s=(0.0, 0.0))
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as running:
        running.settings["JITPROV_FLOWER_PORT"] = str(free_port())
        yield running


def ask(
    parts: RealParts, path: str, *, password: str | None = "flower-password", method: str = "GET"
) -> tuple[int, str]:
    address = f"http://127.0.0.1:{parts.settings['JITPROV_FLOWER_PORT']}{path}"
    request = urllib.request.Request(address, method=method)
    if password is not None:
        token = base64.b64encode(f"operator:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def tasks(parts: RealParts) -> dict[str, Any]:
    status, body = ask(parts, "/api/tasks")
    return dict(json.loads(body)) if status == 200 else {}


def test_flower_shows_steps_and_reasons_and_nothing_personal(parts: RealParts) -> None:
    """Each step of each agent is there with its state, the failed one with reason and remedy, no name or secret."""
    parts.start("flower")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)
    parts.worker()
    good, _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    bad, _ = parts.sandbox.control.sign_in_silently(1, departments=["Nobody_Knows"])
    sent = {user["id"]: an_opening(user_id=user["id"]) for user in [*good, *bad]}
    ledger = parts.ledger()
    ledger.accept(list(sent.values()), look_after_s=0)
    parts.start("reconciler")
    wait_until(lambda: ended(ledger, good[0]["id"], State.READY), within_s=60)
    wait_until(lambda: ended(ledger, bad[0]["id"], State.FAILED), within_s=60)
    failed = ledger.find(bad[0]["id"])
    ready = ledger.find(good[0]["id"])
    ledger.close()
    assert failed is not None
    assert ready is not None

    wait_until(lambda: tasks(parts).get(failed.task_id(), {}).get("state") == "FAILURE", within_s=15)
    wait_until(lambda: tasks(parts).get(ready.task_id(), {}).get("state") == "SUCCESS", within_s=15)
    shown = tasks(parts)
    for step in ready.steps:
        assert (shown[ready.task_id(step)]["name"], shown[ready.task_id(step)]["state"]) == (task_name(step), "SUCCESS")
    reason = shown[failed.task_id()]["exception"]
    assert "no_rule_matched" in reason
    assert "rules.yaml" in reason or "rule" in reason

    _, page = ask(parts, f"/task/{failed.task_id()}")
    everything = json.dumps(shown) + page + parts.logs()
    for private in (good[0]["name"], good[0]["email"], bad[0]["name"], bad[0]["email"], "sandbox-secret", "w" * 40):
        assert private not in everything


def test_flower_is_closed_and_keeps_its_history(parts: RealParts) -> None:
    """Without the password nothing is shown, with it nothing can be changed, and a kill -9 forgets nothing old."""
    flower = parts.start("flower")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)
    for path in ("/", "/tasks", "/workers", "/broker", "/api/tasks"):
        assert ask(parts, path, password=None)[0] == 401, path
        assert ask(parts, path, password="wrong")[0] == 401, path
    assert ask(parts, "/api/task/send-task/jitprov.create_phone", method="POST")[0] == 403

    parts.worker()
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    ledger = parts.ledger()
    ledger.accept([an_opening(user_id=user["id"])], look_after_s=0)
    parts.start("reconciler")
    wait_until(lambda: ended(ledger, user["id"], State.READY), within_s=60)
    record = ledger.find(user["id"])
    ledger.close()
    assert record is not None
    wait_until(lambda: record.task_id() in tasks(parts), within_s=15)
    wait_until(lambda: any((parts.folder / "data").glob("flower.db*")), within_s=15)
    saved = max((parts.folder / "data").glob("flower.db*")).stat().st_mtime
    wait_until(lambda: max((parts.folder / "data").glob("flower.db*")).stat().st_mtime > saved, within_s=15)
    parts.end(flower)
    parts.start("flower")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)

    assert tasks(parts)[record.task_id()]["state"] == "SUCCESS"


def test_flower_shows_the_valve(parts: RealParts) -> None:
    """The worker's page shows the rate of each step that calls the API, and the new one once it was turned by hand."""
    parts.start("flower")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)
    parts.worker("--hostname", "valved@here")
    page = "/worker/valved@here"

    wait_until(lambda: "jitprov.create_phone [rate_limit=6000/m]" in ask(parts, page)[1], within_s=20)
    assert "jitprov.fetch_profile [" not in ask(parts, page)[1]
    assert ask(parts, "/api/task/rate-limit/jitprov.create_phone", method="POST")[0] == 403

    turned = parts.celery("control", "rate_limit", "jitprov.create_phone", "120/m")
    assert "new rate limit set successfully" in turned.stdout, turned.stderr
    wait_until(lambda: "jitprov.create_phone [rate_limit=120/m]" in ask(parts, page)[1], within_s=20)


def test_flower_refuses_to_start_without_a_password(parts: RealParts) -> None:
    """`jitprov flower` without a password ends at once and names the setting."""
    done = parts.run("flower", JITPROV_FLOWER_PASSWORD="")

    assert done.returncode != 0
    assert "JITPROV_FLOWER_PASSWORD" in done.stderr


def test_flower_knows_the_broker(parts: RealParts) -> None:
    """The broker's page and the queues' lengths are there: Flower tells the broker's kind by its URL."""
    parts.start("flower")
    wait_until(lambda: ask(parts, "/broker")[0] != 0, within_s=30)

    assert ask(parts, "/broker")[0] == 200
    status, body = ask(parts, "/api/queues/length")
    assert status == 200, body
