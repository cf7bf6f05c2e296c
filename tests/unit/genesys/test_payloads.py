"""The border between the API's JSON and the domain: what is taken, what is named when it is missing, what is sent."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from builders import a_profile
from jitprov.domain.agent import RatedLanguage, RatedSkill
from jitprov.genesys.payloads import (
    Malformed,
    PhoneSetup,
    entities_of,
    parse_phone,
    parse_user,
    phone_body,
    phone_name,
    skills_body,
    text_of,
)

USER_ID = "0a1b2c3d-0000-4000-8000-00000000000f"


def test_a_user_becomes_a_profile() -> None:
    """Every field that the domain knows is taken, the id in lower case, unknown fields are left alone."""
    profile = parse_user(
        {
            "id": USER_ID.upper(),
            "name": "Robin Example",
            "email": "robin@example.test",
            "department": "Retail",
            "title": "Agent",
            "division": {"id": "d", "name": "Home"},
            "state": "inactive",
            "skills": [{"id": "s", "name": "Billing", "proficiency": 2}],
            "languages": [{"id": "l", "name": "French", "proficiency": 3.5}],
            "station": {"defaultStation": {"id": "st"}},
            "version": 3,
            "somethingNew": {"a": [1]},
        }
    )

    assert profile == a_profile(
        user_id=USER_ID,
        department="Retail",
        division="Home",
        state="inactive",
        skills=(RatedSkill("Billing", 2.0, "s"),),
        default_station_id="st",
        division_id="d",
        languages=(RatedLanguage("French", 3.5, "l"),),
    )


@pytest.mark.parametrize("absent", [{}, {"department": None, "title": None, "division": None, "skills": None}])
def test_a_user_may_be_bare(absent: dict[str, Any]) -> None:
    """Only the id is needed; what is missing or null is empty, and the state is the API's default."""
    profile = parse_user({"id": USER_ID} | absent)

    assert (profile.department, profile.title, profile.division, profile.skills) == ("", "", "", ())
    assert profile.state == "active"


@pytest.mark.parametrize("user_id", [None, "", 7, "*", "not-a-uuid", f"{USER_ID}/x"])
def test_a_user_without_a_sound_id_is_refused_by_field(user_id: Any) -> None:
    """The error names the field, never its content."""
    with pytest.raises(Malformed) as caught:
        parse_user({"id": user_id, "name": "Robin"})

    assert str(caught.value) == "id"


@pytest.mark.parametrize("content", [None, [], {}, {"entities": None}, {"entities": {}}, {"entities": [1]}])
def test_a_listing_without_entities_is_refused(content: Any) -> None:
    """A listing is a list of objects or nothing."""
    with pytest.raises(Malformed, match="entities"):
        entities_of(content)


@pytest.mark.parametrize("content", [None, {}, {"lines": []}, {"lines": {}}, {"lines": [{"id": 5}]}, {"lines": [{}]}])
def test_a_missing_text_is_named_by_its_path(content: Any) -> None:
    """Whatever stands in the way, the error names the whole path."""
    with pytest.raises(Malformed, match=r"^lines\.0\.id$"):
        text_of(content, "lines", 0, "id")


def test_skills_are_sent_by_id_and_rating() -> None:
    """Names are not sent: the bulk operations take ids."""
    assert skills_body([RatedSkill("A", 0.0, "1"), RatedSkill("B", 5.0, "2")]) == [
        {"id": "1", "proficiency": 0.0},
        {"id": "2", "proficiency": 5.0},
    ]


def test_a_phone_is_sent_with_all_that_it_needs() -> None:
    """Name, site, phone base, one line with its base, and the user: what the model requires, and no id of its own."""
    body = phone_body(USER_ID, "a phone", PhoneSetup("site", "base", "line-base"))

    assert {"name", "site", "phoneBaseSettings", "lines", "webRtcUser"} <= set(body)
    assert body["webRtcUser"] == {"id": USER_ID}
    assert [line["lineBaseSettings"] for line in body["lines"]] == [{"id": "line-base"}]
    assert "id" not in body


def test_two_agents_of_one_name_have_two_phone_names() -> None:
    """Phone names must be unique in an organization."""
    names = {phone_name(a_profile(name="Robin Example", user_id=str(uuid4()))) for _ in range(50)}

    assert len(names) == 50


def test_a_phone_name_is_the_same_each_time() -> None:
    """A second try asks for the name of the first, and tells whose phone it is."""
    profile = a_profile(name="Robin Example", user_id=USER_ID)

    assert phone_name(profile) == phone_name(profile)
    assert "Robin Example" in phone_name(profile)
    assert USER_ID[:8] in phone_name(profile)


@pytest.mark.parametrize(
    "name", ["", "   ", "*", "a,b*c", "x\r\ny", "\u202eevil", "\x00", "Ada " * 200, "李雷", "Zoë-Ann O'Hara"]
)
def test_a_phone_name_is_short_and_safe(name: str) -> None:
    """No wildcard and no comma, which filters read as more than a name; printable, trimmed and bounded."""
    made = phone_name(a_profile(name=name, user_id=USER_ID))

    assert not set(made) & set("*,\r\n\x00\u202e")
    assert made == made.strip()
    assert made.isprintable()
    assert 0 < len(made) <= 80


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"division": "x"}, "division"),
        ({"division": [1]}, "division"),
        ({"skills": 5}, "skills"),
        ({"skills": ["x"]}, "skills.proficiency"),
        ({"skills": [{"id": "s", "proficiency": True}]}, "skills.proficiency"),
        ({"station": [1]}, "station"),
        ({"station": {"defaultStation": "x"}}, "defaultStation"),
    ],
)
def test_a_field_of_another_kind_is_named(more: dict[str, Any], field: str) -> None:
    """Whatever the API sends, it ends as a named field, never as an error of ours."""
    with pytest.raises(Malformed) as caught:
        parse_user({"id": USER_ID} | more)

    assert str(caught.value) == field


@pytest.mark.parametrize("owner", [{}, {"webRtcUser": None}, {"webRtcUser": {"id": str(uuid4())}}])
def test_a_phone_must_be_its_users(owner: dict[str, Any]) -> None:
    """A phone that is not shown to be the user's is not taken for theirs."""
    with pytest.raises(Malformed, match=r"webRtcUser\.id"):
        parse_phone({"id": "p", "lines": [{"id": "l"}]} | owner, USER_ID)
