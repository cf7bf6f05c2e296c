"""Steps as plain functions: which calls they make, in which order, and which they spare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from builders import a_phone, a_profile, a_provisioning, a_skill, a_wanted_state
from fake_organization import Agent, FakeOrganization, a_kit
from jitprov.domain import provisioning as moves
from jitprov.domain.agent import (
    Granted,
    MediaShare,
    Phone,
    Place,
    RatedLanguage,
    RatedSkill,
    WantedState,
)
from jitprov.domain.provisioning import CORRIDOR, EVERY_STEP, Findings, Provisioning, Step, StepRecord
from jitprov.errors import (
    AgentGone,
    LeaseLost,
    NotYetConsistent,
    OutcomeUnknown,
    Refused,
    SkillUnknown,
    StationLate,
    StepError,
)
from jitprov.genesys.payloads import phone_name
from jitprov.pipeline import steps
from jitprov.pipeline.steps import STEPS


@pytest.fixture
def org() -> FakeOrganization:
    return FakeOrganization()


@pytest.fixture
def agent(org: FakeOrganization) -> Agent:
    return org.add()


def a_record(agent: Agent, step: Step, *, attempts: int = 1, generation: int = 1, **changes: Any) -> Provisioning:
    """Return a provisioning whose `step` has begun its attempt number `attempts`."""
    values: dict[str, Any] = {
        "profile": agent.profile,
        "wanted": a_wanted_state(skills=(a_skill(),)),
        "phone": agent.phones[0] if agent.phones else None,
    } | changes
    findings = Findings(**values)
    record = a_provisioning(user_id=agent.profile.user_id, step=step, generation=generation, findings=findings)
    record = replace(record, steps={**record.steps, step: record.steps.get(step, StepRecord())})
    return moves.begin(record, record.accepted_at, attempts)


def snoozed(record: Provisioning, waited_s: float) -> Provisioning:
    held = replace(record.steps[record.step], waited_s=waited_s)
    return replace(record, steps={**record.steps, record.step: held})


def with_phone(org: FakeOrganization) -> Agent:
    agent = org.add()
    agent.phones.append(a_phone())
    return agent


def test_every_step_of_the_corridor_has_its_function() -> None:
    """No step is without a function, and each is called as its step."""
    assert tuple(STEPS) == EVERY_STEP
    assert [function.__name__ for function in STEPS.values()] == [str(step) for step in EVERY_STEP]


# --- fetch_profile ------------------------------------------------------------------------------------------
def test_fetching_keeps_the_profile(org: FakeOrganization, agent: Agent) -> None:
    """The profile found is kept, together with what was found before."""
    record = a_record(agent, Step.FETCH_PROFILE, profile=None)

    found = steps.fetch_profile(record, a_kit(org))

    assert found == replace(record.findings, profile=agent.profile)
    assert org.calls == [("profile_of", agent.profile.user_id)]


@pytest.mark.parametrize("step", [Step.FETCH_PROFILE, Step.RESOLVE_SKILLS])
def test_a_deleted_user_is_nobody_to_provision(org: FakeOrganization, step: Step) -> None:
    """A user who was deleted meanwhile ends the provisioning, at the first read and at a later one."""
    agent = org.add(a_profile(state="deleted"))

    with pytest.raises(AgentGone):
        STEPS[step](a_record(agent, step, generation=2), a_kit(org))


def test_an_inactive_user_is_provisioned(org: FakeOrganization) -> None:
    """Only deletion ends a provisioning; an inactive user may become active any time."""
    agent = org.add(a_profile(state="inactive"))

    assert steps.fetch_profile(a_record(agent, Step.FETCH_PROFILE), a_kit(org)).profile == agent.profile


# --- resolve_skills -----------------------------------------------------------------------------------------
def test_resolving_gives_every_wanted_skill_its_id(org: FakeOrganization, agent: Agent) -> None:
    """The rules' skills come out with ids, in their order, everything else of the wanted state kept, at no call."""
    org.wanted = lambda _: WantedState(
        ("r",), "replace", (RatedSkill("Billing", 2.0), RatedSkill("Order_Tracking", 1.0))
    )

    found = steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS, wanted=None), a_kit(org))

    assert found.wanted == WantedState(
        ("r",), "replace", (a_skill("Billing", 2.0), a_skill("Order_Tracking", 1.0)), phone=True
    )
    assert found.profile == agent.profile
    assert org.calls == []


