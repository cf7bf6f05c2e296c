"""Task and queue names, once. A task and its queue share a name; each step has a queue of its own."""

from __future__ import annotations

from jitprov.domain.provisioning import EVERY_STEP, Step

PREFIX = "jitprov."


def task_name(step: Step) -> str:
    """Return the name of a step's task, and of its queue: `jitprov.fetch_profile`."""
    return f"{PREFIX}{step}"


# Most urgent first: a started agent is finished before the next one is begun (docs/decisions/0009).
QUEUES: tuple[str, ...] = tuple(task_name(step) for step in reversed(EVERY_STEP))

# The steps that spend the budget for each agent, and so have a valve (docs/decisions/0012): fetch_profile and
# grant_access share their calls, resolve_skills calls nothing.
VALVED: tuple[str, ...] = tuple(
    task_name(step)
    for step in (Step.PATCH_SKILLS, Step.CREATE_PHONE, Step.ASSIGN_STATION, Step.SET_UTILIZATION, Step.TAKE_AWAY)
)
