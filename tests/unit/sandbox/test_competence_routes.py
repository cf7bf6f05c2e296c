"""Skills, languages and utilization: the catalogue, assignments that are all or nothing."""

from __future__ import annotations

from typing import Any

import pytest

NOBODY = "00000000-0000-4000-8000-000000000000"


def skills_of(api: Any, user_id: str) -> dict[str, float]:
    """Return a user's skills by name, as the control port sees them."""
    return {skill["name"]: skill["proficiency"] for skill in api.control.state(user_id)["users"][0]["skills"]}


def rating(api: Any, name: str, proficiency: float = 1.0) -> dict[str, Any]:
    """Return one entry of a bulk body."""
    return {"id": api.skill_id(name), "proficiency": proficiency}


def test_the_name_filter_is_a_prefix_in_any_case(api: Any) -> None:
    """Asking for one skill by name also brings its namesakes, longer names and case twins."""
    entries = api("GET", "/routing/skills", params={"name": "Customer_Service"}).json()["entities"]

    names = [entry["name"] for entry in entries]
    assert {"Customer_Service", "customer_service", "Customer_Service_French"} <= set(names)
    assert all(name.lower().startswith("customer_service") for name in names)


def test_the_catalogue_comes_in_pages(api: Any) -> None:
    """One page holds 25 skills unless told otherwise, and the pages together hold every skill once."""
    whole = api("GET", "/routing/skills", params={"pageSize": 500}).json()
    pages = [api("GET", "/routing/skills", params={"pageNumber": number}).json() for number in (1, 2, 3)]

    assert whole["total"] > 50
    assert [len(page["entities"]) for page in pages] == [25, 25, whole["total"] - 50]
    assert ["nextUri" in page for page in pages] == [True, True, False]
    assert ["previousUri" in page for page in pages] == [False, True, True]
    assert [entry["id"] for page in pages for entry in page["entities"]] == [entry["id"] for entry in whole["entities"]]


def test_patch_adds_and_rates_put_replaces(api: Any, user_id: str) -> None:
    """After a PATCH other skills stay; after a PUT only those named are left."""
    path = f"/users/{user_id}/routingskills/bulk"
    api("PATCH", path, json=[rating(api, "Customer_Service"), rating(api, "Order_Tracking", 2)])

    patched = api("PATCH", path, json=[rating(api, "Order_Tracking", 4.5)])
    assert skills_of(api, user_id) == {"Customer_Service": 1.0, "Order_Tracking": 4.5}
    assert [entry["name"] for entry in patched.json()["entities"]] == ["Customer_Service", "Order_Tracking"]

    api("PUT", path, json=[rating(api, "Basic_Troubleshooting", 0)])
    assert skills_of(api, user_id) == {"Basic_Troubleshooting": 0.0}


@pytest.mark.parametrize("status", [400, 404])
def test_one_unknown_skill_refuses_the_whole_assignment(api_with: Any, status: int) -> None:
    """An unknown id gets the status told, names the id, and nothing is assigned."""
    api = api_with(unknown_skill_status=status)
    user_id = api.control.sign_in(count=1)[0]["id"]
    body = [rating(api, "Customer_Service"), {"id": NOBODY, "proficiency": 1}]

    answer = api("PATCH", f"/users/{user_id}/routingskills/bulk", json=body)

    assert answer.status_code == status
    assert answer.json()["entityId"] == NOBODY
    assert skills_of(api, user_id) == {}


def test_a_retired_skill_cannot_be_assigned(api: Any, user_id: str) -> None:
    """A skill whose state is not active counts as unknown."""
    body = [rating(api, "Holiday_Hotline_2019")]

    assert api("PATCH", f"/users/{user_id}/routingskills/bulk", json=body).status_code == 400


@pytest.mark.parametrize("count", [50, 51])
def test_fifty_skills_fit_fifty_one_do_not(api: Any, user_id: str, count: int) -> None:
    """A bulk call takes at most 50 entries."""
    entries = api("GET", "/routing/skills", params={"pageSize": 500}).json()["entities"]
    active = [entry for entry in entries if entry["state"] == "active"][:count]
    body = [{"id": entry["id"], "proficiency": 1} for entry in active]

    answer = api("PATCH", f"/users/{user_id}/routingskills/bulk", json=body)

    assert (answer.status_code, len(skills_of(api, user_id))) == ((200, 50) if count == 50 else (400, 0))


@pytest.mark.parametrize("proficiency", [-0.1, 5.1, "1", True, None])
def test_a_proficiency_outside_its_bounds_is_refused(api: Any, user_id: str, proficiency: Any) -> None:
    """Proficiency is a number from 0 to 5, and the answer names the entry."""
    body = [rating(api, "Customer_Service"), {"id": api.skill_id("Order_Tracking"), "proficiency": proficiency}]

    answer = api("PATCH", f"/users/{user_id}/routingskills/bulk", json=body)

    assert answer.status_code == 400
    assert answer.json()["details"][0]["fieldName"] == "1.proficiency"
    assert skills_of(api, user_id) == {}


def test_inactive_users_can_be_told_to_have_no_skills(api_with: Any) -> None:
    """With the option on, an inactive user is refused; by default they are not."""
    api = api_with(sign_in_state="inactive")
    user_id = api.control.sign_in(count=1)[0]["id"]
    path, body = f"/users/{user_id}/routingskills/bulk", [rating(api, "Customer_Service")]

    usual = api("PATCH", path, json=body).status_code
    api.control.patch_options(skills_need_active_user=True)

    assert (usual, api("PATCH", path, json=body).status_code) == (200, 400)


def test_media_left_out_fall_back_to_the_organization(api: Any, user_id: str) -> None:
    """A PUT sets what it names, the rest is the organization's; DELETE puts everything back."""
    path = f"/routing/users/{user_id}/utilization"
    usual = api("GET", path).json()
    body = {"utilization": {"chat": {"maximumCapacity": 2}}}

    own = api("PUT", path, json=body).json()

    assert (usual["level"], own["level"]) == ("Organization", "Agent")
    assert own["utilization"]["chat"]["maximumCapacity"] == 2
    assert own["utilization"]["call"] == usual["utilization"]["call"]
    assert api("DELETE", path).status_code == 204
    assert api("GET", path).json() == usual
