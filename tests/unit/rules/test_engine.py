"""Rules and a profile make the wanted state."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_profile
from jitprov.domain.agent import MediaShare, Place, RatedLanguage, RatedSkill, RoleGrant, WantedState
from jitprov.errors import NoRuleMatched
from jitprov.rules.adding_up import Gift
from jitprov.rules.engine import PassedOver, RuleBook
from jitprov.rules.loader import load_rules
from jitprov.rules.model import Rules

TEXTS = st.text(st.sampled_from("aAbBß é-_"), max_size=8)


def a_book(*rules: dict[str, Any], **changes: Any) -> RuleBook:
    return RuleBook(Rules.model_validate({"version": 1, "rules": list(rules)} | changes))


def covers(when: dict[str, Any], **profile: str) -> bool:
    book = a_book({"name": "it", "when": when})
    try:
        return book.wanted_for(a_profile(**profile)).rules == ("it",)
    except NoRuleMatched:
        return False


@pytest.mark.parametrize(
    ("department", "rule", "skills"),
    [
        ("Seasonal_Retail", "Seasonal retail", ("Customer_Service", "Order_Tracking")),
        ("Seasonal_Tech_Support", "Seasonal tech support", ("Basic_Troubleshooting",)),
    ],
)
def test_the_shipped_rules_cover_the_seasonal_departments(department: str, rule: str, skills: tuple[str, ...]) -> None:
    """The two seasonal departments get their skills at 1.0, added to what they have, and a phone."""
    book = load_rules()

    assert book.wanted_for(a_profile(department=department)) == WantedState(
        (rule,),
        "merge",
        tuple(RatedSkill(name, 1.0) for name in skills),
        phone=True,
        rules_version=book.rules_version,
    )


def test_the_first_rule_that_covers_decides_alone() -> None:
    """Of two rules that cover an agent the first one counts, and nothing of the second is added."""
    book = a_book(
        {"name": "one", "when": {"title": "Agent"}, "skills": {"A": 1}},
        {"name": "two", "when": {"department": "*"}, "skills": {"B": 2}, "phone": False},
    )

    assert book.wanted_for(a_profile(title="Agent")) == WantedState(("one",), "merge", (RatedSkill("A", 1.0),))
    assert book.wanted_for(a_profile(title="Lead")).rules == ("two",)


@pytest.mark.parametrize(
    ("when", "profile", "expected"),
    [
        ({"department": "Retail"}, {"department": "Retail"}, True),
        ({"department": "retail"}, {"department": "RETAIL"}, True),
        ({"department": " Retail "}, {"department": "Retail\t"}, True),
        ({"department": "Straße"}, {"department": "STRASSE"}, True),
        ({"department": "Retail"}, {"department": "Retail EU"}, False),
        ({"department": "Retail*"}, {"department": "Retail EU"}, True),
        ({"department": "Retail*"}, {"department": "Retail\nEU"}, True),
        ({"department": "*retail"}, {"department": "Retail EU"}, False),
        ({"department": "L?"}, {"department": "l2"}, True),
        ({"department": "L?"}, {"department": "L"}, False),
        ({"department": "Sales [EU]"}, {"department": "sales [eu]"}, True),
        ({"department": "Sales [EU]"}, {"department": "Sales E"}, False),
        ({"department": "a.c"}, {"department": "abc"}, False),
        ({"department": ["A", "B"]}, {"department": "B"}, True),
        ({"department": ["A", "B"]}, {"department": "C"}, False),
        ({"department": ""}, {"department": ""}, True),
        ({"department": ""}, {"department": "A"}, False),
        ({"department": "?*"}, {"department": ""}, False),
        ({"department": "A", "title": "T"}, {"department": "A", "title": "T"}, True),
        ({"department": "A", "title": "T"}, {"department": "A", "title": "U"}, False),
        ({"division": "Home"}, {"division": "home"}, True),
        ({"email_domain": "Example.test"}, {"email": "robin@example.TEST"}, True),
        ({"email_domain": "example.test"}, {"email": "robin@sub.example.test"}, False),
        ({"email_domain": "*.example.test"}, {"email": "robin@sub.example.test"}, True),
        ({"email_domain": "example.test"}, {"email": '"a@b"@example.test'}, True),
        ({"email_domain": "example.test"}, {"email": ""}, False),
        ({}, {"department": "", "email": ""}, True),
    ],
)
def test_whom_a_rule_covers(when: dict[str, Any], profile: dict[str, str], *, expected: bool) -> None:
    """All conditions must hold, one entry of a list is enough; case and outer spaces do not count, * and ? are wild."""
    assert covers(when, **profile) is expected


@given(TEXTS, TEXTS)
def test_a_text_without_wildcards_covers_itself_and_only_itself(text: str, other: str) -> None:
    """Without * and ? a text covers exactly what is equal to it, case and outer spaces aside."""
    assert covers({"department": text}, department=text)
    assert covers({"department": text}, department=other) is (text.strip().casefold() == other.strip().casefold())


@given(st.text(st.sampled_from("ab*?"), max_size=10), st.text(st.sampled_from("ab"), max_size=10))
def test_wildcards_mean_what_they_mean_in_a_shell(pattern: str, text: str) -> None:
    """`*` and `?` cover what a shell's would."""
    assert covers({"department": pattern}, department=text) is fnmatchcase(text, pattern)