def test_resolving_again_after_a_retry_reads_the_profile_anew(org: FakeOrganization, agent: Agent) -> None:
    """An operator's retry sees what was mended in the profile: the rules judge the profile as it is now."""
    record = a_record(agent, Step.RESOLVE_SKILLS, generation=2)
    agent.profile = replace(agent.profile, department="Mended")
    judged = []
    org.wanted = lambda profile: judged.append(profile.department) or WantedState()

    found = steps.resolve_skills(record, a_kit(org))

    assert judged == ["Mended"]
    assert found.profile == agent.profile
    assert org.calls == [("fresh_profile_of", agent.profile.user_id)]


def test_a_skill_that_the_organization_lacks_ends_it(org: FakeOrganization, agent: Agent) -> None:
    """An unknown skill in the rules says at which line of them it stands, where they come from a file."""
    org.wanted = lambda _: WantedState(skills=(RatedSkill("Nonesuch", 1.0),))

    with pytest.raises(SkillUnknown, match="Nonesuch") as shipped:
        steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS), a_kit(org))
    org.rule_lines = {"Customer_Service": 3, "Nonesuch": 12}
    with pytest.raises(SkillUnknown, match="Nonesuch") as own:
        steps.resolve_skills(a_record(agent, Step.RESOLVE_SKILLS), a_kit(org))

    assert "mend rules.yaml (the workers" in shipped.value.remedy
    assert "mend rules.yaml line 12 (the workers" in own.value.remedy


# --- patch_skills -------------------------------------------------------------------------------------------
def test_only_what_is_missing_is_sent(org: FakeOrganization) -> None:
    """Merging sends the skills that differ in one call, and leaves what else the agent has."""
    agent = org.add(a_profile(skills=(a_skill("Billing"), a_skill("Order_Tracking", 5.0))))
    wanted = a_wanted_state(skills=(a_skill("Billing"), a_skill("Order_Tracking", 1.0)))

    steps.patch_skills(a_record(agent, Step.PATCH_SKILLS, wanted=wanted), a_kit(org))

    assert org.calls == [("patch_routing_skills", agent.profile.user_id, {"id-of-Order_Tracking": 1.0})]


def test_replacing_sends_the_whole_list(org: FakeOrganization) -> None:
    """Replacing puts exactly the wanted skills."""
    agent = org.add(a_profile(skills=(a_skill("Billing"), a_skill())))
    wanted = a_wanted_state(mode="replace", skills=(a_skill(),))

    steps.patch_skills(a_record(agent, Step.PATCH_SKILLS, wanted=wanted), a_kit(org))

    assert org.calls == [("put_routing_skills", agent.profile.user_id, {a_skill().skill_id: 1.0})]


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_no_call_is_made_when_nothing_would_change(org: FakeOrganization, mode: str) -> None:
    """An agent who has the wanted skills costs no call."""
    agent = org.add(a_profile(skills=(a_skill(),)))
    record = a_record(agent, Step.PATCH_SKILLS, wanted=a_wanted_state(mode=mode, skills=(a_skill(),)))

    assert steps.patch_skills(record, a_kit(org)) == record.findings
    assert org.calls == []


def test_replacing_by_nothing_takes_all_skills_away(org: FakeOrganization) -> None:
    """Rules that leave an agent no skills in replace mode are obeyed, when the agent holds some."""
    agent = org.add(a_profile(skills=(a_skill(),)))
    record = a_record(agent, Step.PATCH_SKILLS, wanted=a_wanted_state(mode="replace", skills=()))

    steps.patch_skills(record, a_kit(org))

    assert org.calls == [("put_routing_skills", agent.profile.user_id, {})]


