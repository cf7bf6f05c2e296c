"""Tests that stand in a rules file."""

from __future__ import annotations

from typing import Any

import pytest

from jitprov.rules.engine import RuleBook
from jitprov.rules.loader import load_rules
from jitprov.rules.model import Rules

RULE = {
    "name": "it",
    "when": {"department": "Retail", "email_domain": "example.test"},
    "skills": {"S": 1},
    "languages": {"French": 4},
    "utilization": {"chat": {"capacity": 3, "interruptible": ["email", "call"]}},
    "division": "Seasonal",
    "roles": ["Agent", {"name": "Supervisor", "divisions": ["Home"]}],
    "groups": ["Floor", "Everyone"],
    "queues": ["Calls"],
}


def differing(expect: Any, **profile: str) -> list[str]:
    given = {"department": "Retail", "email": "robin@example.test"} | profile
    tests = [{"name": "t", "profile": given, "expect": expect}]
    book = RuleBook(Rules.model_validate({"version": 1, "rules": [RULE], "tests": tests}))
    return [found.what for found in book.try_example(book.examples[0])]


def test_the_shipped_tests_hold() -> None:
    """The rules that jitprov ships pass the tests that they ship with."""
    book = load_rules()

    assert len(book.examples) == 3
    assert [found for example in book.examples for found in book.try_example(example)] == []


def test_what_is_as_expected_makes_no_difference() -> None:
    """Every field can be expected, in either form and in any order; what is left out is not compared."""
    expect = {
        "rules": ["it"],
        "mode": "merge",
        "phone": True,
        "skills": [{"name": "S", "proficiency": 1}],
        "languages": {"French": 4},
        "utilization": {"chat": {"capacity": 3, "interruptible": ["call", "email"]}},
        "division": "Seasonal",
        "roles": [{"name": "Supervisor", "divisions": ["Home"]}, "Agent"],
        "groups": ["Everyone", "Floor"],
        "queues": ["Calls"],
    }

    assert differing(expect) == []
    assert differing({"phone": True}) == []
    assert differing("no rule", department="Payroll") == []


@pytest.mark.parametrize(
    "expect",
    [
        {"rules": []},
        {"mode": "replace"},
        {"phone": False},
        {"skills": {"S": 2}},
        {"skills": {}},
        {"languages": {"French": 4, "German": 1}},
        {"utilization": {"chat": 3}},
        {"utilization": {"chat": {"capacity": 2, "interruptible": ["call", "email"]}}},
        {"division": ""},
        {"roles": ["Agent"]},
        {"groups": ["Floor"]},
        {"queues": []},
    ],
    ids=str,
)
def test_each_difference_is_seen(expect: dict[str, Any]) -> None:
    """A field that is expected otherwise is told, by its name."""
    assert differing(expect) == list(expect)


def test_a_rule_where_none_was_expected_is_seen() -> None:
    """`no rule` against a rule that covers, and the other way round, are differences."""
    assert differing("no rule") == ["rules"]
    assert differing({"phone": True}, department="Payroll") == ["rules"]
