"""Ids that jitprov makes: a task id tells which provisioning, which run and which step it is (decision 0008).

A provisioning id is a random UUID whose last four hex digits are zero. The task id of a step is the same UUID
with those digits set to generation (three digits, from 1; each operator's retry opens the next) and step (one
digit, from 1). So all tasks of an agent share a prefix in Flower, and no index from task to agent is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

GENERATIONS_MAX = 0xFFF
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(text: str) -> bool:
    """Tell whether the whole text is a UUID in lower case with hyphens."""
    return _UUID.fullmatch(text) is not None


def provisioning_id_from(random: UUID) -> str:
    """Return a provisioning id made of a random UUID."""
    return f"{str(random)[:-4]}0000"


def task_id_of(provisioning_id: str, generation: int, step_number: int) -> str:
    """Return the task id of a step.

    Args:
        provisioning_id: As `provisioning_id_from` made it.
        generation: 1 to `GENERATIONS_MAX`.
        step_number: 1 to 15.
    """
    return f"{provisioning_id[:-4]}{generation:03x}{step_number:x}"


@dataclass(frozen=True, slots=True)
class TaskId:
    """A task id taken apart."""

    provisioning_id: str
    generation: int
    step_number: int


def parse_task_id(text: str) -> TaskId | None:
    """Take a task id apart; None when it cannot be one."""
    if not is_uuid(text):
        return None
    generation, step_number = int(text[-4:-1], 16), int(text[-1], 16)
    if generation == 0 or step_number == 0:
        return None
    return TaskId(f"{text[:-4]}0000", generation, step_number)
