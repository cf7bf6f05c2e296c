"""A provisioning as plain values, for JSON: the command line and the operator API show the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jitprov.domain.provisioning import Provisioning


def describe(record: Provisioning) -> dict[str, Any]:
    """Return all fields of a provisioning; every step carries its task id, those to come included."""
    content = asdict(record)
    content["task_id"] = record.task_id()
    content["steps"] = [
        {"step": step, "task_id": record.task_id(step), **asdict(record.steps[step])} for step in record.corridor
    ]
    return content
