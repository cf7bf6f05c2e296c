"""Arithmetic of skills."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builders import a_skill, a_wanted_state
from jitprov.domain.agent import RatedSkill, WantedState
from jitprov.domain.skills import diff_skills, nearest_names

NAMES = ("Billing", "Returns", "Sales", "Delivery")
RATED = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.0, 1.0, 2.5, 5.0])).map(
    lambda rated: tuple(a_skill(name, rating) for name, rating in rated.items())
)


def merged(held: tuple[RatedSkill, ...], sent: tuple[RatedSkill, ...]) -> dict[str, float]:
    return {skill.skill_id: skill.proficiency for skill in (*held, *sent)}


def test_a_missing_skill_is_sent() -> None:
    """Merging sends what the agent lacks and nothing else."""
    wanted = a_wanted_state(skills=(a_skill("Billing"), a_skill("Sales")))

    assert diff_skills(wanted, [a_skill("Billing")]) == (a_skill("Sales"),)


def test_a_skill_rated_otherwise_is_sent_with_the_wanted_rating() -> None:
    """Merging re-rates a skill that is held with another proficiency."""
    wanted = a_wanted_state(skills=(a_skill("Billing", 3.0),))

    assert diff_skills(wanted, [a_skill("Billing", 2.0)]) == (a_skill("Billing", 3.0),)


def test_merging_leaves_other_skills_alone() -> None:
    """A skill that the rules do not name is no reason to send anything in merge mode."""
    wanted = a_wanted_state(skills=(a_skill("Billing"),))

    assert diff_skills(wanted, [a_skill("Billing"), a_skill("Sales")]) is None


def test_skills_are_compared_by_id() -> None:
    """A skill that was renamed since is still the same skill."""
    wanted = a_wanted_state(skills=(a_skill("Billing", skill_id="s-1"),))

    assert diff_skills(wanted, [a_skill("Invoices", skill_id="s-1")]) is None


def test_replacing_sends_the_whole_list_when_one_is_too_many() -> None:
    """In replace mode a skill that the rules do not name makes the whole wanted list be sent."""
    wanted = a_wanted_state(mode="replace", skills=(a_skill("Billing"), a_skill("Sales")))

    sent = diff_skills(wanted, [a_skill("Billing"), a_skill("Sales"), a_skill("Returns")])

    assert sent == wanted.skills


def test_replacing_sends_the_whole_list_when_one_is_missing() -> None:
    """In replace mode one missing skill makes the whole wanted list be sent, held skills included."""
    wanted = a_wanted_state(mode="replace", skills=(a_skill("Billing"), a_skill("Sales")))

    assert diff_skills(wanted, [a_skill("Billing")]) == wanted.skills


def test_replacing_sends_nothing_when_all_is_so() -> None:
    """In replace mode the order of the skills is no difference."""
    wanted = a_wanted_state(mode="replace", skills=(a_skill("Billing"), a_skill("Sales")))

    assert diff_skills(wanted, [a_skill("Sales"), a_skill("Billing")]) is None


def test_replacing_by_nothing_sends_the_empty_list() -> None:
    """Taking all skills away is something to send, and not the same as nothing to do."""
    wanted = a_wanted_state(mode="replace", skills=())

    assert diff_skills(wanted, [a_skill("Billing")]) == ()
    assert diff_skills(wanted, []) is None


@given(RATED, RATED)
def test_what_is_sent_in_merge_mode_is_enough_and_no_more(
    skills: tuple[RatedSkill, ...], held: tuple[RatedSkill, ...]
) -> None:
    """After a merge the agent has every wanted skill as rated, kept the others, and a second merge sends nothing."""
    wanted = WantedState(skills=skills)
    sent = diff_skills(wanted, held) or ()
    after = merged(held, sent)

    assert after == merged(held, skills)
    assert not [skill for skill in sent if skill in held]
    assert diff_skills(wanted, [a_skill(skill_id=key, proficiency=rating) for key, rating in after.items()]) is None


@given(RATED, RATED)
def test_what_is_sent_in_replace_mode_is_all_or_nothing(
    skills: tuple[RatedSkill, ...], held: tuple[RatedSkill, ...]
) -> None:
    """In replace mode either exactly the wanted skills are held already, or exactly they are sent."""
    sent = diff_skills(WantedState(mode="replace", skills=skills), held)

    assert sent == (None if merged((), held) == merged((), skills) else skills)


def test_the_likely_names_come_best_first() -> None:
    """A misspelt name leads to the names that were probably meant, the closest first, in their own spelling."""
    known = ["Customer_Service", "Customer_Service_French", "Billing"]

    assert nearest_names("customer_servise", known) == ("Customer_Service", "Customer_Service_French")


def test_no_name_is_suggested_when_none_is_near() -> None:
    """A name that looks like nothing known gets no suggestion."""
    assert nearest_names("Zebra", ["Billing", "Sales"]) == ()


def test_at_most_the_asked_number_of_names_is_suggested() -> None:
    """The number of suggestions is bounded, however many names are near."""
    known = [f"Order_Tracking_{number}" for number in range(9)]

    assert len(nearest_names("Order_Tracking", known)) == 3
    assert len(nearest_names("Order_Tracking", known, limit=1)) == 1


def test_names_that_differ_only_in_case_are_suggested_once() -> None:
    """Of names that differ only in case the first one known is suggested."""
    assert nearest_names("BILLING", ["Billing", "billing"]) == ("Billing",)
