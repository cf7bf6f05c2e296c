"""Stations: seen late, assigned later still."""

from __future__ import annotations

import threading
from typing import Any

import pytest

PHONES = "/telephony/providers/edges/phones"


def listed(api: Any, user_id: str) -> list[dict[str, Any]]:
    """Return what the search index knows of a user's stations."""
    entities: list[dict[str, Any]] = api("GET", "/stations", params={"webRtcUserId": user_id}).json()["entities"]
    return entities


def station_id_of(api: Any, user_id: str) -> str:
    """Return the id of the station behind a user's phone, listed or not."""
    return str(api.control.state(user_id)["users"][0]["phones"][0]["station_id"])


def test_a_station_is_listed_late_but_exists_at_once(api_with: Any) -> None:
    """Right after the phone the listing is empty, by id the station is there; after the lag both agree."""
    api = api_with(station_lag_s=(3600.0, 3600.0))
    user_id = api.control.sign_in(count=1)[0]["id"]
    api.make_phone(user_id)
    station_id = station_id_of(api, user_id)

    assert listed(api, user_id) == []
    assert api("GET", f"/stations/{station_id}").json()["webRtcUserId"] == user_id
    api.control.advance_clock(3600)
    assert [station["id"] for station in listed(api, user_id)] == [station_id]


def test_lags_pass_at_the_pace_of_the_sandbox(api_with: Any) -> None:
    """A lag of a sandbox hour is over in a fraction of a real second at scale 36,000."""
    api = api_with(station_lag_s=(3600.0, 3600.0), time_scale=36_000)
    user_id = api.control.sign_in(count=1)[0]["id"]
    api.make_phone(user_id)

    threading.Event().wait(0.11)

    assert len(listed(api, user_id)) == 1


@pytest.mark.parametrize("is_same", [True, False])
def test_a_station_has_its_lines_id_only_when_told(api_with: Any, is_same: bool) -> None:
    """The station's id is that of the phone's first line, or one of its own; its line is known either way."""
    api = api_with(line_id_is_station_id=is_same, station_lag_s=(0.0, 0.0))
    user_id = api.control.sign_in(count=1)[0]["id"]
    line_id = api.make_phone(user_id)["lines"][0]["id"]

    station = listed(api, user_id)[0]

    assert station["lineAppearanceId"] == line_id
    assert (station["id"] == line_id) is is_same
    assert api("GET", f"/stations/{line_id}").status_code == (200 if is_same else 404)


def test_a_default_station_is_accepted_first_and_set_later(api_with: Any) -> None:
    """PUT answers 202 with no body; the user has the station only after the lag."""
    api = api_with(assignment_lag_s=(3600.0, 3600.0))
    user_id = api.control.sign_in(count=1)[0]["id"]
    api.make_phone(user_id)
    station_id = station_id_of(api, user_id)

    answer = api("PUT", f"/users/{user_id}/station/defaultstation/{station_id}")
    at_once = api("GET", f"/users/{user_id}/station").json()
    api.control.advance_clock(3600)

    assert (answer.status_code, answer.content, at_once) == (202, b"", {})
    stations = api("GET", f"/users/{user_id}/station").json()
    assert (stations["defaultStation"]["id"], stations["effectiveStation"]["id"]) == (station_id, station_id)
    assert api.control.state(user_id)["users"][0]["default_station_id"] == station_id


@pytest.mark.parametrize(("needs", "status"), [(False, 202), (True, 404)])
def test_an_unlisted_station_can_be_assigned_unless_told_otherwise(api_with: Any, needs: bool, status: int) -> None:
    """The assignment by id works before the listing knows the station, or answers 404 until then."""
    api = api_with(default_station_needs_visible_station=needs, station_lag_s=(600.0, 600.0))
    user_id = api.control.sign_in(count=1)[0]["id"]
    api.make_phone(user_id)
    path = f"/users/{user_id}/station/defaultstation/{station_id_of(api, user_id)}"

    assert api("PUT", path).status_code == status
    api.control.advance_clock(600)
    assert api("PUT", path).status_code == 202


def test_nobody_gets_anothers_webrtc_station(api: Any) -> None:
    """The station of one user's WebRTC phone cannot be another's default."""
    first, second = (user["id"] for user in api.control.sign_in(count=2))
    api.make_phone(first)

    answer = api("PUT", f"/users/{second}/station/defaultstation/{station_id_of(api, first)}")

    assert answer.status_code == 400
    assert api.control.state(second)["users"][0]["default_station_id"] is None


def test_a_taken_station_conflicts_until_it_is_freed(api_with: Any) -> None:
    """A desk phone's station that one user has answers 409 to another, and 202 after it was freed."""
    api = api_with(assignment_lag_s=(0.0, 0.0), station_lag_s=(0.0, 0.0))
    first, second = (user["id"] for user in api.control.sign_in(count=2))
    api("POST", PHONES, json=api.phone_body(None, "desk", base="Generic SIP Phone"))
    station_id = api("GET", "/stations", params={"name": "desk"}).json()["entities"][0]["id"]
    take = "/users/{}/station/associatedstation/{}".format

    assert api("PUT", take(first, station_id)).status_code == 202
    conflict = api("PUT", take(second, station_id))
    api("DELETE", f"/stations/{station_id}/associateduser")

    assert (conflict.status_code, conflict.json()["code"]) == (409, "userservice.stationalreadyassociated")
    assert api("GET", f"/users/{first}/station").json() == {}
    assert api("PUT", take(second, station_id)).status_code == 202
    assert api("GET", f"/stations/{station_id}").json()["userId"] == second


def test_a_station_goes_with_its_phone(api_with: Any) -> None:
    """Deleting the phone takes the station away, from its user too."""
    api = api_with(assignment_lag_s=(0.0, 0.0), station_lag_s=(0.0, 0.0))
    user_id = api.control.sign_in(count=1)[0]["id"]
    phone = api.make_phone(user_id)
    station_id = station_id_of(api, user_id)
    api("PUT", f"/users/{user_id}/station/defaultstation/{station_id}")

    api("DELETE", f"{PHONES}/{phone['id']}")

    assert listed(api, user_id) == []
    assert api.control.state(user_id)["users"][0]["default_station_id"] is None
    assert api("GET", f"/stations/{station_id}").status_code == 404