@pytest.mark.parametrize("refusal", [Refused("400", http_status=400), NotYetConsistent("404", http_status=404)])
def test_skills_made_anew_since_are_sent_by_their_new_ids(
    org: FakeOrganization, agent: Agent, refusal: StepError
) -> None:
    """When the API does not take the skills, they are resolved again, and sent once more if their ids have changed."""
    record = a_record(agent, Step.PATCH_SKILLS)
    org.known_skills["Customer_Service"] = "its new id"

    def refuses_the_old(name: str, apply: Callable[[], Any]) -> Any:
        if name == "patch_routing_skills" and "its new id" not in org.calls[-1][2]:
            raise refusal
        return apply()

    org.meddle = refuses_the_old

    found = steps.patch_skills(record, a_kit(org))

    assert agent.skills == {"its new id": 1.0}
    assert found.wanted is not None
    assert [skill.skill_id for skill in found.wanted.skills] == ["its new id"]
    assert org.names() == ["patch_routing_skills", "forget_skills", "patch_routing_skills"]


def test_skills_that_are_refused_for_another_reason_stay_refused(org: FakeOrganization, agent: Agent) -> None:
    """When nothing has changed about the skills, nothing is sent again, and the API's refusal is what is told."""

    def refuses(name: str, _: Callable[[], Any]) -> Any:
        raise Refused(name, http_status=400)

    org.meddle = refuses

    with pytest.raises(Refused, match="patch_routing_skills"):
        steps.patch_skills(a_record(agent, Step.PATCH_SKILLS), a_kit(org))

    assert org.names() == ["patch_routing_skills", "forget_skills"]


# --- create_phone -------------------------------------------------------------------------------------------
def test_the_first_attempt_creates_without_a_look(org: FakeOrganization, agent: Agent) -> None:
    """For a new agent the phone costs one call, made right after the lease was found to be held."""
    found = steps.create_phone(a_record(agent, Step.CREATE_PHONE), a_kit(org))

    assert found.phone == agent.phones[0]
    assert org.names() == ["phone_setup", "hold", "create_phone"]


@pytest.mark.parametrize(("attempts", "generation"), [(2, 1), (7, 1), (1, 2), (3, 2)])
def test_any_later_attempt_looks_before_it_creates(
    org: FakeOrganization, agent: Agent, attempts: int, generation: int
) -> None:
    """Whenever an earlier attempt may have gone through, a look comes before the create."""
    steps.create_phone(a_record(agent, Step.CREATE_PHONE, attempts=attempts, generation=generation), a_kit(org))

    assert org.names() == ["find_phones", "phone_setup", "hold", "create_phone"]


@pytest.mark.parametrize(("attempts", "generation"), [(2, 1), (1, 2)])
def test_a_phone_that_is_found_is_taken(org: FakeOrganization, attempts: int, generation: int) -> None:
    """A phone that an uncertain attempt made is used, and none is created."""
    agent = with_phone(org)
    record = a_record(agent, Step.CREATE_PHONE, attempts=attempts, generation=generation, phone=None)

    found = steps.create_phone(record, a_kit(org))

    assert found.phone == agent.phones[0]
    assert org.names() == ["find_phones"]


def test_an_agent_with_a_default_station_is_looked_at_first(org: FakeOrganization) -> None:
    """Somebody who has a station already probably has a phone: even the first attempt looks."""
    agent = with_phone(org)
    agent.profile = replace(agent.profile, default_station_id="a station")

    found = steps.create_phone(a_record(agent, Step.CREATE_PHONE, phone=None), a_kit(org))

    assert found.phone == agent.phones[0]
    assert org.names() == ["find_phones"]


def test_a_station_without_a_phone_still_gets_one(org: FakeOrganization) -> None:
    """A default station that is no WebRTC phone's does not stand in for one."""
    agent = org.add(a_profile(default_station_id="a desk's"))

    assert steps.create_phone(a_record(agent, Step.CREATE_PHONE), a_kit(org)).phone == agent.phones[0]


def test_no_phone_is_made_for_who_needs_none(org: FakeOrganization, agent: Agent) -> None:
    """Where the rules say no phone, neither this step nor the next makes a call."""
    record = a_record(agent, Step.CREATE_PHONE, wanted=a_wanted_state(phone=False))
    found = steps.create_phone(record, a_kit(org))
    after = steps.assign_station(replace(record, step=Step.ASSIGN_STATION, findings=found), a_kit(org))

    assert (found, after) == (record.findings, record.findings)
    assert org.calls == []