def test_a_hostile_pattern_takes_no_time() -> None:
    """Many wildcards against a long text that almost fits are decided at once."""
    began_s = time.perf_counter()

    assert not covers({"department": "*a" * 100}, department="a" * 99 + "b" * 2000)
    assert time.perf_counter() - began_s < 1


def test_defaults_fill_in_what_a_rule_leaves_out() -> None:
    """A rule without mode and phone takes the defaults'; a rule that says them keeps its own."""
    book = a_book(
        {"name": "silent", "when": {"department": "A"}, "skills": {"S": 1}},
        {"name": "outspoken", "when": {"department": "B"}, "skills": {"S": 1}, "mode": "merge", "phone": True},
        defaults={"mode": "replace", "phone": False},
    )

    silent, outspoken = (book.wanted_for(a_profile(department=department)) for department in "AB")
    assert (silent.mode, silent.phone) == ("replace", False)
    assert (outspoken.mode, outspoken.phone) == ("merge", True)


def test_unmatched_agents_get_the_defaults_where_the_rules_say_so() -> None:
    """With `unmatched: defaults` an agent whom no rule covers gets the defaults, and no rule is named."""
    book = a_book(
        {"name": "it", "when": {"department": "A"}, "skills": {"S": 1}},
        unmatched="defaults",
        defaults={"phone": False, "skills": {"Basic": 2}},
    )

    assert book.wanted_for(a_profile(department="X")) == WantedState(
        (), "merge", (RatedSkill("Basic", 2.0),), phone=False
    )
    assert book.wanted_for(a_profile(department="A")).skills == (RatedSkill("S", 1.0),)


def test_an_unmatched_agent_is_described_without_the_person() -> None:
    """The error names department, title and division, what is missing among them, and neither name nor address."""
    profile = a_profile(department="Payroll", title="", division="D" * 300)

    with pytest.raises(NoRuleMatched) as caught:
        load_rules().wanted_for(profile)

    assert "department 'Payroll', title (none), division 'DDD" in caught.value.message
    assert len(caught.value.message) < 250
    for personal in (profile.name, profile.email, "example.test"):
        assert personal not in str(caught.value)


def test_skill_names_are_those_of_all_parts() -> None:
    """Skills of the defaults and of every rule are named once, whether or not lines are known."""
    book = a_book(
        {"name": "a", "when": {"title": "x"}, "skills": {"S": 1, "T": 1}},
        {"name": "b", "skills": [{"name": "T", "proficiency": 1}]},
        unmatched="defaults",
        defaults={"skills": {"U": 1}},
    )

    assert book.skill_names() == {"U": 0, "S": 0, "T": 0}


WHOLE: dict[str, Any] = {
    "name": "whole",
    "skills": {"S": 1},
    "languages": {"French": 4},
    "utilization": {"call": 1, "chat": {"capacity": 3, "interruptible": ["email", "call"]}},
    "division": "Seasonal",
    "roles": ["Agent", {"name": "Supervisor", "divisions": ["Home", "Seasonal"]}],
    "groups": ["Floor"],
    "queues": ["Calls"],
    "phone": False,
}


def test_everything_that_a_rule_gives_is_wanted() -> None:
    """Each field of a rule reaches the wanted state; a role without divisions holds in the division given."""
    assert a_book(WHOLE).wanted_for(a_profile()) == WantedState(
        ("whole",),
        "merge",
        (RatedSkill("S", 1.0),),
        phone=False,
        languages=(RatedLanguage("French", 4.0),),
        utilization=(MediaShare("call", 1), MediaShare("chat", 3, ("call", "email"))),
        division=Place("Seasonal"),
        roles=(RoleGrant("Agent", "Seasonal"), RoleGrant("Supervisor", "Home"), RoleGrant("Supervisor", "Seasonal")),
        groups=(Place("Floor"),),
        queues=(Place("Calls"),),
    )


