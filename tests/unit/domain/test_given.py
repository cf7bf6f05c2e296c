from __future__ import annotations

from dataclasses import replace

from builders import NINE_AM, a_phone, a_profile, a_provisioning, a_skill, a_wanted_state
from jitprov.domain import provisioning as moves
from jitprov.domain.agent import MediaShare, Place, RatedLanguage, RoleGrant
from jitprov.domain.given import Given, Memory, settled, surplus, to_be_given
from jitprov.domain.provisioning import Findings, Provisioning, Step
from jitprov.domain.remembering import after_step

RETAIL, ORDERS = a_skill("Customer_Service"), a_skill("Order_Tracking")
AGENT = RoleGrant("Agent", "", "r1", "d1")
EVERYTHING = Given(
    skills=(RETAIL,),
    languages=(RatedLanguage("German", 3.0, "l1"),),
    roles=(AGENT,),
    groups=(Place("Team", "g1"),),
    queues=(Place("Calls", "q1"),),
    division=Place("Season", "d2"),
    division_before=Place("Home", "d1"),
    utilization=(MediaShare("call", 1),),
    phone=a_phone(),
    station_id="s1",
)


def test_what_was_there_is_not_to_be_given() -> None:
    """Of what is wanted, only what the profile lacks is about to be given, however it is rated."""
    profile = a_profile(
        skills=(replace(RETAIL, proficiency=3.0),), group_ids=("g1",), division_id="d1", division="Home"
    )
    wanted = a_wanted_state(
        skills=(RETAIL, ORDERS), groups=(Place("Team", "g1"), Place("Floor", "g2")), division=Place("Season", "d2")
    )

    lacked = to_be_given(wanted, profile)

    assert lacked == Given(
        skills=(ORDERS,),
        groups=(Place("Floor", "g2"),),
        division=Place("Season", "d2"),
        division_before=Place("Home", "d1"),
    )


def test_nothing_is_left_of_what_is_taken_away() -> None:
    """Everything less everything is nothing, and nothing more than that."""
    assert not (EVERYTHING - EVERYTHING)
    assert EVERYTHING - Given() == EVERYTHING == Given() + EVERYTHING == EVERYTHING + Given()


def test_moved_twice_the_first_place_stays() -> None:
    """After two moves, where the agent goes back to is where they were before the first."""
    first = Given(division=Place("B", "b"), division_before=Place("A", "a"))
    then = Given(division=Place("C", "c"), division_before=Place("B", "b"))

    assert first + then == Given(division=Place("C", "c"), division_before=Place("A", "a"))


def test_surplus_is_given_less_wanted_and_never_the_phone() -> None:
    """What the rules no longer give is too much; the phone is kept, and another division is a move, not a way back."""
    unwanted = surplus(EVERYTHING, a_wanted_state(skills=(ORDERS,), division=Place("Other", "d3")))

    assert unwanted == replace(EVERYTHING, phone=None, station_id="", division=None, division_before=None)
    assert surplus(EVERYTHING, a_wanted_state(skills=(RETAIL,))).skills == ()


def test_after_a_crash_what_is_there_was_given() -> None:
    """Of what was about to be given, what the profile shows counts as given; what it lacks was never given."""
    memory = Memory(perhaps=Given(skills=(RETAIL, ORDERS), roles=(AGENT,)))

    assert settled(memory, a_profile(skills=(RETAIL,))) == Given(skills=(RETAIL,), roles=(AGENT,))


def _at(step: Step, findings: Findings) -> Provisioning:
    record = a_provisioning(step=step)
    return replace(record, findings=findings)


def test_the_memory_follows_the_steps() -> None:
    """What is about to be given is remembered before anything is sent, what was given once the step has said so."""
    profile, wanted = a_profile(skills=(RETAIL,)), a_wanted_state(skills=(RETAIL, ORDERS))
    before = _at(Step.RESOLVE_SKILLS, Findings(profile=profile))
    resolved = moves.advance(before, NINE_AM, Findings(profile=profile, wanted=wanted))
    planned = after_step(Memory(), before, resolved, NINE_AM)
    done = moves.advance(resolved, NINE_AM, replace(resolved.findings, given=Given(skills=(ORDERS,))))
    after = after_step(planned, resolved, done, NINE_AM)

    assert planned == Memory(perhaps=Given(skills=(ORDERS,)))
    assert after == Memory(given=Given(skills=(ORDERS,)), department=profile.department, given_at=NINE_AM)


def test_a_step_that_failed_claims_nothing() -> None:
    """What was about to be given stays so when its step fails: it may have been given, and is looked for next time."""
    profile, wanted = a_profile(), a_wanted_state(skills=(ORDERS,))
    record = _at(Step.PATCH_SKILLS, Findings(profile=profile, wanted=wanted))
    planned = Memory(perhaps=Given(skills=(ORDERS,)))

    assert after_step(planned, record, replace(record, state=moves.State.FAILED), NINE_AM) == planned


def test_a_ready_agent_is_about_to_be_given_nothing() -> None:
    """At the end nothing is in doubt any more."""
    found = Findings(profile=a_profile(), wanted=a_wanted_state(), phone=a_phone())
    record = _at(Step.ASSIGN_STATION, found)
    ready = moves.advance(record, NINE_AM, found)

    assert after_step(Memory(perhaps=Given(skills=(ORDERS,))), record, ready, NINE_AM) == Memory()
