"""`top` and `report` over a real ledger."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from builders import a_failure, an_opening
from jitprov.cli import app
from jitprov.domain.provisioning import Step, fail, wait
from jitprov.ledger import Claim
from jitprov.settings import settings
from jitprov.wiring import make_ledger

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def three_agents(redis_url: str, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An accepted agent, one that waits, and a failed one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JITPROV_REDIS_URL", redis_url)
    monkeypatch.setenv("JITPROV_KEY_PREFIX", key_prefix)
    monkeypatch.setenv("JITPROV_DATA_KEY", "d" * 43)
    settings.cache_clear()
    ledger = make_ledger(settings())
    openings = [an_opening() for _ in range(3)]
    ledger.accept(openings, look_after_s=60)
    claim = ledger.claim(openings[0].provisioning_id, Step.FETCH_PROFILE, 1, token="t", lease_s=60)
    assert isinstance(claim, Claim)
    assert ledger.record(claim, fail(claim.record, claim.now, a_failure()), look_after_s=60)
    claim = ledger.claim(openings[1].provisioning_id, Step.FETCH_PROFILE, 1, token="u", lease_s=60)
    assert isinstance(claim, Claim)
    waiting = wait(claim.record, claim.now, 60, a_failure(code="station_late"), spends=False, counted_s=60)
    assert ledger.record(claim, waiting, look_after_s=60)
    ledger.close()
    yield
    settings.cache_clear()


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def test_one_look_at_the_morning() -> None:
    """`top` counts by state and names the causes; as JSON too."""
    told = json.loads(run("top", "--json").stdout)
    shown = run("top", "--once").stdout

    assert (told["counts"]["accepted"], told["counts"]["failed"], told["waiting_for"]) == (1, 1, {"station_late": 1})
    assert told["failed_by_cause"] == {"unavailable": 1}
    assert "failed 1: unavailable" in shown
    assert "arrived 3/3" in shown


def test_the_report_has_a_row_for_everyone(tmp_path: Path) -> None:
    """One row per agent goes to the file, for its maker alone; the exit code says that some failed."""
    result = run("report", "--csv", "today.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "today.csv").read_text())))

    assert result.exit_code == 3
    assert sorted(row["state"] for row in rows) == ["accepted", "failed", "waiting"]
    assert (tmp_path / "today.csv").stat().st_mode & 0o077 == 0


def test_the_report_goes_to_a_pipe_and_to_machines() -> None:
    """`--csv -` prints nothing but rows, `--json` shares and rows; nobody since tomorrow ends well."""
    piped = list(csv.DictReader(io.StringIO(run("report", "--csv", "-").stdout)))
    told = json.loads(run("report", "--json").stdout)
    empty = run("report", "--since", "2999-01-01T00:00:00Z", "--json")

    assert len(piped) == len(told["agents"]) == told["shares"]["all"]["agents"] == 3
    assert (empty.exit_code, json.loads(empty.stdout)["agents"]) == (0, [])
