"""A provisioning as plain values."""

from __future__ import annotations

import json
from datetime import datetime

from builders import a_phone, a_profile, a_provisioning, a_wanted_state
from jitprov.domain.provisioning import CORRIDOR, Findings
from jitprov.domain.view import describe


def test_every_step_is_shown_with_its_task_id() -> None:
    """The view lists the steps in order, each with the task id by which Flower knows it, those to come included."""
    record = a_provisioning()

    shown = describe(record)

    assert [step["step"] for step in shown["steps"]] == list(CORRIDOR)
    assert [step["task_id"] for step in shown["steps"]] == [record.task_id(step) for step in CORRIDOR]
    assert shown["task_id"] == record.task_id()


def test_the_view_holds_plain_values_only() -> None:
    """JSON can hold the view once instants are written as text."""
    findings = Findings(a_profile(), a_wanted_state(), a_phone(), "a station")

    text = json.dumps(describe(a_provisioning(findings=findings)), default=lambda value: _instant(value).isoformat())

    assert json.loads(text)["findings"]["station_id"] == "a station"


def _instant(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value
