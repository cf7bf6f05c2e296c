"""Later events through the steps: the difference is given, what jitprov gave and nobody wants is taken, no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NINE_AM, a_phone, a_profile, a_provisioning, a_skill, a_wanted_state
from fake_organization import Agent, FakeOrganization, a_kit
from jitprov.domain import provisioning as moves
from jitprov.domain.agent import MediaShare, Place, RatedLanguage, RoleGrant, WantedState
from jitprov.domain.events import Kind
from jitprov.domain.given import Given, Memory, to_be_given
from jitprov.domain.provisioning import Findings, Provisioning, Step, StepRecord
from jitprov.errors import AgentGone, ProfileIncomplete, Unavailable
from jitprov.pipeline import steps

RETAIL, BILLING = a_skill("Customer_Service"), a_skill("Billing")


@pytest.fixture
def org() -> FakeOrganization:
    found = FakeOrganization()
    found.wanted = lambda _: WantedState(("Promoted",), skills=(BILLING,))
    return found


def a_record(agent: Agent, step: Step, kind: Kind = Kind.CHANGE, **found: Any) -> Provisioning:
    record = a_provisioning(user_id=agent.profile.user_id, step=step, kind=kind)
    held = {**record.steps, step: record.steps.get(step, StepRecord())}
    findings = Findings(**({"profile": agent.profile} | found))
    return moves.begin(replace(record, findings=findings, steps=held), NINE_AM, 1)


def remembering(org: FakeOrganization, given: Given = Given(), perhaps: Given = Given()) -> Any:  # noqa: B008
    return a_kit(org, memory=Memory(given=given, perhaps=perhaps), now=NINE_AM)


# --- what is too much -------------------------------------------------------------------------------------------
def test_only_what_jitprov_gave_is_too_much(org: FakeOrganization) -> None:
    """Of two skills that the rules do not give, the one that jitprov gave goes, the one made by hand stays."""
    agent = org.add(a_profile(skills=(RETAIL, a_skill("By_Hand"))))

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS), remembering(org, Given(skills=(RETAIL,))))

    assert found.to_take == Given(skills=(RETAIL,))


def test_what_was_in_doubt_and_is_there_is_too_much(org: FakeOrganization) -> None:
    """What was about to be given when a worker died, and is there, counts as jitprov's; what is not there does not."""
    agent = org.add(a_profile(skills=(RETAIL,)))
    doubt = Given(skills=(RETAIL, a_skill("Order_Tracking")))

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS), remembering(org, perhaps=doubt))

    assert found.to_take == Given(skills=(RETAIL,))


def test_replacing_takes_skills_by_itself(org: FakeOrganization) -> None:
    """In replace mode the one PUT takes what is too much, by hand or not; the memory hears what of it was jitprov's."""
    wanted = WantedState(("Promoted",), "replace", skills=(BILLING,))
    org.wanted = lambda _: wanted
    agent = org.add(a_profile(skills=(RETAIL, a_skill("By_Hand"))))
    kit = remembering(org, Given(skills=(RETAIL,)))

    assert not steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS), kit).to_take
    found = steps.patch_skills(a_record(agent, Step.PATCH_SKILLS, wanted=wanted), kit)
    assert found.given.skills == (BILLING,)
    assert found.taken.skills == (RETAIL,)
    assert org.names() == ["put_routing_skills"]


@pytest.mark.parametrize("state", ["inactive", "deleted"])
@pytest.mark.parametrize("release", [True, False])
def test_who_left_gives_up_the_phone_if_the_rules_say_so(org: FakeOrganization, state: str, release: bool) -> None:
    """A deleted or deactivated agent is given nothing; the phone that jitprov made goes if the rules want it to."""
    org.release_phone = release
    agent = org.add(a_profile(state=state, department="Nobody knows"))
    given = Given(skills=(RETAIL,), phone=a_phone(), station_id="s1")

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS), remembering(org, given))

    assert found.to_take == (Given(phone=given.phone, station_id="s1") if release else Given())
    assert found.wanted == WantedState(phone=False, rules_version="v1")


