"""The list of agents on narrow and wide screens, and what a shell that does not know the stack is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from rich.console import Console

from builders import a_failure, a_profile, a_provisioning
from jitprov.cli import agents
from jitprov.cli.checks import aim_hint
from jitprov.cli.wanted import wanted_of
from jitprov.domain.provisioning import Findings, State, StepState
from jitprov.errors import DependencyDown
from jitprov.settings import Settings


@pytest.mark.parametrize(("columns", "with_step"), [(80, False), (120, True)])
def test_who_which_id_and_why_fit_any_screen(columns: int, with_step: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agent, task id and cause stand whole in 80 columns; the step and the instant come where there is room."""
    failed = a_provisioning(
        state=State.FAILED, failure=a_failure(code="skill_unknown"), findings=Findings(profile=a_profile())
    )
    screen = Console(width=columns)
    monkeypatch.setattr(agents, "out", screen)
    with screen.capture() as shown:
        screen.print(agents._list_table([failed]))

    row = shown.get().splitlines()[1]
    assert failed.task_id() in row
    assert "skill_unknown" in row
    assert "Robin Example" in row
    assert (failed.step in row) is with_step


def test_why_one_agent_failed_is_said_at_its_step_on_any_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 80 columns `show` keeps each step's id and what it met whole, and the next command on one line."""
    code = "no_rule_matched"
    record = a_provisioning(state=State.FAILED, failure=a_failure(code=code))
    steps = dict(record.steps)
    steps[record.step] = replace(steps[record.step], state=StepState.FAILED, failure=a_failure(code=code))
    failed = replace(record, steps=steps)
    screen = Console(width=80)
    monkeypatch.setattr(agents, "out", screen)
    monkeypatch.setattr(agents, "err", screen)
    with screen.capture() as shown:
        agents._print_record(failed)

    lines = shown.get().splitlines()
    assert any(failed.task_id() in line and line.rstrip().endswith(code) for line in lines[1:])
    assert lines[-1].endswith(f"Next: jitprov retry {failed.task_id()}")


def test_a_code_that_does_not_exist_is_not_taken_for_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt --error ends the command and names the nearest code; a real one is a filter."""
    with pytest.raises(SystemExit, match="2"):
        wanted_of(error="skil_unknown", ping=lambda: datetime.now(UTC))

    assert "nearest: skill_unknown" in capsys.readouterr().err
    assert wanted_of(error="internal_error", ping=lambda: datetime.now(UTC)).error == "internal_error"


def test_a_shell_without_settings_is_told_which_file_to_source() -> None:
    """Who has not set the address of Redis is told of the file that `jitprov up` prints; who has set it is not."""
    down = DependencyDown("the ledger's Redis does not answer. Check JITPROV_REDIS_URL and the server")

    assert "source the file" in aim_hint(down, Settings())
    assert aim_hint(down, Settings(redis_url=SecretStr("redis://127.0.0.1:7/0"))) == ""
    assert aim_hint(DependencyDown("the receiver is away"), Settings()) == ""
