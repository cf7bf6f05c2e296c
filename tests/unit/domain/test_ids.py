"""Ids that say which provisioning, which run and which step they mean."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitprov.domain.ids import GENERATIONS_MAX, TaskId, is_uuid, parse_task_id, provisioning_id_from, task_id_of

GENERATIONS = st.integers(1, GENERATIONS_MAX)
STEP_NUMBERS = st.integers(1, 15)
IDS = st.uuids().map(provisioning_id_from)

KNOWN = "92d2d43f-b8ba-4273-81a2-5f30ff1596b6"


@given(st.uuids())
def test_a_provisioning_id_is_a_uuid_ending_in_four_zeros(random: UUID) -> None:
    """A provisioning id is the random UUID, its last four digits made zero and all others kept."""
    made = provisioning_id_from(random)

    assert is_uuid(made)
    assert made[:-4] == str(random)[:-4]
    assert made[-4:] == "0000"


@given(IDS, GENERATIONS, STEP_NUMBERS)
def test_a_task_id_comes_apart_as_it_was_put_together(provisioning_id: str, generation: int, step_number: int) -> None:
    """Taking a task id apart gives back exactly what it was made of."""
    made = task_id_of(provisioning_id, generation, step_number)

    assert is_uuid(made)
    assert parse_task_id(made) == TaskId(provisioning_id, generation, step_number)


@given(IDS, st.sets(st.tuples(GENERATIONS, STEP_NUMBERS), min_size=2))
def test_no_two_tasks_of_an_agent_share_an_id(provisioning_id: str, tasks: set[tuple[int, int]]) -> None:
    """Every pair of run and step has a task id of its own, and none is the provisioning's."""
    made = {task_id_of(provisioning_id, generation, step) for generation, step in tasks}

    assert len(made) == len(tasks)
    assert provisioning_id not in made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not an id",
        "0b9a1c7e-3f52-4d68-9a01-5c7e3f520000",  # a provisioning's: no run, no step
        "0b9a1c7e-3f52-4d68-9a01-5c7e3f520001",  # no run
        "0b9a1c7e-3f52-4d68-9a01-5c7e3f520010",  # no step
        "0B9A1C7E-3F52-4D68-9A01-5C7E3F520011",
        "0b9a1c7e3f524d689a015c7e3f520011",
        "{0b9a1c7e-3f52-4d68-9a01-5c7e3f520011}",
        " 0b9a1c7e-3f52-4d68-9a01-5c7e3f520011",
        "0b9a1c7e-3f52-4d68-9a01-5c7e3f520011\n",
        "0b9a1c7e-3f52-4d68-9a01-5c7e3f5200110",
        "0b9a1c7e-3f52-4d68-9a01-5c7e3f52001g",
        "0b9a1c7e-3f52-4d68-9a01-5c7e3f52001\u0661",  # a digit, but not one of ours
    ],
)
def test_anything_else_is_not_a_task_id(text: str) -> None:
    """What cannot be a task id is answered with None, never with a guess and never with an exception."""
    assert parse_task_id(text) is None


@given(st.text())
def test_no_text_breaks_the_reading_of_ids(text: str) -> None:
    """Any text is either a task id or answered with None."""
    parsed = parse_task_id(text)

    assert parsed is None or is_uuid(text)


@pytest.mark.parametrize("text", [KNOWN.upper(), KNOWN.replace("-", ""), f"{KNOWN}\n", f"urn:uuid:{KNOWN}", ""])
def test_only_the_plain_form_is_a_uuid(text: str) -> None:
    """Upper case, missing hyphens, wrappings and line ends are refused, so that an id has one spelling."""
    assert not is_uuid(text)