def test_a_new_agent_who_is_inactive_is_provisioned(org: FakeOrganization) -> None:
    """A user who was just created inactive has not left."""
    agent = org.add(a_profile(state="inactive"))

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS, Kind.NEW), remembering(org))

    assert found.wanted is not None
    assert found.wanted.skills == (BILLING,)


def test_a_deleted_agent_is_read_for_a_change_and_not_for_a_beginning(org: FakeOrganization) -> None:
    """What jitprov made for somebody who was deleted can be released; there is nobody to begin with."""
    agent = org.add(a_profile(state="deleted"))

    assert steps.fetch_profile(a_record(agent, Step.FETCH_PROFILE), remembering(org)).profile == agent.profile
    with pytest.raises(AgentGone):
        steps.fetch_profile(a_record(agent, Step.FETCH_PROFILE, Kind.NEW), remembering(org))


# --- roles and queues -------------------------------------------------------------------------------------------
ASKING = a_wanted_state(roles=(RoleGrant("Agent", "", "r1", "d1"),), queues=(Place("Calls", "q1"),))


def test_roles_and_queues_there_before_are_not_given(org: FakeOrganization) -> None:
    """Of an agent who is not new, roles and queues are looked for before they are given: what is there is not ours."""
    org.wanted, org.roles, org.queues = lambda _: ASKING, frozenset({("r1", "d1")}), frozenset({"q2"})
    agent = org.add()

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS), remembering(org))
    gave = steps.grant_access(
        a_record(agent, Step.GRANT_ACCESS, profile=found.profile, wanted=found.wanted), remembering(org)
    )

    assert org.names()[:2] == ["grants_of", "queues_of"]
    assert gave.given == Given(queues=(Place("Calls", "q1"),))


@pytest.mark.parametrize("kind", [Kind.NEW, Kind.CHANGE])
def test_nobody_looks_in_vain(org: FakeOrganization, kind: Kind) -> None:
    """A new agent is not looked at, nor one to whom jitprov gave all of it: neither costs a call."""
    org.wanted = lambda _: ASKING
    given = Given() if kind is Kind.NEW else Given(roles=ASKING.roles, queues=ASKING.queues)

    steps.resolve_skills(
        a_record(org.add(a_profile(held_role_ids=())), Step.RESOLVE_SKILLS, kind), remembering(org, given)
    )

    assert org.calls == []


@pytest.mark.parametrize(("held", "calls"), [(("r1",), []), (None, ["grants_of"])])
def test_a_new_agents_roles_of_before_are_not_given(
    org: FakeOrganization, held: tuple[str, ...] | None, calls: list[str]
) -> None:
    """A role that a new agent has already is not ours; where the profile leaves roles out, one look tells."""
    org.wanted, org.roles = lambda _: ASKING, frozenset({("r1", "d1")})
    agent = org.add(a_profile(held_role_ids=held))

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS, Kind.NEW), remembering(org))
    assert found.wanted
    assert found.profile

    assert org.names() == calls
    assert to_be_given(found.wanted, found.profile).roles == ()


# --- phone and utilization --------------------------------------------------------------------------------------
def test_the_phone_is_kept_without_a_call(org: FakeOrganization) -> None:
    """An agent at the station of the phone that jitprov made keeps it: no look, no new phone, no new station."""
    phone = a_phone()
    agent = org.add(a_profile(default_station_id="s1"))
    kit = remembering(org, Given(phone=phone, station_id="s1"))

    made = steps.create_phone(a_record(agent, Step.CREATE_PHONE, wanted=a_wanted_state()), kit)
    found = steps.assign_station(
        a_record(agent, Step.ASSIGN_STATION, phone=made.phone, station_id=made.station_id), kit
    )

    assert (found.phone, found.station_id) == (phone, "s1")
    assert org.calls == []


