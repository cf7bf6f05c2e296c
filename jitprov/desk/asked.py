"""Filters as they stand in an address: `?state=failed&step=…&error=…&department=…&q=…`, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import HTTPException, Query

from jitprov.domain.provisioning import State, Step
from jitprov.ledger.overview import Filter

# Words that one click means: waiting for one's turn and waiting for something are both waiting.
GROUPS: Mapping[str, tuple[State, ...]] = {
    "waiting": (State.ACCEPTED, State.WAITING),
    **{state: (state,) for state in State if state is not State.WAITING},
}


def asked(
    state: Annotated[list[str] | None, Query()] = None,
    step: str = "",
    error: str = "",
    department: str = "",
    q: str = "",
    since: str = "",
) -> Filter:
    """Return the filter of an address; 400 for a state, step or instant that is none. An empty part asks nothing."""
    states: list[State] = []
    for word in state or ():
        if word and word not in GROUPS:
            raise HTTPException(400, f"state: one of {', '.join(GROUPS)}")
        states += GROUPS.get(word, ())
    if step and step not in list(Step):
        raise HTTPException(400, f"step: one of {', '.join(Step)}")
    return Filter(tuple(states), Step(step) if step else None, error, department, q, _instant(since))


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise HTTPException(400, "since: an instant with its zone, such as 2026-11-23T09:00:00Z")
    return at


def address(wanted: Filter, **more: str) -> str:
    """Return the query of a filter, without `?`."""
    group = next((name for name, states in GROUPS.items() if set(states) == set(wanted.states)), "")
    pairs = [("state", group)] if group else [("state", state) for state in wanted.states]
    pairs += [
        ("step", wanted.step or ""),
        ("error", wanted.error),
        ("department", wanted.department),
        ("q", wanted.text),
        ("since", wanted.since.isoformat() if wanted.since else ""),
        *more.items(),
    ]
    return urlencode([(name, value) for name, value in pairs if value])
