"""The last word on demo and benchmark: every field that rules give is looked at, and nothing else counts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from jitprov.cli.acceptance import wrong_agents
from jitprov.rules.loader import parse_rules

RULES = parse_rules(b"""\
version: 1
rules:
  - name: Retail
    when: {department: Retail, location: Lyon}
    skills: {Sales: 2.5}
    languages: {French: 3}
    utilization: {chat: {capacity: 2, interruptible: [call]}, email: 4}
    division: Seasonal
    roles: [Agent, {name: Supervisor, divisions: [Home]}]
    groups: [Floor]
    queues: [Calls, Chats]
    phone: {site: Branch, base: Soft}
  - name: Back office
    when: {department: Payroll}
    phone: false
""")
USUAL = {
    media: {"maximumCapacity": 1, "interruptableMediaTypes": ["call"]} for media in ("call", "chat", "email", "message")
}
STATE: dict[str, Any] = {
    "default_site_id": "s1",
    "organization": {
        "home_division": "Home",
        "divisions": {"d1": "Home", "d2": "Seasonal"},
        "utilization": USUAL,
        "sites": {"s1": "Main", "s2": "Branch"},
        "phone_bases": {"b1": "First", "b2": "Soft"},
    },
    "users": [
        {
            "id": "robin",
            "department": "Retail",
            "locations": ["Lyon"],
            "division_id": "d2",
            "skills": [{"name": "Sales", "proficiency": 2.5}],
            "languages": [{"name": "French", "proficiency": 3.0}],
            "utilization": {
                "utilization": USUAL
                | {
                    "chat": {"maximumCapacity": 2, "interruptableMediaTypes": ["call"]},
                    "email": {"maximumCapacity": 4, "interruptableMediaTypes": ["call"]},
                }
            },
            "roles": [
                {"name": "Agent", "division_id": "d2"},
                {"name": "Supervisor", "division_id": "d1"},
                {"name": "employee", "division_id": "d1"},
            ],
            "groups": ["Floor"],
            "queues": ["Chats", "Calls"],
            "phones": [{"station_id": "st", "site_id": "s2", "phone_base_id": "b2"}],
            "default_station_id": "st",
        },
        {
            "id": "sam",
            "department": "Payroll",
            "division_id": "d1",
            "skills": [],
            "languages": [],
            "utilization": None,
            "roles": [{"name": "employee", "division_id": "d1"}],
            "groups": [],
            "queues": [],
            "phones": [],
            "default_station_id": None,
        },
    ],
}


def test_who_has_what_the_rules_give_is_not_wrong() -> None:
    """Also one whose rules give nothing, and who has nothing."""
    assert wrong_agents(STATE, RULES) == []


BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "skills": lambda user: user["skills"][0].update(proficiency=1.0),
    "languages": lambda user: user["languages"].clear(),
    "groups": lambda user: user["groups"].append("Another"),
    "queues": lambda user: user["queues"].pop(),
    "division": lambda user: user.update(division_id="d1"),
    "utilization": lambda user: user.update(utilization=None),
    "roles": lambda user: user["roles"][1].update(division_id="d2"),
    "phones": lambda user: user["phones"].append(user["phones"][0]),
    "default station": lambda user: user.update(default_station_id="another"),
    "site": lambda user: user["phones"][0].update(site_id="s1"),
    "base": lambda user: user["phones"][0].update(phone_base_id="b1"),
    "no rule": lambda user: user.update(locations=["Nice"]),
}


@pytest.mark.parametrize("what", BREAKS)
def test_each_field_is_looked_at(what: str) -> None:
    """What is missing, too much or otherwise of any one field is told, of that agent alone."""
    state = copy.deepcopy(STATE)
    BREAKS[what](state["users"][0])

    wrong = wrong_agents(state, RULES)

    assert {each.user_id for each in wrong} == {"robin"}
    assert any(what in each.what for each in wrong)
    assert wrong_agents(state, RULES, of={"sam"}) == []


def test_a_phone_beyond_the_rules_is_told() -> None:
    """Whoever shall have none must have none."""
    state = copy.deepcopy(STATE)
    state["users"][1]["phones"] = state["users"][0]["phones"]

    assert [each.what for each in wrong_agents(state, RULES)] == ["1 phones instead of 0"]
