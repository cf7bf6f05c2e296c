"""What an agent has against what the rules want."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from builders import a_phone, a_profile, a_skill, a_wanted_state
from jitprov.domain.actual import ANY_DIVISION, Actual, nothing_but
from jitprov.domain.agent import MediaShare, Place, RatedLanguage, RatedSkill, RoleGrant, WantedState
from jitprov.domain.change import RATED_PER_CALL
from jitprov.domain.difference import (
    Difference,
    calls_together,
    differ,
    shares_to_set,
)
from jitprov.domain.skills import complete_shares

USUAL = {"call": MediaShare("call", 1, ()), "chat": MediaShare("chat", 2, ("call",))}
NAMES = st.sampled_from("ABCD")
RATINGS = st.sampled_from([0.0, 1.0, 2.5, 5.0])
RATED = st.dictionaries(NAMES, RATINGS)
SHARES = st.lists(
    st.builds(
        MediaShare,
        st.sampled_from(["call", "chat"]),
        st.integers(0, 3),
        st.sampled_from([None, (), ("call",)]),
    ),
    max_size=2,
    unique_by=lambda share: share.media,
)
PLACES = st.lists(NAMES, max_size=3, unique=True).map(lambda names: tuple(Place(name, name) for name in names))
WANTED = st.builds(
    WantedState,
    mode=st.sampled_from(["merge", "replace"]),
    skills=RATED.map(lambda rated: tuple(RatedSkill(name, rating, name) for name, rating in rated.items())),
    phone=st.booleans(),
    languages=RATED.map(lambda rated: tuple(RatedLanguage(name, rating, name) for name, rating in rated.items())),
    utilization=SHARES.map(tuple),
    division=st.none() | NAMES.map(lambda name: Place(name, name)),
    roles=st.lists(st.builds(RoleGrant, NAMES, NAMES), max_size=3, unique=True).map(
        lambda grants: tuple(replace(each, role_id=each.role, division_id=each.division) for each in grants)
    ),
    groups=PLACES,
    queues=PLACES,
)


@st.composite
def actuals(draw: st.DrawFn) -> Actual:
    phones = draw(st.sampled_from([(), (a_phone(),)]))
    profile = a_profile(
        skills=tuple(RatedSkill(name, rating, name) for name, rating in draw(RATED).items()),
        languages=tuple(RatedLanguage(name, rating, name) for name, rating in draw(RATED).items()),
        division_id=draw(NAMES),
        group_ids=tuple(draw(st.sets(NAMES))),
    )
    spare = tuple(Place(name, name) for name in draw(st.sets(st.sampled_from("YZ"))))
    own = {share.media: replace(share, interruptible=share.interruptible or ()) for share in draw(SHARES)}
    return Actual(
        profile,
        utilization=USUAL | own,
        roles=frozenset(draw(st.sets(st.tuples(NAMES, NAMES)))),
        queues=frozenset(draw(st.sets(NAMES))) | {each.place_id for each in spare},
        spare_queues=spare,
        phones=phones,
        at_own_phone=bool(phones) and draw(st.booleans()),
    )


def mended(wanted: WantedState, actual: Actual) -> Actual:
    """Return what an agent has once all was done, told without the code under test."""
    skills: dict[str, Any] = {} if wanted.mode == "replace" else {each.skill_id: each for each in actual.profile.skills}
    skills |= {each.skill_id: each for each in wanted.skills}
    kept = () if wanted.mode == "replace" and wanted.languages else actual.profile.languages
    languages = {each.language_id: each for each in (*kept, *wanted.languages)}
    shares = {each.media: each for each in complete_shares(wanted.utilization, USUAL)}
    gone = (
        {each.place_id for each in actual.spare_queues or ()} if wanted.mode == "replace" and wanted.queues else set()
    )
    return Actual(
        replace(
            actual.profile,
            skills=tuple(skills.values()),
            languages=tuple(languages.values()),
            division_id=wanted.division.place_id if wanted.division else actual.profile.division_id,
            group_ids=(*actual.profile.group_ids, *(each.place_id for each in wanted.groups)),
        ),
        utilization={**(actual.utilization or {}), **shares},
        roles=(actual.roles or frozenset()) | {(each.role_id, each.division_id) for each in wanted.roles},
        queues=((actual.queues or frozenset()) - gone) | {each.place_id for each in wanted.queues},
        spare_queues=tuple(each for each in actual.spare_queues or () if each.place_id not in gone),
        phones=actual.phones or ((a_phone(),) if wanted.phone else ()),
        at_own_phone=wanted.phone or actual.at_own_phone,
    )


@given(wanted=WANTED, actual=actuals())
def test_who_was_mended_differs_no_more(wanted: WantedState, actual: Actual) -> None:
    """Nothing differs once everything is as the rules want; and something does exactly when some call is needed."""
    found = differ(wanted, actual, USUAL)

    assert bool(found.changes) == bool(found.calls)
    assert differ(wanted, mended(wanted, actual), USUAL) == Difference()


@given(wanted=WANTED, actual=actuals())
def test_changes_are_what_mending_changes(wanted: WantedState, actual: Actual) -> None:
    """Each thing that mending changes is named once, and nothing else."""
    after = mended(wanted, actual)
    before_skills = {(each.skill_id, each.proficiency) for each in actual.profile.skills}
    after_skills = {(each.skill_id, each.proficiency) for each in after.profile.skills}
    before_languages = {(each.language_id, each.proficiency) for each in actual.profile.languages}
    after_languages = {(each.language_id, each.proficiency) for each in after.profile.languages}
    named = [(change.what, change.name) for change in differ(wanted, actual, USUAL).changes]

    assert len(set(named)) == len(named)
    assert {name for what, name in named if what == "skill"} == {name for name, _ in before_skills ^ after_skills}
    languages = {name for what, name in named if what == "language"}
    assert languages == {name for name, _ in before_languages ^ after_languages}
    assert {name for what, name in named if what == "queue"} == (after.queues or set()) ^ (actual.queues or set())
    assert ("division" in dict(named)) == (after.profile.division_id != actual.profile.division_id)
    assert ("phone" in dict(named)) == (len(after.phones or ()) > len(actual.phones or ()))
    assert ("utilization" in dict(named)) == (after.utilization != actual.utilization)


def test_replacing_sends_all_skills_by_put_and_the_rest_by_patch() -> None:
    """One wrong skill of sixty to be replaced costs a PUT of fifty and a PATCH of ten: the API replaces whole lists."""
    skills = tuple(a_skill(f"Skill {number}") for number in range(RATED_PER_CALL + 10))
    wanted = a_wanted_state(mode="replace", skills=skills, phone=False)

    found = differ(wanted, nothing_but(a_profile(skills=(*skills[1:], a_skill("Other"))), USUAL), USUAL)

    assert [call.method for call in found.calls] == ["PUT", "PATCH"]
    assert [(change.name, change.how) for change in found.changes] == [("Skill 0", "give"), ("Other", "take")]


def test_replacing_takes_spare_queues_one_by_one_where_the_rules_name_any() -> None:
    """Each queue made by hand costs one call; in merge mode, and where the rules name no queue, all of them stay."""
    wanted = a_wanted_state(mode="replace", skills=(), phone=False, queues=(Place("Calls", "q1"),))
    actual = replace(
        nothing_but(a_profile(), USUAL),
        queues=frozenset({"q1", "q2", "q3"}),
        spare_queues=(Place("A", "q2"), Place("B", "q3")),
    )

    found = differ(wanted, actual, USUAL)

    assert [(change.what, change.name, change.how) for change in found.changes] == [
        ("queue", "A", "take"),
        ("queue", "B", "take"),
    ]
    assert [(call.method, call.thing) for call in found.calls] == [("DELETE", "q2"), ("DELETE", "q3")]
    assert not differ(replace(wanted, mode="merge"), actual, USUAL)
    assert not differ(replace(wanted, queues=()), actual, USUAL)
    assert differ(wanted, replace(actual, spare_queues=None), USUAL) == Difference(unseen=("queue",))


def test_what_nobody_looked_at_is_said_and_never_guessed() -> None:
    """What was not read is no difference; it is named, where the rules ask for it."""
    wanted = a_wanted_state(
        skills=(),
        utilization=(MediaShare("call", 3),),
        queues=(Place("Q", "q"),),
        roles=(RoleGrant("R", "D", "r", "d"),),
    )

    found = differ(wanted, Actual(a_profile()), USUAL)

    assert (found.changes, found.calls) == ((), ())
    assert found.unseen == ("phone", "utilization", "role", "queue")


def test_a_role_of_unknown_division_counts_as_there() -> None:
    """A listing tells roles without divisions: who holds the role somewhere is not said to lack it."""
    wanted = a_wanted_state(
        skills=(), phone=False, roles=(RoleGrant("R", "D", "r", "d"), RoleGrant("S", "D", "s", "d"))
    )
    actual = Actual(a_profile(), roles=frozenset({("r", ANY_DIVISION), ("s", "elsewhere")}))

    assert [change.name for change in differ(wanted, actual, {}).changes] == ["S in D"]


def test_what_is_set_keeps_media_of_the_agents_own() -> None:
    """The API forgets what a call leaves out: media of the agent's own go along, those of the organization do not."""
    wanted = a_wanted_state(utilization=(MediaShare("call", 3),))
    held = USUAL | {"chat": MediaShare("chat", 5, ())}

    assert shares_to_set(wanted, held, USUAL) == (MediaShare("call", 3, ()), MediaShare("chat", 5, ()))
    assert shares_to_set(wanted, USUAL, USUAL) == (MediaShare("call", 3, ()),)


def test_calls_for_many_are_shared_as_far_as_the_api_allows() -> None:
    """A hundred and twenty agents who lack one group take three calls; their skills take one call each."""
    wanted = a_wanted_state(phone=False, groups=(Place("Floor", "g"),))
    found = {str(number): differ(wanted, nothing_but(a_profile(), USUAL), USUAL) for number in range(120)}

    called = calls_together(found)

    assert sorted(len(served) for served in called.values()) == [3, 120]
    assert {len(agents) for served in called.values() for agents in served} == {1, 50, 20}