def test_nothing_is_created_once_the_lease_is_lost(org: FakeOrganization, agent: Agent) -> None:
    """A worker whose lease ran out while it prepared creates nothing."""

    def lost() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        steps.create_phone(a_record(agent, Step.CREATE_PHONE), a_kit(org, hold=lost))

    assert agent.phones == []
    assert "create_phone" not in org.names()


def test_a_create_whose_answer_was_lost_is_not_repeated(org: FakeOrganization, agent: Agent) -> None:
    """After an uncertain create the next attempt finds the phone, so there is one."""

    def lose(name: str, apply: Any) -> Any:
        found = apply()
        if name == "create_phone":
            raise OutcomeUnknown("silence")
        return found

    org.meddle = lose
    with pytest.raises(OutcomeUnknown):
        steps.create_phone(a_record(agent, Step.CREATE_PHONE), a_kit(org))
    found = steps.create_phone(a_record(agent, Step.CREATE_PHONE, attempts=2, phone=None), a_kit(org))

    assert [found.phone] == agent.phones


# --- assign_station -----------------------------------------------------------------------------------------
def assigned(org: FakeOrganization, agent: Agent, *, waited_s: float = 0.0, **changes: Any) -> str | None:
    """Run the step after it has waited for so long."""
    record = snoozed(a_record(agent, Step.ASSIGN_STATION), waited_s)
    return steps.assign_station(record, a_kit(org, **changes)).station_id


@pytest.mark.parametrize(("attempts", "left"), [(1, 2), (2, 1)])
def test_a_second_phone_is_looked_for_where_there_may_be_one(org: FakeOrganization, attempts: int, left: int) -> None:
    """Where the phone took two attempts, one that came to light since is deleted; elsewhere no call is spent."""
    agent = with_phone(org)
    ours = phone_name(agent.profile)
    agent.phones.append(Phone("second", "its line", ours))
    record = a_record(agent, Step.ASSIGN_STATION)
    create = replace(record.steps[Step.CREATE_PHONE], attempts=attempts)

    steps.assign_station(
        replace(record, steps={**record.steps, Step.CREATE_PHONE: create}), a_kit(org, station_source="line_id")
    )

    assert len(agent.phones) == left
    assert agent.phones[0] == record.findings.phone
    assert ("find_phones" in org.names()) == (attempts > 1)


def waits_s(org: FakeOrganization, agent: Agent, *, waited_s: float = 0.0, **changes: Any) -> float:
    """Run the step, which finds no station yet, and return how long it wants to wait."""
    with pytest.raises(StationLate) as caught:
        assigned(org, agent, waited_s=waited_s, **changes)
    return caught.value.wait_s


def test_a_listing_is_not_asked_before_it_can_know(org: FakeOrganization) -> None:
    """A look right after the phone was made would be a call for nothing: the step waits first, at no call."""
    agent = with_phone(org)

    assert waits_s(org, agent, station_source="lookup") == 6.0
    assert waits_s(org, agent, station_source="lookup", waited_s=4.0) == 2.0
    assert org.calls == []


def test_the_first_look_comes_when_stations_were_found_before(org: FakeOrganization) -> None:
    """An agent waits as long as the stations of others took, not as long as somebody guessed."""
    agent = with_phone(org)
    org.lore.looked("lookup", after_s=6.0, found=False)

    assert waits_s(org, agent, station_source="lookup") == pytest.approx(8.4)
    assert waits_s(org, agent, station_source="lookup", waited_s=6.0) == pytest.approx(2.4)


def test_who_wants_no_first_wait_gets_none(org: FakeOrganization) -> None:
    """With a first wait of zero the first look comes at once."""
    agent = with_phone(org)

    assert assigned(org, agent, station_source="lookup", stations=org.new_lore(station_first_look_s=0.0))


def test_by_line_id_one_call_is_enough(org: FakeOrganization) -> None:
    """Where a line's id is its station's id the station is set in one call."""
    agent = with_phone(org)

    assert assigned(org, agent, station_source="line_id") == agent.phones[0].line_id == agent.default_station
    assert org.names() == ["set_default_station"]


