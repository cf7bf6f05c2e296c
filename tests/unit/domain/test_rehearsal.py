"""The rehearsal: every slot of the meter goes to whom the pipeline would give it."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitprov.domain.agent import Priority
from jitprov.domain.provisioning import CORRIDOR, Step
from jitprov.domain.rehearsal import Rehearsal, Stage, Stations, Walk

LINE_ID = Stations("line_id")


def played(walks: list[Walk], stage: Stage) -> int:
    """Play and return the calls."""
    rehearsal = Rehearsal(stage, walks)
    rehearsal.play()
    return rehearsal.calls


def test_one_agent_alone_goes_from_slot_to_slot() -> None:
    """Token, profile, skills, patch, two for the setup, phone, station: eight calls, one interval apart."""
    walk = Walk()

    assert played([walk], Stage(LINE_ID, 1.0)) == 8
    assert walk.ready_s == 7.0


def test_what_an_answer_takes_is_waited_for_when_the_meter_is_faster() -> None:
    """One agent's next call cannot leave before the answer to the last."""
    walk = Walk()

    played([walk], Stage(LINE_ID, 1.0, call_s=3.0))

    assert walk.ready_s == 8 * 3.0


def test_the_meter_gives_what_it_gives() -> None:
    """With a burst the first calls leave at once, and then at the even pace again."""
    stage = Stage(LINE_ID, 1.0, burst=3, warm=True)
    walks = [Walk(Step.ASSIGN_STATION) for _ in range(6)]

    played(walks, stage)

    assert [walk.ready_s for walk in walks] == [0.0, 0.0, 0.0, 0.0, 1.0, 2.0]


def test_tokens_take_turns() -> None:
    """Two tokens give two slots at a time."""
    walks = [Walk(Step.ASSIGN_STATION) for _ in range(4)]

    played(walks, Stage(LINE_ID, 1.0, tokens=2, warm=True))

    assert [walk.ready_s for walk in walks] == [0.0, 0.0, 1.0, 1.0]


def test_later_steps_come_first_and_within_a_step_who_came_first() -> None:
    """One slot of a worker takes the station of the second before the phone of the first, then in order."""
    steps = (Step.PATCH_SKILLS, Step.PATCH_SKILLS, Step.ASSIGN_STATION, Step.ASSIGN_STATION, Step.PATCH_SKILLS)
    walks = [Walk(step) for step in steps]

    played(walks, Stage(LINE_ID, 1.0, slots=1, warm=True))

    assert [walk.ready_s for walk in walks] == [4.0, 7.0, 0.0, 1.0, 10.0]


def test_priority_decides_at_the_entrance() -> None:
    """Whoever came last and is high is begun first, low last; everybody is read before a normal one is begun."""
    priorities: tuple[Priority | None, ...] = ("low", "normal", "high", "normal", "high")
    walks = [Walk(priority=priority, stationed=True) for priority in priorities]

    played(walks, Stage(LINE_ID, 1.0, slots=1, warm=True))

    assert sorted(range(5), key=lambda place: walks[place].ready_s) == [2, 4, 1, 3, 0]


def test_whoever_is_begun_is_finished_before_others_are_begun() -> None:
    """Somebody low who has a phone gets the station before somebody high gets skills."""
    begun, high = Walk(Step.ASSIGN_STATION, priority="low"), Walk(Step.PATCH_SKILLS, priority="high")

    played([high, begun], Stage(LINE_ID, 1.0, slots=1, warm=True))

    assert (begun.ready_s, high.ready_s) == (0.0, 3.0)


def test_more_hands_begin_more_agents_at_a_time() -> None:
    """What eight slots hold is begun together, so the first agent waits for the others' calls in between."""
    alone, together = ([Walk() for _ in range(50)] for _ in range(2))

    played(alone, Stage(LINE_ID, 1.0, slots=1))
    played(together, Stage(LINE_ID, 1.0, slots=8))

    assert min(walk.ready_s for walk in alone) == 7.0
    assert min(walk.ready_s for walk in together) > 14.0
    assert max(walk.ready_s for walk in alone) == max(walk.ready_s for walk in together)


def test_a_late_station_holds_up_nobody_else() -> None:
    """While one agent waits for its station the calls of others go on; their time is not lost."""
    stage = Stage(Stations("lookup", wait_s=6.0), 1.0, slots=1, warm=True)
    walks = [Walk(Step.ASSIGN_STATION), *(Walk(Step.PATCH_SKILLS, stationed=True) for _ in range(3))]

    assert played(walks, stage) == 2 + 3 * 2
    assert [walk.ready_s for walk in walks] == [7.0, 1.0, 3.0, 5.0]


@pytest.mark.parametrize(("source", "extra"), [("line_id", 1), ("lookup", 1)])
def test_finding_out_where_station_ids_come_from_costs_a_call(source: str, extra: int) -> None:
    """The first agent of an organization pays for all."""
    stage = Stage(Stations(source, known=False), 1.0, slots=1, warm=True)  # type: ignore[arg-type]
    known = Stage(Stations(source), 1.0, slots=1, warm=True)  # type: ignore[arg-type]

    calls = [played([Walk(Step.ASSIGN_STATION) for _ in range(20)], each) for each in (stage, known)]

    assert calls[0] == calls[1] + extra


@given(
    st.lists(
        st.builds(
            Walk,
            st.sampled_from(CORRIDOR),
            st.floats(0, 50),
            priority=st.sampled_from((*get_args(Priority), None)),
        ),
        max_size=250,
    ),
    st.sampled_from(["line_id", "lookup"]),
    st.booleans(),
    st.integers(1, 3),
    st.integers(1, 20),
)
def test_everybody_gets_through_at_the_meters_pace(
    walks: list[Walk], source: str, known: bool, tokens: int, slots: int
) -> None:
    """Whoever comes, from wherever, gets through after it came; the calls take the time that the pace needs."""
    due = [walk.due_s for walk in walks]

    calls = played(walks, Stage(Stations(source, known=known), 0.2, tokens=tokens, slots=slots))  # type: ignore[arg-type]

    last_s = max((walk.ready_s for walk in walks), default=0.0)
    assert all(walk.ready_s >= came for walk, came in zip(walks, due, strict=True))
    assert {walk.step for walk in walks} <= {CORRIDOR[-1]}
    assert last_s >= (calls / tokens - 2) * 0.2
