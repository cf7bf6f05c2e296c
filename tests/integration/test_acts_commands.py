"""`list`, `retry`, `cancel`, `actions` over a real ledger: by cause, by filter, previewed, noted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from builders import a_failure, a_profile, an_opening
from jitprov.cli import app
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import Findings, Provisioning, State, Step
from jitprov.ledger import Claim
from jitprov.ledger.redis_overview import RedisOverview
from jitprov.settings import settings
from jitprov.wiring import make_overview
from own_redis import OwnRedis
from running import PROJECT

pytestmark = pytest.mark.integration

SKILL = a_failure(
    code="skill_unknown",
    message="no routing skill 'Holliday'; nearest: 'Holiday'",
    remedy="Make the skill, or mend rules.yaml line 12 and restart the workers; then: jitprov retry ID",
    retry_helps=False,
    http_status=None,
)


@pytest.fixture
def ledger(own_redis: OwnRedis, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two retail agents and one of support failed for a skill, one for the API; one waits to begin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JITPROV_REDIS_URL", own_redis.url)
    monkeypatch.setenv("JITPROV_KEY_PREFIX", key_prefix)
    monkeypatch.setenv("JITPROV_DATA_KEY", "d" * 43)
    settings.cache_clear()
    ledger = make_overview(settings())
    for department in ("Seasonal_Retail", "Seasonal_Retail", "Seasonal_Tech_Support"):
        move(ledger, move(ledger, opened(ledger), department), failure=SKILL)
    move(ledger, opened(ledger), failure=a_failure())
    opened(ledger)
    yield ledger
    ledger.close()
    settings.cache_clear()


def opened(ledger: RedisOverview) -> Provisioning:
    opening = an_opening()
    ledger.accept([opening], look_after_s=60)
    record = ledger.get(opening.provisioning_id)
    assert record
    return record


def move(ledger: RedisOverview, record: Provisioning, department: str = "", failure: Any = None) -> Provisioning:
    claim = ledger.claim(record.provisioning_id, record.step, 1, token=uuid4().hex, lease_s=60)
    assert isinstance(claim, Claim)
    profile = a_profile(user_id=record.user_id, department=department, email=f"{record.user_id}@example.test")
    after = (
        moves.fail(claim.record, claim.now, failure)
        if failure
        else moves.advance(claim.record, claim.now, Findings(profile=profile))
    )
    assert ledger.record(claim, after, look_after_s=60)
    seen = ledger.get(record.provisioning_id)
    assert seen
    return seen


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def told(*args: str) -> Any:
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def as_process(*args: str) -> Any:
    """Run a command as a process of its own: Celery knows the broker of the settings that it began with."""
    command, environment = (
        [sys.executable, "-m", "jitprov", *args, "--json"],
        {**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_failures_are_listed_by_cause_with_the_fix(ledger: RedisOverview) -> None:
    """`list` groups failures, the most frequent first, with what mends them and the command that follows."""
    first, second = told("list")["causes"]
    shown = run("list", "--failed").stdout

    assert (first["count"], first["code"], second["count"]) == (3, "skill_unknown", 1)
    assert first["fix"].endswith(
        "mend rules.yaml line 12 and restart the workers; then: jitprov retry --error skill_unknown"
    )
    assert second["fix"].endswith("jitprov retry --error unavailable")
    assert "3 agents: no routing skill 'Holliday'; nearest: 'Holiday'" in shown
    assert "jitprov retry --error skill_unknown" in shown


def test_a_list_by_filter(ledger: RedisOverview) -> None:
    """State, step, error, department and words narrow the list, and the causes with it."""
    retail = told("list", "--failed", "--department", "seasonal_retail")
    [waiting] = told("list", "--state", "accepted", "--step", "fetch_profile")["provisionings"]

    assert len(retail["provisionings"]) == 2
    assert [cause["count"] for cause in retail["causes"]] == [2]
    assert len(told("list", "--error", "unavailable")["provisionings"]) == 1
    assert told("list", "--text", waiting["user_id"])["provisionings"] == [waiting]
    assert told("list", "--since", "2999-01-01T00:00:00Z")["provisionings"] == []
    assert [len(told("list", "--limit", "2", "--offset", at)["provisionings"]) for at in ("0", "2", "4")] == [2, 2, 1]


def test_who_is_not_ready_is_listed_first(ledger: RedisOverview) -> None:
    """Who waits or failed comes before who is ready, page by page, whoever was accepted first."""
    [waiting] = told("list", "--state", "accepted")["provisionings"]
    record = ledger.get(waiting["provisioning_id"])
    while record and record.state is not State.READY:
        record = move(ledger, record)
    opened(ledger)
    shown = [told("list", "--limit", "2", "--offset", at)["provisionings"] for at in ("0", "2", "4")]
    states = [record["state"] for page in shown for record in page]

    assert states.index("ready") == len(states) - 1 == 5


def test_a_filter_is_previewed_and_changes_nothing(ledger: RedisOverview) -> None:
    """Without --yes a filter tells agents, calls, minutes and causes; nobody is moved, nothing is noted."""
    seen = told("retry", "--error", "skill_unknown")
    shown = run("retry", "--failed")

    assert (seen["done"], seen["act"], seen["preview"]["agents"], seen["preview"]["hopeless"]) == (False, None, 3, 3)
    assert seen["preview"]["calls"] >= 6
    assert seen["preview"]["minutes"] > 0
    assert "4 agents (failed): about" in shown.stdout
    assert "fails again unless" in shown.stdout
    assert "--yes" in shown.stderr
    assert told("cancel", "--failed", "--step", "fetch_profile")["preview"]["agents"] == 1
    assert ledger.count()[State.FAILED] == 4
    assert ledger.acts() == []
    nobody = run("retry", "--department", "Nowhere", "--yes")
    assert (nobody.exit_code, "nobody matches" in nobody.stderr) == (0, True)


def test_all_that_match_are_retried_and_noted(ledger: RedisOverview) -> None:
    """With --yes those that match are retried and no other, and the log has who, why and what became of it."""
    done = as_process(
        "retry",
        "--error",
        "skill_unknown",
        "--department",
        "Seasonal_Retail",
        "--yes",
        "--why",
        "mended",
        "--who",
        "Kim",
    )

    assert (done["done"], done["preview"]["agents"], done["act"]["outcome"]) == (True, 2, "2 retried")
    assert (ledger.count()[State.FAILED], ledger.count()[State.ACCEPTED]) == (2, 3)
    [act] = told("actions")["actions"]
    assert (act["who"], act["what"], act["why"], act["finished"]) == ("Kim", "retry", "mended", True)
    assert all(word in act["whom"] for word in ("failed", "skill_unknown", "Seasonal_Retail"))
    assert "Kim" in run("actions").stdout


def test_those_under_way_are_cancelled_by_filter(ledger: RedisOverview) -> None:
    """Cancel by filter ends those under way and leaves the failed; one held by a worker ends when its step does."""
    held = opened(ledger)
    assert ledger.claim(held.provisioning_id, Step.FETCH_PROFILE, 1, token="t", lease_s=60)
    done = told("cancel", "--step", "fetch_profile", "--yes")

    assert done["preview"]["steps"] == {"fetch_profile": 2}
    assert done["act"]["outcome"] == "1 cancelled, 1 end when their step does"
    assert (ledger.count()[State.CANCELLED], ledger.count()[State.FAILED]) == (1, 4)
    seen = ledger.get(held.provisioning_id)
    assert seen
    assert seen.cancel_asked


def test_one_is_acted_on_at_once_and_noted(ledger: RedisOverview) -> None:
    """An id needs no --yes; the act is noted under the machine's user when nobody says who."""
    [record] = ledger.page([State.ACCEPTED])
    assert told("cancel", record.user_id, "--why", "left")["verdict"] == "done"

    [act] = ledger.acts()
    assert (act.what, act.whom, act.why) == ("cancel", record.provisioning_id, "left")
    assert act.who.endswith("(command line)")
