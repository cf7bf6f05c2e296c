"""What may stand in rules.yaml, and what is refused."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from jitprov.rules.given import rated
from jitprov.rules.loader import SHIPPED
from jitprov.rules.model import Rules


def a_rule(**changes: Any) -> dict[str, Any]:
    return {"name": "Retail", "when": {"department": "Retail"}, "skills": {"Orders": 1.0}} | changes


def a_file(*rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"version": 1, "rules": list(rules) or [a_rule()]} | changes


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"rules": [a_rule()]}, "version"),
    (a_file(version=2), "version"),
    (a_file(version="1"), "version"),
    (a_file(rules=[]), "rules"),
    (a_file(match="all"), "match"),
    (a_file(unmatched="skip"), "unmatched"),
    (a_file(nonsense=1), "nonsense"),
    (a_file(a_rule(nonsense=1)), "nonsense"),
    (a_file(a_rule(name="")), "name"),
    (a_file(a_rule(phone="yes")), "phone"),
    (a_file(a_rule(phone=1)), "phone"),
    (a_file(a_rule(mode="add")), "mode"),
    (a_file(a_rule(skills={"A": 5.1})), "skills"),
    (a_file(a_rule(skills={"A": -0.1})), "skills"),
    (a_file(a_rule(skills={"A": float("nan")})), "skills"),
    (a_file(a_rule(skills={"A": "1"})), "skills"),
    (a_file(a_rule(skills={"A": True})), "skills"),
    (a_file(a_rule(skills={"": 1})), "skills"),
    (a_file(a_rule(skills=[{"name": "A"}])), "skills"),
    (a_file(a_rule(skills=[{"name": "A", "proficiency": 1}] * 2)), "named 2 times"),
    (a_file(a_rule(when={"departmant": "x"})), "departmant"),
    (a_file(a_rule(when={"department": None})), "is empty"),
    (a_file(a_rule(when={"department": []})), "department"),
    (a_file(a_rule(when={"department": False})), "department"),
    (a_file(a_rule(when={"email_domain": "robin@example.test"})), "what follows the @"),
    (a_file(a_rule(languages={"French": 6})), "languages"),
    (a_file(a_rule(languages=[{"name": "French", "proficiency": 1}] * 2)), "named 2 times"),
    (a_file(a_rule(utilization={"fax": 1})), "utilization"),
    (a_file(a_rule(utilization={"call": -1})), "utilization"),
    (a_file(a_rule(utilization={"call": True})), "utilization"),
    (a_file(a_rule(utilization={"call": 1.5})), "utilization"),
    (a_file(a_rule(utilization={"call": {"interruptible": ["chat"]}})), "capacity"),
    (a_file(a_rule(utilization={"call": {"capacity": 1, "interruptible": ["fax"]}})), "interruptible"),
    (a_file(a_rule(division="")), "division"),
    (a_file(a_rule(division=["Home"])), "division"),
    (a_file(a_rule(roles="employee")), "roles"),
    (a_file(a_rule(roles=["employee", {"name": "employee", "divisions": ["Home"]}])), "named 2 times"),
    (a_file(a_rule(roles=[{"name": "employee", "divisions": []}])), "divisions"),
    (a_file(a_rule(groups=["A", "A"])), "named 2 times"),
    (a_file(a_rule(queues=["A", ""])), "queues"),
    (a_file(tests=[{"name": "t", "profile": {}, "expect": {}}]), "nothing to compare"),
    (a_file(tests=[{"name": "t", "profile": {}, "expect": "nothing"}]), "no rule"),
    (a_file(tests=[{"name": "t", "profile": {"name": "Robin"}, "expect": "no rule"}]), "profile"),
    (a_file(tests=[{"name": "t", "profile": {}, "expect": "no rule"}] * 2), "2 tests are named t"),
    (a_file(a_rule(), a_rule()), "2 rules are named Retail"),
    (a_file(a_rule(when={}), a_rule(name="Late")), "never reached"),
    (a_file(a_rule(mode="replace", skills={})), "strip agents of all skills"),
    (a_file(a_rule(skills={}), defaults={"mode": "replace"}), "strip agents of all skills"),
    (a_file(unmatched="defaults", defaults={"mode": "replace"}), "strip unmatched agents"),
    (a_file(defaults={"skills": {"A": 1}}), "never given while unmatched is fail"),
]


@pytest.mark.parametrize(
    ("given", "about"), REFUSED, ids=[f"{number}: {about}" for number, (_, about) in enumerate(REFUSED)]
)
def test_what_is_wrong_is_refused(given: dict[str, Any], about: str) -> None:
    """Each fault is refused by itself, and the error is about that fault."""
    with pytest.raises(ValidationError) as caught:
        Rules.model_validate(given)

    assert caught.value.error_count() == 1
    assert about in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        a_file(),
        a_file(match="first", unmatched="fail"),
        a_file(a_rule(skills={"A": 0, "B": 5})),
        a_file(a_rule(skills=[{"name": "A", "proficiency": 2.5}])),
        a_file(a_rule(skills={}, phone=False)),
        a_file(a_rule(when={"department": ["A", "B *", ""], "title": "x", "division": "y", "email_domain": "z.test"})),
        a_file(a_rule(), a_rule(name="Everyone else", when={})),
        a_file(a_rule(when={}), a_rule(name="Late"), match="merge"),
        a_file(
            a_rule(
                languages={"French": 4},
                utilization={"call": 1, "chat": {"capacity": 3, "interruptible": ["call"]}, "email": {"capacity": 0}},
                division="Seasonal",
                roles=["employee", {"name": "Supervisor", "divisions": ["Home"]}],
                groups=["Retail Floor"],
                queues=["Overflow"],
            )
        ),
        a_file(a_rule(languages=[{"name": "French", "proficiency": 2.5}])),
        a_file(
            tests=[
                {
                    "name": "a",
                    "profile": {"department": "Retail"},
                    "expect": {"skills": {"Orders": 1.0}, "division": ""},
                },
                {"name": "b", "profile": {}, "expect": "no rule"},
            ]
        ),
        a_file(unmatched="defaults", defaults={"mode": "replace", "phone": False, "skills": {"A": 1}}),
    ],
)
def test_what_is_right_is_taken_by_model_and_schema(given: dict[str, Any]) -> None:
    """Every form that the model takes, the JSON Schema that it emits takes too."""
    Rules.model_validate(given)
    jsonschema.validate(given, Rules.model_json_schema())


def test_the_schema_refuses_what_an_editor_should_mark() -> None:
    """The JSON Schema knows keys, choices and bounds."""
    schema = Rules.model_json_schema()
    validator = jsonschema.validators.validator_for(schema)(schema)

    for wrong in (a_file(nonsense=1), a_file(a_rule(skills={"A": 7})), a_file(a_rule(mode="add")), a_file(version=2)):
        assert not validator.is_valid(wrong)


def test_the_shipped_file_fits_the_schema() -> None:
    """The rules that jitprov ships are valid by the schema that it emits."""
    jsonschema.validate(yaml.safe_load(SHIPPED.read_text()), Rules.model_json_schema())


def test_the_order_of_skills_is_kept() -> None:
    """Skills come in the order of the file, in both forms."""
    names = ["Zulu", "Alpha", "Mike"]
    mapping, listed = (
        rated(Rules.model_validate(a_file(a_rule(skills=skills))).rules[0].skills)
        for skills in (dict.fromkeys(names, 1.0), [{"name": name, "proficiency": 1.0} for name in names])
    )

    assert list(mapping) == list(listed) == names
