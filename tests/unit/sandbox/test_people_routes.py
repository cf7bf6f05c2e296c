"""Users: who is shown, who is found, what may change."""

from __future__ import annotations

from typing import Any

import pytest


def ids_of(answer: Any) -> list[str]:
    """Return the ids on a page."""
    body = answer.json()
    return [entity["id"] for entity in body.get("entities", body.get("results"))]


def test_a_listing_leaves_inactive_users_out_unless_asked(api: Any) -> None:
    """The default state is active; `any` shows both, deleted users neither."""
    active, inactive = (api.control.sign_in(count=1, state=state)[0]["id"] for state in ("active", "inactive"))
    deleted = api.control.sign_in(count=1)[0]["id"]
    api("DELETE", f"/users/{deleted}")

    assert ids_of(api("GET", "/users")) == [active]
    assert ids_of(api("GET", "/users", params={"state": "any"})) == [active, inactive]
    assert ids_of(api("GET", "/users", params={"state": "inactive"})) == [inactive]
    assert ids_of(api("GET", "/users", params={"state": "deleted"})) == [deleted]


def test_users_are_fetched_by_ids_in_pages(api: Any) -> None:
    """Repeated ids select users, unknown ones are passed over, and the page still holds 25 unless told otherwise."""
    wanted = [user["id"] for user in api.control.sign_in(count=30)]

    first = api("GET", "/users", params={"id": [*wanted, "unknown"]})
    whole = api("GET", "/users", params={"id": wanted, "pageSize": 100})

    assert ids_of(first) == wanted[:25]
    assert (first.json()["total"], first.json()["pageCount"]) == (30, 2)
    assert "nextUri" in first.json()
    assert "previousUri" not in first.json()
    assert ids_of(whole) == wanted


def test_more_than_a_hundred_ids_are_refused(api: Any) -> None:
    """The 101st id gets the API's own error code."""
    answer = api("GET", "/users", params={"id": [f"id-{number}" for number in range(101)]})

    assert (answer.status_code, answer.json()["code"]) == (400, "max.user.ids")


def test_an_unknown_expansion_is_refused(api: Any, user_id: str) -> None:
    """Only the expansions of the description exist, each as a value of its own."""
    assert api("GET", f"/users/{user_id}", params={"expand": ["skills", "languages"]}).json()["skills"] == []
    assert api("GET", f"/users/{user_id}", params={"expand": "skills,languages"}).status_code == 400
    assert "skills" not in api("GET", f"/users/{user_id}").json()


def test_a_stale_version_changes_nothing(api: Any, user_id: str) -> None:
    """A change must name the current version, which every change counts up."""
    path = f"/users/{user_id}"
    assert api("PATCH", path, json={"version": 1, "title": "First"}).json()["version"] == 2

    late = api("PATCH", path, json={"version": 1, "title": "Late"})

    assert (late.status_code, late.json()["code"]) == (409, "general.conflict")
    assert api("GET", path).json()["title"] == "First"
    assert api("PATCH", path, json={"title": "No version"}).status_code == 400


def test_a_change_of_state_stands_alone(api: Any, user_id: str) -> None:
    """With `state` in the body no other field may change; alone it works."""
    path = f"/users/{user_id}"

    assert api("PATCH", path, json={"version": 1, "state": "inactive", "title": "X"}).status_code == 400
    assert api("PATCH", path, json={"version": 1, "state": "inactive"}).json()["state"] == "inactive"


def test_skills_cannot_be_set_through_the_profile(api: Any, user_id: str) -> None:
    """Read-only parts of a user in a PATCH have no effect."""
    api("PATCH", f"/users/{user_id}", json={"version": 1, "skills": [{"id": "x"}], "division": {"id": "x"}})

    assert api.control.state(user_id)["users"][0]["skills"] == []
    assert api("GET", f"/users/{user_id}").json()["division"]["name"] == "Home"


