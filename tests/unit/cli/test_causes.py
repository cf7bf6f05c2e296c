"""The command that follows a cause."""

from __future__ import annotations

from typing import Any

import pytest

from jitprov.cli.causes import fix_of
from jitprov.domain.provisioning import Step
from jitprov.ledger.overview import Cause


def a_cause(**changes: Any) -> Cause:
    values: dict[str, Any] = {
        "count": 41,
        "step": Step.RESOLVE_SKILLS,
        "code": "skill_unknown",
        "message": "no routing skill 'Holliday'",
        "remedy": "Mend it; then: jitprov retry ID",
        "retry_helps": False,
        "example": "x",
    } | changes
    return Cause(**values)


@pytest.mark.parametrize(
    ("remedy", "fix"),
    [
        ("Mend it; then: jitprov retry ID", "Mend it; then: jitprov retry --error skill_unknown"),
        ("Mend it.", "Mend it; then: jitprov retry --error skill_unknown"),
        ("", "jitprov retry --error skill_unknown"),
    ],
)
def test_a_fix_ends_with_the_command_for_all(remedy: str, fix: str) -> None:
    """A remedy for one agent becomes the remedy for all whom the cause befell."""
    cause = a_cause(remedy=remedy)

    assert fix_of(cause, [cause]) == fix


def test_a_code_at_two_steps_is_told_apart() -> None:
    """Where a code befell another step too, the command names the step."""
    cause, other = a_cause(), a_cause(step=Step.PATCH_SKILLS)

    assert fix_of(cause, [cause, other]).endswith("--error skill_unknown --step resolve_skills")