def test_by_line_id_a_late_station_is_waited_for(org: FakeOrganization) -> None:
    """A station that does not exist yet is asked for again, and the next agents give theirs more time."""
    agent = with_phone(org)
    org.stations_late = True

    assert waits_s(org, agent, station_source="line_id") == 1.0
    assert org.names() == ["set_default_station"]
    assert org.lore.wait_s("line_id") == 1.4
    assert waits_s(org, agent, station_source="line_id") == 1.4
    assert org.names() == ["set_default_station"]


def test_who_is_told_to_use_line_ids_never_looks_up(org: FakeOrganization) -> None:
    """`line_id` is an order: a station that stays away is waited for, and never looked up."""
    agent = with_phone(org)
    org.stations_late = True

    waits_s(org, agent, station_source="line_id", waited_s=50.0)

    assert org.names() == ["set_default_station"]


def test_by_lookup_the_station_found_is_set(org: FakeOrganization) -> None:
    """Where the ids differ the station is looked up and set."""
    org.line_id_is_station_id = False
    agent = with_phone(org)

    station_id = assigned(org, agent, waited_s=6.0, station_source="lookup")

    assert station_id == agent.default_station == org.station_of(agent.phones[0])
    assert org.names() == ["find_station", "set_default_station"]
    assert org.lore.source() is None


def test_looks_in_vain_come_at_growing_distances(org: FakeOrganization) -> None:
    """A station that never comes costs few calls until its agent's patience is over."""
    agent = with_phone(org)
    org.stations_late = True
    waited_s = waits_s(org, agent, station_source="lookup")

    while waited_s < 300:
        waited_s += waits_s(org, agent, waited_s=waited_s, station_source="lookup")

    assert org.names().count("find_station") <= 10
    assert "set_default_station" not in org.names()
    assert org.lore.wait_s("lookup") == pytest.approx(8.4)


@pytest.mark.parametrize("source", ["lookup", "auto"])
def test_a_station_that_cannot_be_set_yet_is_tried_again(org: FakeOrganization, source: str) -> None:
    """A station that is listed but refused is an inconsistency of the moment and spends an attempt."""
    org.line_id_is_station_id = False
    agent = with_phone(org)
    org.meddle = lambda name, apply: False if name == "set_default_station" else apply()

    with pytest.raises(NotYetConsistent):
        assigned(org, agent, waited_s=6.0, station_source=source)

    assert agent.default_station == ""


@pytest.mark.parametrize("source", ["line_id", "lookup"])
def test_what_was_learned_is_used(org: FakeOrganization, source: Any) -> None:
    """Once it is known where station ids come from, automatic and told behave alike."""
    agent = with_phone(org)
    org.lore.learn(source)

    assigned(org, agent, waited_s=6.0)

    wanted = {"line_id": ["set_default_station"], "lookup": ["find_station", "set_default_station"]}
    assert org.names() == wanted[source]


def test_that_a_line_id_is_a_station_id_is_found_out_by_one_call(org: FakeOrganization) -> None:
    """One agent tries, and looks at the effect a moment later; the others wait for it and pay nothing."""
    first, second = with_phone(org), with_phone(org)

    assert waits_s(org, first) == 2.0
    assert waits_s(org, second) == 2.0
    assert assigned(org, first, waited_s=2.0) == first.phones[0].line_id
    assert assigned(org, second, waited_s=2.0) == second.phones[0].line_id

    assert org.lore.source() == "line_id"
    assert org.names() == ["set_default_station", "get_default_station", "set_default_station"]
    assert [agent.default_station for agent in (first, second)] == [first.phones[0].line_id, second.phones[0].line_id]


def test_that_a_line_id_is_no_station_id_is_found_out_by_one_call(org: FakeOrganization) -> None:
    """When the line's id is refused to one, all wait for the listing, whose first answer decides."""
    org.line_id_is_station_id = False
    first, second = with_phone(org), with_phone(org)

    assert waits_s(org, first) == waits_s(org, second) == 6.0
    assert org.names() == ["set_default_station"]
    assert org.lore.source() is None

    assert assigned(org, first, waited_s=6.0) == org.station_of(first.phones[0]) == first.default_station
    assert org.lore.source() == "lookup"
    assert assigned(org, second, waited_s=6.0) == org.station_of(second.phones[0])
    assert org.names() == ["set_default_station", *["find_station", "set_default_station"] * 2]