def test_a_later_event_never_makes_a_second_phone(org: FakeOrganization) -> None:
    """Whoever is not new is looked at before a phone is made, at the first attempt too, whatever the memory holds."""
    agent = org.add()
    agent.phones.append(a_phone())

    made = steps.create_phone(a_record(agent, Step.CREATE_PHONE, wanted=a_wanted_state()), remembering(org))

    assert made.phone == agent.phones[0]
    assert org.names() == ["find_phones"]
    assert not made.given, "a phone of another name was there before"


def test_utilization_given_before_costs_no_call(org: FakeOrganization) -> None:
    """The same utilization is not sent again."""
    shares = (MediaShare("call", 2, ()),)
    agent = org.add()
    record = a_record(agent, Step.SET_UTILIZATION, wanted=a_wanted_state(utilization=shares))

    assert steps.set_utilization(record, remembering(org, Given(utilization=shares))).utilization == "own"
    assert org.calls == []


# --- taking away ------------------------------------------------------------------------------------------------
def test_everything_given_is_taken_once(org: FakeOrganization) -> None:
    """Each thing costs a call, and only what the profile shows to be there; the phone goes last."""
    agent = org.add(a_profile(skills=(RETAIL,), group_ids=("g1",), division_id="d2"))
    things = Given(
        skills=(RETAIL, BILLING),
        languages=(RatedLanguage("German", 1.0, "l1"),),
        roles=ASKING.roles,
        groups=(Place("Team", "g1"), Place("Left", "g2")),
        queues=ASKING.queues,
        division=Place("Season", "d2"),
        division_before=Place("Home", "d1"),
        utilization=(MediaShare("call", 2),),
        phone=a_phone(),
        station_id="s1",
    )

    found = steps.take_away(a_record(agent, Step.TAKE_AWAY, to_take=things), remembering(org))

    assert found.taken == things
    assert [call for call in org.calls if call != ("hold",)] == [
        ("remove_from_queue", "q1"),
        ("remove_from_group", "g1"),
        ("revoke_roles", "r1"),
        ("remove_skill", RETAIL.skill_id),
        ("reset_utilization",),
        ("move_back", "d1"),
        ("remove_phone", things.phone.phone_id if things.phone else ""),
    ]
    assert org.names().count("hold") == 7


def test_of_a_deleted_agent_only_the_phone_is_taken(org: FakeOrganization) -> None:
    """A user who is gone has nothing else to lose, and every call about them would be refused."""
    agent = org.add(a_profile(state="deleted", skills=(RETAIL,)))
    things = Given(skills=(RETAIL,), roles=ASKING.roles, phone=a_phone())

    steps.take_away(a_record(agent, Step.TAKE_AWAY, to_take=things), remembering(org))

    assert org.names() == ["hold", "remove_phone"]


def test_taking_begins_again_after_a_crash(org: FakeOrganization) -> None:
    """Interrupted anywhere and begun again, everything is taken in the end, and nothing twice makes no difference."""
    agent = org.add(a_profile(skills=(RETAIL, BILLING)))
    agent.skills = {RETAIL.skill_id: 1.0, BILLING.skill_id: 1.0, "by-hand": 1.0}
    record = a_record(agent, Step.TAKE_AWAY, to_take=Given(skills=(RETAIL, BILLING)))

    def lost(name: str, apply: Any) -> Any:
        apply()
        raise Unavailable("the answer was lost")

    org.meddle = lost
    with pytest.raises(Unavailable):
        steps.take_away(record, remembering(org))
    org.meddle = lambda _, apply: apply()
    steps.take_away(record, remembering(org))

    assert agent.skills == {"by-hand": 1.0}