def test_with_match_merge_rules_add_up_and_the_first_counts() -> None:
    """Lists add up; of two that rate a skill, name a division or say mode and phone, the first in the file counts."""
    book = a_book(
        {"name": "a", "when": {"title": "Lead"}, "skills": {"S": 5}, "roles": ["Supervisor"], "phone": False},
        {"name": "never", "when": {"title": "x"}, "skills": {"N": 1}},
        {"name": "b", "skills": {"S": 1, "T": 2}, "division": "D", "mode": "replace", "groups": ["G"], "phone": True},
        {"name": "c", "skills": {"U": 3}, "division": "E", "mode": "merge", "groups": ["G", "H"]},
        match="merge",
    )
    wanted = book.wanted_for(a_profile(title="Lead"))

    assert wanted.rules == ("a", "b", "c")
    assert wanted.skills == (RatedSkill("S", 5.0), RatedSkill("T", 2.0), RatedSkill("U", 3.0))
    assert (wanted.mode, wanted.phone, wanted.division) == ("replace", False, Place("D"))
    assert wanted.groups == (Place("G"), Place("H"))
    assert wanted.roles == (RoleGrant("Supervisor", "D"),)
    assert book.wanted_for(a_profile(title="Agent")).phone is True


def test_each_thing_is_explained_by_the_rule_that_gave_it() -> None:
    """An explanation names the giver of each thing, defaults among them, and the rules that came too late."""
    rules: list[dict[str, Any]] = [
        {"name": "a", "skills": {"S": 5}, "when": {"title": "Lead"}},
        {"name": "b", "skills": {"S": 1, "T": 2}, "phone": False},
    ]
    first = a_book(*rules).explain(a_profile(title="Lead"))
    merged = a_book(*rules, match="merge").explain(a_profile(title="Lead"))

    assert first.overruled == ("b",)
    assert first.gifts == (
        Gift("skill", "S 5", "a"),
        Gift("mode", "merge", "defaults"),
        Gift("phone", "yes", "defaults"),
    )
    assert merged.overruled == ()
    assert merged.gifts == (
        Gift("skill", "S 5", "a"),
        Gift("skill", "T 2", "b"),
        Gift("phone", "no", "b"),
        Gift("mode", "merge", "defaults"),
    )


def test_a_rule_that_does_not_cover_says_what_it_asks_for() -> None:
    """Of each rule passed over, the conditions that fail are told and no other; one that covers is not among them."""
    book = a_book(
        {"name": "near", "when": {"title": "Lead", "department": ["Sales", "Care*"]}},
        {"name": "covers", "when": {"title": "Lead"}},
        {"name": "far", "when": {"title": "Agent"}},
    )

    assert book.passed_over(a_profile(title="Lead", department="Retail")) == (
        PassedOver("near", {"department": ["Sales", "Care*"]}),
        PassedOver("far", {"title": ["Agent"]}),
    )


def test_what_some_rule_asks_is_known_of_the_whole_book() -> None:
    """Whether any rule, or the defaults, speak of utilization or access is known without an agent."""
    plain, whole = a_book({"name": "it", "skills": {"S": 1}, "languages": {"French": 1}}), a_book(WHOLE)

    assert (plain.asks_utilization, plain.asks_access) == (False, False)
    assert (whole.asks_utilization, whole.asks_access) == (True, True)
    assert set(whole.named("divisions")) == {"Home", "Seasonal"}
    assert a_book({"name": "it", "queues": ["Q"]}).asks_access


def test_priority_is_what_the_rule_says_or_normal() -> None:
    """Once some rule has a priority, agents of the others, and those whom no rule covers, are normal."""
    book = a_book(
        {"name": "one", "when": {"title": "Lead"}, "priority": "high"},
        {"name": "two", "when": {"title": "Agent"}, "priority": "low"},
        {"name": "three", "when": {"title": "Clerk"}},
        unmatched="defaults",
    )

    said = [book.wanted_for(a_profile(title=title)).priority for title in ("Lead", "Agent", "Clerk", "Else")]

    assert said == ["high", "low", "normal", "normal"]


def test_without_priorities_nobody_has_one() -> None:
    """While no rule has a priority nobody has one, normal included."""
    assert a_book({"name": "one"}).wanted_for(a_profile()).priority is None


def test_of_two_priorities_the_first_counts() -> None:
    """Where rules add up, the first that says a priority decides, and is named for it."""
    rules = ({"name": "one"}, {"name": "two", "priority": "low"}, {"name": "three", "priority": "high"})

    told = a_book(*rules, match="merge").explain(a_profile())

    assert told.wanted.priority == "low"
    assert Gift("priority", "low", "two") in told.gifts
