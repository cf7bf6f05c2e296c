"""Phones: what a new one needs, and when it is found."""

from __future__ import annotations

from typing import Any

import pytest

PHONES = "/telephony/providers/edges/phones"


def found(api: Any, **filters: Any) -> list[str]:
    """Return the names of the phones that pass filters."""
    return [phone["name"] for phone in api("GET", PHONES, params=filters).json()["entities"]]


def by_user(user_id: str) -> dict[str, str]:
    """Return the filter for one user's phones."""
    return {"webRtcUser.id": user_id}


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"name": None}, "name", "bad.request"),
        ({"name": " "}, "name", "bad.request"),
        ({"site": None}, "site", "bad.request"),
        ({"site": {"id": "nowhere"}}, "site.id", "invalid.value"),
        ({"phoneBaseSettings": None}, "phoneBaseSettings", "base.settings.required"),
        ({"phoneBaseSettings": {}}, "phoneBaseSettings.id", "base.settings.required"),
        ({"phoneBaseSettings": {"id": "none"}}, "phoneBaseSettings.id", "base.settings.required"),
        ({"lines": None}, "lines", "lines.required"),
        ({"lines": []}, "lines", "lines.required"),
        ({"lines": [{"name": "no base"}]}, "lines.0.lineBaseSettings.id", "invalid.value"),
        ({"webRtcUser": None}, "webRtcUser.id", "webrtc.user.required"),
        ({"webRtcUser": {}}, "webRtcUser.id", "webrtc.user.required"),
        ({"webRtcUser": {"id": "nobody"}}, "webRtcUser.id", "invalid.value"),
    ],
)
def test_a_phone_that_lacks_something_is_refused(
    api: Any, user_id: str, change: dict[str, Any], field: str, code: str
) -> None:
    """Each thing a WebRTC phone needs is named when it is missing or unknown, and no phone is made."""
    body = {name: value for name, value in (api.phone_body(user_id) | change).items() if value is not None}

    answer = api("POST", PHONES, json=body)

    assert answer.status_code == 400
    assert [answer.json()["code"], answer.json()["details"][0]["fieldName"]] == [code, field]
    assert found(api) == []


def test_only_a_webrtc_phone_has_a_user(api: Any, user_id: str) -> None:
    """A desk phone is made without a user and refused with one."""
    desk = api.phone_body(None, "desk", base="Generic SIP Phone")

    assert api("POST", PHONES, json=desk).status_code == 200
    assert api("POST", PHONES, json=desk | {"name": "x", "webRtcUser": {"id": user_id}}).status_code == 400


def test_the_user_shows_in_a_listing_only_when_asked_for(api: Any, user_id: str) -> None:
    """A listing leaves the WebRTC user out without `fields=webRtcUser`; one phone read by id has it."""
    phone = api.make_phone(user_id)

    plain = api("GET", PHONES, params=by_user(user_id)).json()["entities"][0]
    asked = api("GET", PHONES, params=by_user(user_id) | {"fields": "webRtcUser"}).json()["entities"][0]

    assert "webRtcUser" not in plain
    assert asked["webRtcUser"]["id"] == user_id
    assert api("GET", f"{PHONES}/{phone['id']}").json()["webRtcUser"]["id"] == user_id


def test_a_filter_of_another_spelling_filters_nothing(api: Any) -> None:
    """`webRtcUserId` is the stations' parameter; on phones it is ignored, so all phones come back."""
    for number, user in enumerate(api.control.sign_in(count=2)):
        api.make_phone(user["id"], f"phone {number}")

    assert found(api, webRtcUserId="nobody") == ["phone 0", "phone 1"]
    assert found(api, **by_user("nobody")) == []


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"name": "Ann's phone"}, ["Ann's phone"]),
        ({"name": "ANN'S PHONE"}, ["Ann's phone"]),
        ({"name": "Ann"}, []),
        ({"name": "*phone"}, ["Ann's phone", "Bo's phone"]),
        ({"name": "Ann*,Cy*"}, ["Ann's phone", "Cy's desk"]),
        ({"webRtcUser.id": "*", "name": "*desk"}, ["Cy's desk"]),
        ({"site.id": "*"}, ["Ann's phone", "Bo's phone", "Cy's desk"]),
        ({"site.id": "nowhere"}, []),
    ],
)
def test_filters_take_stars_and_lists(api: Any, filters: dict[str, str], names: list[str]) -> None:
    """A name is compared whole and without case, `*` stands for any text, commas separate names."""
    for user, name in zip(api.control.sign_in(count=3), ("Ann's phone", "Bo's phone", "Cy's desk"), strict=True):
        api.make_phone(user["id"], name)

    assert found(api, **filters) == names


