"""The control port: signs people in, tells what happened, begins anew."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from jitprov.sandbox.control_client import ControlError


def test_invented_people_are_the_same_every_time(api_with: Any) -> None:
    """The same seed invents the same people with the same ids; another seed gives other ids."""
    runs = []
    for seed in (3, 3, 4):
        users = api_with(seed=seed).control.sign_in(count=5)
        runs.append([(user["id"], user["name"], user["email"], user["department"]) for user in users])

    assert runs[0] == runs[1]
    assert {row[0] for row in runs[0]}.isdisjoint(row[0] for row in runs[2])
    assert [row[3] for row in runs[0][:2]] == ["Seasonal_Retail", "Seasonal_Tech_Support"]


def test_thousands_of_people_have_addresses_of_their_own(api: Any) -> None:
    """A large sign-in makes as many users as asked, no address twice, all of them invented ones."""
    users = api.control.sign_in(count=5000, announce=False)

    addresses = {user["email"] for user in users}
    assert len(addresses) == 5000
    assert all(address.endswith("@example.test") for address in addresses)


def test_people_sign_in_as_told(api: Any) -> None:
    """A named agent has the name, address, department, title and state given."""
    agent = {
        "name": "Ann",
        "email": "ann@example.test",
        "department": "Sales",
        "title": "Lead",
        "state": "inactive",
    }

    made = api.control.sign_in([agent])[0]

    assert api("GET", f"/users/{made['id']}").json().items() >= agent.items()


@pytest.mark.parametrize(
    "asked",
    [
        {"agents": [{"name": "No address"}]},
        {"agents": [{"name": "A", "email": "a@example.test", "age": 5}]},
        {"agents": "everyone"},
        {"agents": [{"name": "A", "email": "a@example.test"}, {"name": "B", "email": "A@example.test"}]},
        {"agents": [{"name": "A", "email": "a@example.test"}, {"name": "B"}]},
        {"count": -1},
        {"count": 1, "state": "deleted"},
        {"number": 3},
        {},
    ],
)
def test_a_sign_in_that_makes_no_sense_is_refused(api: Any, asked: dict[str, Any]) -> None:
    """The control port answers 400 with a reason, and nobody was made."""
    answer = requests.post(f"{api.sandbox.control_url}/sign-in", json=asked, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert api.control.state()["users"] == []


def test_an_address_signs_in_once(api: Any) -> None:
    """A second user with an address in use is refused."""
    agents = [{"name": "Ann", "email": "ann@example.test"}]
    api.control.sign_in(agents)

    with pytest.raises(ControlError, match=r"ann@example\.test"):
        api.control.sign_in(agents)


def test_the_journal_tells_every_request_in_order(api: Any, user_id: str) -> None:
    """Each request has its route, user, status, token hash and instants; `since` and `limit` page through them."""
    api("GET", f"/users/{user_id}", headers={"User-Agent": "the test"})
    api("GET", "/nowhere?x=1")

    entries = api.control.journal()
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    login, profile, nowhere = entries
    assert (login["route"], login["token"]) == ("/oauth/token", "")
    assert (profile["route"], profile["user_id"]) == ("/api/v2/users/{userId}", user_id)
    assert profile["user_agent"] == "the test"
    assert profile["arrived_s"] <= profile["applied_s"]
    assert profile["duration_ms"] > 0
    assert api.session.headers["Authorization"].split()[1] not in str(entries)
    assert (nowhere["route"], nowhere["status"], nowhere["query"], nowhere["applied_s"]) == ("", 404, "x=1", None)
    assert [entry["seq"] for entry in api.control.journal(since=1, limit=1)] == [2]
    assert api.control.journal(since=3) == []


def test_the_journal_forgets_the_oldest(api_with: Any) -> None:
    """The ring holds as many requests as told and says how many it has forgotten."""
    api = api_with(journal_entries_max=5)
    for _ in range(9):
        api("GET", "/organizations/me")

    answer = requests.get(f"{api.sandbox.control_url}/journal?since=0", timeout=5).json()

    assert [entry["seq"] for entry in answer["entries"]] == [6, 7, 8, 9, 10]
    assert (answer["forgotten"], answer["last_seq"], answer["next_since"]) == (5, 10, 10)


def test_a_reset_begins_anew(api: Any, user_id: str) -> None:
    """Users, tokens, rules, gates and journal are gone, and the seed asked for decides the ids."""
    api.control.faults([{"action": "reset", "match": {"user": "nobody"}}])
    site_before = api("GET", "/organizations/me").json()["defaultSiteId"]

    api.control.reset(seed=99)

    assert api("GET", f"/users/{user_id}").status_code == 401
    api.log_in()
    assert api("GET", f"/users/{user_id}").status_code == 404
    assert api("GET", "/organizations/me").json()["defaultSiteId"] != site_before
    assert api.control.faults() == []
    assert api.control.journal()[0]["seq"] == 1
    assert api.control.options()["seed"] == 99


def test_the_pace_can_change_while_running(api_with: Any) -> None:
    """After a change of the time scale the clock goes on from where it was, at the new pace."""
    api = api_with(time_scale=1.0)
    before_s = api.control.healthz()["now_s"]

    api.control.patch_options(time_scale=1000.0)
    time.sleep(0.1)
    after_s = api.control.healthz()["now_s"]

    assert before_s < 2.0
    assert 100.0 <= after_s - before_s < 10_000.0


@pytest.mark.parametrize("path", ["/journal?since=x", "/journal?limit=many"])
def test_a_question_that_makes_no_sense_is_refused(api: Any, path: str) -> None:
    """A number that is none gets a 400 with a reason."""
    answer = requests.get(f"{api.sandbox.control_url}{path}", timeout=5)

    assert (answer.status_code, "error" in answer.json()) == (400, True)


@pytest.mark.parametrize("changes", [{"limit": 5}, {"limit_per_min": "5"}, {"port": 5}])
def test_an_option_that_makes_no_sense_is_refused(api: Any, changes: dict[str, Any]) -> None:
    """A change that does not fit leaves all options as they were."""
    before = api.control.options()

    with pytest.raises(ControlError):
        api.control.patch_options(**changes)
    assert api.control.options() == before


def test_the_data_port_knows_nothing_of_control(api: Any) -> None:
    """No path of the control port is served on the data port, or the other way round."""
    assert requests.get(f"{api.sandbox.base_url}/oracle", timeout=5).status_code == 404
    assert requests.get(f"{api.sandbox.control_url}/api/v2/users", timeout=5).status_code == 404