def test_the_listing_may_show_that_a_line_id_is_a_station_id(org: FakeOrganization) -> None:
    """A line's id that was refused too early is learned from the listing."""
    agent = with_phone(org)
    org.stations_late = True
    waits_s(org, agent)
    org.stations_late = False

    assert assigned(org, agent, waited_s=6.0) == agent.phones[0].line_id
    assert org.lore.source() == "line_id"


def test_nothing_is_learned_while_no_station_is_visible(org: FakeOrganization) -> None:
    """Neither a refused id nor an empty listing proves anything: it waits and learns nothing."""
    agent = with_phone(org)
    org.stations_late = True
    waits_s(org, agent)

    waits_s(org, agent, waited_s=6.0)

    assert org.lore.source() is None


def test_an_assignment_that_takes_effect_later_is_looked_at_again(org: FakeOrganization) -> None:
    """The API answers before it acts: the effect is waited for, and the id is not sent again."""
    agent = with_phone(org)
    org.assignments_late = True

    assert [waits_s(org, agent, waited_s=waited_s) for waited_s in (0.0, 2.0, 4.0)] == [2.0] * 3
    agent.default_station = agent.phones[0].line_id
    assert assigned(org, agent, waited_s=6.0) == agent.phones[0].line_id

    assert org.lore.source() == "line_id"
    assert org.names() == ["set_default_station", *["get_default_station"] * 3]


def test_an_assignment_without_any_effect_falls_back_on_the_listing(org: FakeOrganization) -> None:
    """An id that was taken and never became the default station is not believed; the listing decides."""
    org.line_id_is_station_id = False
    agent = with_phone(org)

    def taken_for_nothing(name: str, apply: Any) -> Any:
        if name == "set_default_station" and org.calls[-1][2] == agent.phones[0].line_id:
            return True
        return apply()

    org.meddle = taken_for_nothing
    waits_s(org, agent)

    assert assigned(org, agent, waited_s=10.0) == org.station_of(agent.phones[0]) == agent.default_station
    assert org.lore.source() == "lookup"


def test_a_line_id_that_fails_falls_back_on_the_listing_for_good(org: FakeOrganization) -> None:
    """What was learned may be wrong by now: a refused id is waited for once, then looked up, and the listing counts."""
    org.line_id_is_station_id = False
    agent, other = with_phone(org), with_phone(org)
    org.lore.learn("line_id")

    waits_s(org, agent)
    assert assigned(org, agent, waited_s=1.4) == org.station_of(agent.phones[0])

    assert org.lore.source() == "lookup"
    org.calls.clear()
    assert assigned(org, other, waited_s=6.0) == org.station_of(other.phones[0])
    assert org.names() == ["find_station", "set_default_station"]


@pytest.mark.parametrize(
    ("step", "missing"),
    [
        (Step.RESOLVE_SKILLS, "profile"),
        (Step.PATCH_SKILLS, "profile"),
        (Step.PATCH_SKILLS, "wanted"),
        (Step.CREATE_PHONE, "profile"),
        (Step.CREATE_PHONE, "wanted"),
    ],
)
def test_a_step_says_which_finding_it_lacks(org: FakeOrganization, agent: Agent, step: Step, missing: str) -> None:
    """A step whose predecessor's finding is missing is a defect that names the step, and makes no call."""
    changes: dict[str, Any] = {missing: None}

    with pytest.raises(RuntimeError, match=rf"{step} needs the {missing}"):
        STEPS[step](a_record(agent, step, **changes), a_kit(org))

    assert org.calls == []