@pytest.mark.parametrize("is_unique", [True, False])
def test_a_name_in_use_is_refused_when_names_are_unique(api_with: Any, is_unique: bool) -> None:
    """The same name a second time gets 400 or a second phone, as told; a deleted phone frees its name."""
    api = api_with(unique_phone_names=is_unique)
    user_id = api.control.sign_in(count=1)[0]["id"]
    phone = api.make_phone(user_id)

    again = api("POST", PHONES, json=api.phone_body(user_id))
    api("DELETE", f"{PHONES}/{phone['id']}")

    assert again.status_code == (400 if is_unique else 200)
    assert api("POST", PHONES, json=api.phone_body(user_id)).status_code == 200


@pytest.mark.parametrize(("one_each", "status"), [(True, 400), (False, 200)])
def test_a_second_phone_of_one_user_is_made_unless_told_otherwise(api_with: Any, one_each: bool, status: int) -> None:
    """By default doubles are possible, so that a careless client is seen."""
    api = api_with(one_webrtc_phone_per_user=one_each)
    user_id = api.control.sign_in(count=1)[0]["id"]
    api.make_phone(user_id, "one")

    assert api("POST", PHONES, json=api.phone_body(user_id, "two")).status_code == status


def test_a_new_phone_can_be_listed_late(api_with: Any) -> None:
    """With a listing lag the phone is read by id at once and found only later."""
    api = api_with(phone_listing_lag_s=3600)
    user_id = api.control.sign_in(count=1)[0]["id"]
    phone = api.make_phone(user_id)

    assert found(api, **by_user(user_id)) == []
    assert api("GET", f"{PHONES}/{phone['id']}").status_code == 200
    api.control.advance_clock(3600)
    assert found(api, **by_user(user_id)) == ["a phone"]


@pytest.mark.parametrize("stay_listed", [True, False])
def test_a_deleted_phone_may_stay_in_the_listing(api_with: Any, stay_listed: bool) -> None:
    """Told so, the listing shows a deleted phone with that state; by id it is gone either way."""
    api = api_with(deleted_phones_listed=stay_listed)
    user_id = api.control.sign_in(count=1)[0]["id"]
    phone = api.make_phone(user_id)
    api("DELETE", f"{PHONES}/{phone['id']}")

    states = [entry["state"] for entry in api("GET", PHONES, params=by_user(user_id)).json()["entities"]]

    assert states == (["deleted"] if stay_listed else [])
    assert api("GET", f"{PHONES}/{phone['id']}").status_code == 404


def test_a_changed_phone_keeps_its_lines(api: Any, user_id: str) -> None:
    """PUT renames the phone, counts its version up, keeps line ids, and a stale version is refused."""
    phone = api.make_phone(user_id)
    body = api.phone_body(user_id, "renamed") | {"version": 1}

    changed = api("PUT", f"{PHONES}/{phone['id']}", json=body).json()

    assert (changed["name"], changed["version"]) == ("renamed", 2)
    assert changed["lines"][0]["id"] == phone["lines"][0]["id"]
    assert found(api, name="renamed") == ["renamed"]
    assert api("PUT", f"{PHONES}/{phone['id']}", json=body).status_code == 409


@pytest.mark.parametrize("is_set", [True, False])
def test_the_wish_for_a_default_line_may_be_heard(api_with: Any, is_set: bool) -> None:
    """`lines[0].defaultForUser` in a new phone sets the default station only when told."""
    api = api_with(default_for_user_sets_default=is_set, assignment_lag_s=(0.0, 0.0))
    user_id = api.control.sign_in(count=1)[0]["id"]
    body = api.phone_body(user_id)
    body["lines"][0]["defaultForUser"] = {"id": user_id}

    api("POST", PHONES, json=body)

    user = api.control.state(user_id)["users"][0]
    assert user["default_station_id"] == (user["phones"][0]["station_id"] if is_set else None)
