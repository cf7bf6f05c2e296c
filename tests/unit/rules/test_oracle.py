"""The engine against an oracle that shares nothing with it: thousands of rule files and people made up by chance."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from builders import a_profile
from jitprov.domain.agent import WantedState
from jitprov.errors import NoRuleMatched
from jitprov.rules.engine import RuleBook
from jitprov.rules.model import Rules
from rules_oracle import should_have

NAMES = ("A", "B", "C")
RATINGS = st.integers(0, 5).map(float)
TEXTS = st.sampled_from(["", "x", "X ", "xy", "y[z]", "yz"])
PATTERNS = st.sampled_from(["", "x", " X", "x*", "?y", "*", "y[z]", "xyz"])
MEDIA = st.sampled_from(["call", "chat", "email"])
SOME = st.lists(st.sampled_from(NAMES), max_size=3, unique=True)

RATED = st.dictionaries(st.sampled_from(NAMES), RATINGS, max_size=3) | SOME.flatmap(
    lambda names: st.tuples(*[RATINGS] * len(names)).map(
        lambda ratings: [{"name": name, "proficiency": rating} for name, rating in zip(names, ratings, strict=True)]
    )
)
ROLE = st.sampled_from(NAMES) | st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "divisions": st.lists(st.sampled_from(NAMES), min_size=1, max_size=2)}
)
GIVEN: dict[str, st.SearchStrategy[Any]] = {
    "skills": RATED,
    "languages": RATED,
    "utilization": st.dictionaries(
        MEDIA,
        st.integers(0, 9)
        | st.fixed_dictionaries(
            {"capacity": st.integers(0, 9)}, optional={"interruptible": st.lists(MEDIA, max_size=2)}
        ),
        max_size=2,
    ),
    "division": st.sampled_from(NAMES),
    "roles": st.lists(ROLE, max_size=2, unique_by=lambda role: role if isinstance(role, str) else role["name"]),
    "groups": SOME,
    "queues": SOME,
    "mode": st.sampled_from(["merge", "replace"]),
    "phone": st.booleans()
    | st.fixed_dictionaries({}, optional={"site": st.sampled_from(NAMES), "base": st.sampled_from(NAMES)}),
}
WHEN = st.fixed_dictionaries(
    {},
    optional={
        part: PATTERNS | st.lists(PATTERNS, min_size=1, max_size=2)
        for part in ("department", "title", "division", "email_domain", "location")
    },
)
RULES = st.lists(st.fixed_dictionaries({"when": WHEN}, optional=GIVEN), min_size=1, max_size=4).map(
    lambda rules: [rule | {"name": f"rule {number}"} for number, rule in enumerate(rules)]
)
FILES = st.fixed_dictionaries(
    {"version": st.just(1), "rules": RULES},
    optional={
        "match": st.sampled_from(["first", "merge"]),
        "unknown": st.sampled_from(["fail", "skip"]),
        "unmatched": st.sampled_from(["fail", "defaults"]),
        "defaults": st.fixed_dictionaries({}, optional=GIVEN),
    },
)
PEOPLE = st.fixed_dictionaries(
    {
        "department": TEXTS,
        "title": TEXTS,
        "division": TEXTS,
        "email": st.sampled_from(["", "a@x", "a@xy", '"a@b"@yz']),
        "locations": st.lists(TEXTS, max_size=2).map(tuple),
    }
)


def told(wanted: WantedState) -> dict[str, Any]:
    """Return a wanted state in the oracle's words."""
    return {
        "rules": list(wanted.rules),
        "mode": wanted.mode,
        "phone": wanted.phone,
        "site": wanted.site,
        "phone_base": wanted.phone_base,
        "skips": wanted.skips_unknown,
        "skills": {skill.name: skill.proficiency for skill in wanted.skills},
        "languages": {language.name: language.proficiency for language in wanted.languages},
        "utilization": {share.media: (share.capacity, share.interruptible) for share in wanted.utilization},
        "division": wanted.division.name if wanted.division else "",
        "roles": {(grant.role, grant.division) for grant in wanted.roles},
        "groups": {group.name for group in wanted.groups},
        "queues": {queue.name for queue in wanted.queues},
    }


@settings(max_examples=400, deadline=None)
@given(FILES, st.lists(PEOPLE, min_size=1, max_size=8))
def test_engine_and_oracle_agree(file: dict[str, Any], people: list[dict[str, Any]]) -> None:
    """For every file that is taken and everybody who comes, both say the same; each gift has exactly one giver."""
    try:
        book = RuleBook(Rules.model_validate(file))
    except ValidationError:
        return  # what a file may not say is the model's own suite
    for person in people:
        profile = a_profile(**person)
        person["location"] = list(person.pop("locations"))
        try:
            explanation = book.explain(profile)
        except NoRuleMatched:
            assert should_have(file, person) is None
            continue
        wanted = explanation.wanted
        assert told(wanted) == should_have(file, person)
        assert wanted == book.wanted_for(profile)
        things = [*wanted.skills, *wanted.languages, *wanted.utilization, *wanted.roles, *wanted.groups, *wanted.queues]
        assert len(explanation.gifts) == len(things) + bool(wanted.division) + 2 + sum(
            map(bool, (wanted.site, wanted.phone_base))
        )
        assert {gift.by for gift in explanation.gifts} <= {*wanted.rules, "defaults"}