def test_a_new_user_is_inactive_and_its_address_its_own(api: Any) -> None:
    """No invitation is sent, so the state is inactive; the address cannot be used twice, in any case."""
    home = api("GET", "/authorization/divisions/home").json()["id"]
    body = {"name": "Robin Example", "email": "robin@example.test", "divisionId": home}

    made = api("POST", "/users", json=body)
    again = api("POST", "/users", json=body | {"email": "ROBIN@example.test"})
    nowhere = api("POST", "/users", json=body | {"email": "x@example.test", "divisionId": "nowhere"})

    assert made.json()["state"] == "inactive"
    assert (again.status_code, nowhere.status_code) == (409, 404)


def test_a_deleted_user_is_read_and_restored_only_on_purpose(api: Any, user_id: str) -> None:
    """Reading needs `state=deleted`; a PATCH of the state brings the user back."""
    api("DELETE", f"/users/{user_id}")
    assert api("GET", f"/users/{user_id}").status_code == 404
    version = api("GET", f"/users/{user_id}", params={"state": "deleted"}).json()["version"]

    restored = api("PATCH", f"/users/{user_id}", json={"version": version, "state": "active"})

    assert restored.json()["state"] == "active"
    assert api("GET", f"/users/{user_id}").status_code == 200


def test_made_up_conflicts_come_as_often_as_told(api_with: Any) -> None:
    """With the share at 1 every change meets a 409 although its version is right."""
    api = api_with(version_conflict_share=1.0)
    user_id = api.control.sign_in(count=1)[0]["id"]

    assert api("PATCH", f"/users/{user_id}", json={"version": 1, "title": "X"}).status_code == 409


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ([{"type": "EXACT", "fields": ["email"], "value": "BO@example.test"}], ["Bo"]),
        ([{"type": "EXACT", "fields": ["name"], "values": ["Ann", "Bo"]}], ["Ann", "Bo"]),
        ([{"type": "STARTS_WITH", "fields": ["name", "department"], "value": "s"}], ["Bo", "Cy"]),
        ([{"type": "CONTAINS", "fields": ["department"], "value": "tail"}], ["Bo"]),
        (
            [
                {"type": "EXACT", "fields": ["department"], "value": "Seasonal_Tech_Support"},
                {"type": "EXACT", "fields": ["name"], "value": "Ann", "operator": "OR"},
            ],
            ["Ann", "Cy"],
        ),
        (
            [
                {"type": "MATCH_ALL"},
                {"type": "EXACT", "fields": ["name"], "value": "Ann", "operator": "NOT"},
            ],
            ["Bo", "Cy"],
        ),
        ([{"type": "REQUIRED_FIELDS", "fields": ["department"]}], ["Bo", "Cy"]),
        ([{"type": "EXACT", "fields": ["state"], "value": "deleted"}], ["Dee"]),
        ([{"type": "EXACT", "fields": ["email"], "value": "nobody@example.test"}], []),
    ],
)
def test_a_search_finds_exactly_those_who_fit(api: Any, criteria: list[dict[str, Any]], found: list[str]) -> None:
    """Criteria combine with AND, OR and NOT, compare without case, and reach deleted users by state only."""
    people = [("Ann", None), ("Bo", "Seasonal_Retail"), ("Cy", "Seasonal_Tech_Support"), ("Dee", None)]
    agents = [{"name": name, "email": f"{name}@example.test", "department": department} for name, department in people]
    users = api.control.sign_in(agents)
    api("DELETE", f"/users/{users[3]['id']}")

    body = {"query": criteria, "sortBy": "name", "sortOrder": "ASC"}
    answer = api("POST", "/users/search", json=body).json()

    assert [user["name"] for user in answer["results"]] == found
    assert answer["total"] == len(found)


@pytest.mark.parametrize(
    "criterion",
    [
        {"type": "EXACT", "fields": ["shoe_size"], "value": "44"},
        {"type": "EXACT", "fields": ["name"]},
        {"type": "REGEX", "fields": ["name"], "value": "("},
        {"fields": ["name"], "value": "x"},
    ],
)
def test_a_search_that_makes_no_sense_is_refused(api: Any, criterion: dict[str, Any]) -> None:
    """An unknown field, a missing value or type, an expression that cannot be read: 400."""
    assert api("POST", "/users/search", json={"query": [criterion]}).status_code == 400
