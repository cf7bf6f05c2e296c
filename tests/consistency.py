"""What holds for the record of any provisioning at any moment."""

from __future__ import annotations

from jitprov.domain.ids import TaskId, parse_task_id
from jitprov.domain.provisioning import CORRIDOR, Provisioning, State, StepState

_OF_THE_CURRENT_STEP = {
    State.ACCEPTED: {StepState.PENDING},
    State.RUNNING: {StepState.PENDING, StepState.RUNNING},
    State.WAITING: {StepState.WAITING},
    State.READY: {StepState.DONE},
    State.FAILED: {StepState.FAILED},
    State.CANCELLED: {StepState.CANCELLED},
}


def assert_consistent(record: Provisioning) -> None:
    """Fail unless the record's parts agree with each other."""
    _assert_steps_agree(record)
    assert (record.ended_at is not None) == record.state.ended
    assert (record.not_before is not None) == (record.state is State.WAITING)
    assert (record.waiting_for is not None) == (record.state is State.WAITING)
    assert (record.failure is not None) == (record.state is State.FAILED)
    assert record.failure is None or (record.failure.code and record.failure.message and record.failure.remedy)
    assert bool(record.steps_left()) == (not record.state.ended)


def _assert_steps_agree(record: Provisioning) -> None:
    for step in CORRIDOR:
        held = record.steps[step]
        assert held.attempts >= 0
        assert held.waited_s >= 0
        assert 1 <= held.generation <= record.generation
        assert parse_task_id(record.task_id(step)) == TaskId(record.provisioning_id, held.generation, step.number)
        if step.number < record.step.number:
            assert held.state is StepState.DONE
        elif step.number > record.step.number:
            assert (held.state, held.attempts) == (StepState.PENDING, 0)
        else:
            assert held.state in _OF_THE_CURRENT_STEP[record.state]
            assert held.generation == record.generation