def test_every_step_may_run_again(org: FakeOrganization, agent: Agent) -> None:
    """Running each step a second time after all of it was done changes nothing and makes no second phone."""
    kit = a_kit(org, station_source="line_id")
    record = a_record(agent, CORRIDOR[0], profile=None, wanted=None)
    for attempts in (1, 2):
        for step in CORRIDOR:
            begun = moves.begin(replace(record, step=step), record.accepted_at, attempts)
            record = replace(begun, findings=STEPS[step](begun, kit))

    assert len(agent.phones) == 1
    assert agent.default_station == agent.phones[0].line_id
    assert agent.skills == {"id-of-Customer_Service": 1.0, "id-of-Order_Tracking": 2.0}


# --- languages, utilization, access -----------------------------------------------------------------------------
def test_languages_ride_along_and_cost_nothing_when_they_are_there(org: FakeOrganization) -> None:
    """What is missing or rated otherwise is sent in one call, beside the skills; nothing when nothing would change."""
    held = (RatedLanguage("French", 4.0, "id-of-French"),)
    agent = org.add(a_profile(languages=held))
    french, german = RatedLanguage("French", 4.0, "id-of-French"), RatedLanguage("German", 2.0, "id-of-German")

    steps.patch_skills(a_record(agent, Step.PATCH_SKILLS, wanted=WantedState(languages=(french,))), a_kit(org))
    assert org.names() == []

    steps.patch_skills(a_record(agent, Step.PATCH_SKILLS, wanted=WantedState(languages=(french, german))), a_kit(org))
    assert org.calls == [("patch_languages", agent.profile.user_id, {"id-of-German": 2.0})]


def test_replacing_takes_languages_that_are_too_many(org: FakeOrganization) -> None:
    """In replace mode each language beyond the rules' goes by a call of its own; where they name none, all stay."""
    french, german = RatedLanguage("French", 3.0, "id-of-French"), RatedLanguage("German", 2.0, "id-of-German")
    agent = org.add(a_profile(languages=(french, german)))
    for mode, languages, taken in (
        ("merge", (french,), []),
        ("replace", (), []),
        ("replace", (french,), [("remove_language", "id-of-German")]),
    ):
        org.calls.clear()
        wanted = WantedState(mode=mode, languages=languages)  # type: ignore[arg-type]  # one of the two
        steps.patch_skills(a_record(agent, Step.PATCH_SKILLS, wanted=wanted), a_kit(org))

        assert org.calls == taken


@pytest.mark.parametrize(
    ("shares", "sent"),
    [
        ((MediaShare("call", 1), MediaShare("email", 1, ("call", "chat"))), None),
        ((MediaShare("email", 1),), None),
        (
            (MediaShare("email", 2), MediaShare("call", 1)),
            (MediaShare("email", 2, ("call", "chat")), MediaShare("call", 1, ())),
        ),
        ((MediaShare("email", 1, ()),), (MediaShare("email", 1, ()),)),
        ((MediaShare("chat", 3),), (MediaShare("chat", 3, ()),)),
    ],
)
def test_utilization_is_sent_only_where_the_organizations_does_not_fit(
    org: FakeOrganization, agent: Agent, shares: tuple[MediaShare, ...], sent: tuple[MediaShare, ...] | None
) -> None:
    """No call where the organization's fits; else one, with what the rules leave open filled in from it."""
    record = a_record(agent, Step.SET_UTILIZATION, wanted=WantedState(utilization=shares))

    found = steps.set_utilization(record, a_kit(org))

    assert org.calls == ([("put_utilization", agent.profile.user_id, sent)] if sent else [])
    assert found.utilization == ("own" if sent else "organization")


def test_access_is_recorded_and_a_retry_trusts_no_note(org: FakeOrganization, agent: Agent) -> None:
    """What was given, and how, is found; in a later run, another attempt, or after a loss it is given anew."""
    wanted = WantedState(groups=(Place("Floor", "g"),))
    record = a_record(agent, Step.GRANT_ACCESS, wanted=wanted)

    found = steps.grant_access(record, a_kit(org))
    steps.grant_access(replace(record, generation=2), a_kit(org))
    steps.grant_access(record, a_kit(org, look_first=True))
    steps.grant_access(a_record(agent, Step.GRANT_ACCESS, wanted=wanted, attempts=2), a_kit(org))

    assert found.access == (Granted("group", "Floor", "own", 1),)
    assert [call[2] for call in org.calls] == [False, True, True, True]