@pytest.mark.parametrize(
    ("mode", "kind", "named", "taken"),
    [
        ("replace", Kind.CHANGE, True, ("q2",)),
        ("replace", Kind.RETURN, True, ("q2",)),
        ("merge", Kind.CHANGE, True, ()),
        ("replace", Kind.CHANGE, False, ()),
        ("replace", Kind.NEW, True, ()),
    ],
)
def test_replacing_takes_queues_made_by_hand_where_rules_name_queues(
    org: FakeOrganization, mode: Any, kind: Kind, named: bool, taken: tuple[str, ...]
) -> None:
    """A queue beyond the rules goes in replace mode alone, where they name any, and of nobody who is new."""
    queues = (Place("Calls", "q1"),) if named else ()
    org.wanted = lambda _: WantedState(("Promoted",), mode, skills=(BILLING,), queues=queues)
    org.queues = frozenset({"q1", "q2"})
    agent = org.add(a_profile(skills=(BILLING,)))

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS, kind), remembering(org))

    assert found.to_take == Given(queues=tuple(Place(each, each) for each in taken))
    assert ("spare_queues" in org.names()) == bool(taken)


# --- cleanup and undo -------------------------------------------------------------------------------------------
def test_a_cleanup_takes_what_was_ordered_and_is_jitprovs(org: FakeOrganization) -> None:
    """What was ordered and is not jitprov's (any more) is left, and so is what was not ordered; nothing is given."""
    agent = org.add(a_profile(skills=(RETAIL, BILLING)))
    record = a_record(agent, Step.RESOLVE_SKILLS, Kind.CLEANUP, order=Given(skills=(RETAIL, a_skill("By_Hand"))))

    found = steps.resolve_skills(record, remembering(org, Given(skills=(RETAIL, BILLING))))

    assert found.to_take == Given(skills=(RETAIL,))
    assert found.wanted == WantedState(phone=False, rules_version="v1")


def test_an_undo_gives_back_what_was_ordered(org: FakeOrganization) -> None:
    """What was taken is wanted again, by its ids, whatever the rules say now; nothing is taken."""
    agent = org.add()
    order = Given(skills=(RETAIL,), roles=ASKING.roles, phone=a_phone(), station_id="s1")

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS, Kind.UNDO, order=order), remembering(org))

    assert found.wanted == WantedState(skills=(RETAIL,), roles=ASKING.roles, phone=True)
    assert not found.to_take


# --- not filled in yet ------------------------------------------------------------------------------------------
BARE = {"department": "", "title": " "}


def test_a_profile_not_filled_in_waits(org: FakeOrganization) -> None:
    """Without department and title a new agent waits for what is left of the bounded time, in API seconds."""
    org.looks_at_department_or_title = True
    agent = org.add(a_profile(**BARE))
    kit = a_kit(org, now=NINE_AM + timedelta(seconds=10), profile_wait_max_s=600.0, time_scale=8.0)

    with pytest.raises(ProfileIncomplete) as waits:
        steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS, Kind.NEW), kit)

    assert waits.value.wait_s == 520.0


@pytest.mark.parametrize(
    ("changes", "wait_max_s", "looks", "kind"),
    [
        ({"title": "Agent"}, 600.0, True, Kind.NEW),
        ({}, 10.0, True, Kind.NEW),
        ({}, 600.0, False, Kind.NEW),
        ({}, 600.0, True, Kind.CHANGE),
    ],
)
def test_nobody_waits_longer_than_it_helps(
    org: FakeOrganization, changes: dict[str, str], wait_max_s: float, looks: bool, kind: Kind
) -> None:
    """With a title, once the time is over, where rules look at neither, or later on: the rules decide at once."""
    org.looks_at_department_or_title = looks
    agent = org.add(a_profile(**(BARE | changes)))
    kit = a_kit(org, now=NINE_AM + timedelta(seconds=10), profile_wait_max_s=wait_max_s)

    assert steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS, kind), kit).wanted is not None


def test_after_a_wait_the_profile_is_read_again(org: FakeOrganization) -> None:
    """What was filled in meanwhile is seen."""
    agent = org.add()
    record = a_record(agent, Step.RESOLVE_SKILLS, Kind.NEW)
    held = replace(record.steps[Step.RESOLVE_SKILLS], waited_s=520.0)

    steps.resolve_skills(replace(record, steps={**record.steps, Step.RESOLVE_SKILLS: held}), remembering(org))

    assert org.names() == ["fresh_profile_of"]
