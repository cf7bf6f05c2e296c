"""Roles, groups, queues, audits and identity providers of the sandbox, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jitprov.sandbox.control_client import SandboxControl

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def control(api: Any) -> SandboxControl:
    held: SandboxControl = api.control
    return held


@pytest.fixture
def agents(control: SandboxControl) -> list[str]:
    return [user["id"] for user in control.sign_in_silently(3)[0]]


def state_of(control: SandboxControl, user_id: str) -> Any:
    return next(user for user in control.state()["users"] if user["id"] == user_id)


def named(api: Any, path: str, name: str) -> Any:
    entities = api("GET", path, params={"pageSize": 100}).json()["entities"]
    return next(each for each in entities if each["name"] == name)


def test_one_call_grants_a_role_to_many(api: Any, control: SandboxControl, agents: list[str]) -> None:
    """One role goes to several users in several divisions at once; everyone holds the role of all employees."""
    role = named(api, "/authorization/roles", "Seasonal Agent")
    divisions = [each["id"] for each in api("GET", "/authorization/divisions").json()["entities"][:2]]
    body = {"subjectIds": agents, "divisionIds": divisions}

    assert api("POST", f"/authorization/roles/{role['id']}", json=body).status_code == 204
    for user_id in agents:
        held = {(each["name"], each["division_id"]) for each in state_of(control, user_id)["roles"]}
        assert held >= {("Seasonal Agent", division_id) for division_id in divisions}
        assert "employee" in {name for name, _ in held}


def test_granting_is_all_or_nothing(api: Any, control: SandboxControl, agents: list[str]) -> None:
    """One unknown subject, and nobody was granted anything."""
    role = named(api, "/authorization/roles", "Agent")
    home = api("GET", "/authorization/divisions/home").json()["id"]
    body = {"subjectIds": [*agents, NOBODY], "divisionIds": [home]}

    assert api("POST", f"/authorization/roles/{role['id']}", json=body).status_code == 404
    assert all("Agent" not in {each["name"] for each in state_of(control, user)["roles"]} for user in agents)


def test_replacing_leaves_exactly_what_is_given(api: Any, control: SandboxControl, agents: list[str]) -> None:
    """Adding in bulk adds, removing takes away, replacing leaves nothing else."""
    home = api("GET", "/authorization/divisions/home").json()["id"]
    pairs = {
        name: {"roleId": named(api, "/authorization/roles", name)["id"], "divisionId": home}
        for name in ("Agent", "Supervisor")
    }
    path = f"/authorization/subjects/{agents[0]}"

    def held() -> set[str]:
        return {each["name"] for each in state_of(control, agents[0])["roles"]}

    api("POST", f"{path}/bulkadd", json={"grants": list(pairs.values())})
    assert held() == {"employee", "Agent", "Supervisor"}
    api("POST", f"{path}/bulkremove", json={"grants": [pairs["Agent"]]})
    assert held() == {"employee", "Supervisor"}
    api("POST", f"{path}/bulkreplace", json={"grants": [pairs["Agent"]]})
    assert held() == {"Agent"}


def test_a_group_takes_fifty_at_once(api: Any, control: SandboxControl, agents: list[str]) -> None:
    """Members come by up to 50 a call; a given version must be the present one; coming twice changes nothing."""
    group = named(api, "/groups", "Retail Floor")
    path = f"/groups/{group['id']}/members"

    assert api("POST", path, json={"memberIds": [NOBODY] * 51}).status_code == 400
    assert api("POST", path, json={"memberIds": agents}).status_code == 202
    assert api("POST", path, json={"memberIds": agents, "version": group["version"]}).status_code == 409
    assert api("POST", path, json={"memberIds": agents}).status_code == 202
    assert [each["id"] for each in api("GET", path).json()["entities"]] == agents
    assert state_of(control, agents[0])["groups"] == ["Retail Floor"]
    assert api("DELETE", path, params={"ids": ",".join(agents[1:])}).status_code == 202
    assert [each["id"] for each in api("GET", path).json()["entities"]] == agents[:1]


def test_a_queue_takes_a_hundred_at_once(api: Any, control: SandboxControl, agents: list[str]) -> None:
    """Members come by up to 100 a call, and go with delete=true."""
    queue = named(api, "/routing/queues", "Retail Calls")
    path = f"/routing/queues/{queue['id']}/members"
    entries = [{"id": user_id} for user_id in agents]

    assert api("POST", path, json=[{"id": NOBODY}] * 101).status_code == 400
    assert api("POST", path, json=[*entries, {"id": NOBODY}]).status_code == 404
    assert state_of(control, agents[0])["queues"] == []
    assert api("POST", path, json=entries).ok
    assert state_of(control, agents[0])["queues"] == ["Retail Calls"]
    assert api("POST", path, params={"delete": "true"}, json=entries[:2]).ok
    assert [each["id"] for each in api("GET", path).json()["entities"]] == agents[2:]
    assert api("GET", f"/users/{agents[2]}/queues").json()["entities"][0]["name"] == "Retail Calls"


def query(**more: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(days=1)
    return {"interval": f"{begin.isoformat()}/{end.isoformat()}", "serviceName": "Directory", **more}


def test_an_audit_is_kept_of_what_happens_to_users(api: Any, control: SandboxControl, agents: list[str]) -> None:
    """Sign-ins, changes and deletions are found by the realtime query, each with the client that did it."""
    path, asked = f"/users/{agents[0]}", "/audits/query/realtime"
    version = api("GET", path).json()["version"]
    api("PATCH", path, json={"version": version, "department": "Headquarters"})
    api("DELETE", path)
    about = [{"property": "EntityId", "value": agents[0]}]
    oldest_first = [{"name": "Timestamp", "sortOrder": "ascending"}]
    found = api("POST", asked, json=query(filters=about, sort=oldest_first)).json()["entities"]
    created = api("POST", asked, json=query(filters=[{"property": "Action", "value": "create"}])).json()

    assert [each["action"] for each in found] == ["Create", "Update", "Delete"]
    assert found[1]["propertyChanges"] == [{"property": "department", "newValues": ["Headquarters"]}]
    assert found[1]["client"]["id"] != found[0]["client"]["id"]
    assert created["total"] == 3


@pytest.mark.parametrize(
    "interval", ["", "today/tomorrow", "2026-11-24T09:00:00Z/2026-11-24T08:00:00Z", "2020-01-01/2020-01-02"]
)
def test_an_interval_that_cannot_be_is_refused(api: Any, interval: str) -> None:
    """The realtime query answers 400 for what is no interval, and for what is over 14 days old."""
    answer = api("POST", "/audits/query/realtime", json=query() | {"interval": interval})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid.interval")


def test_changes_by_the_api_are_announced_where_that_is_wished(
    api: Any, control: SandboxControl, agents: list[str]
) -> None:
    """With announce_changes a change by the client itself is posted like any other, with the client's own id."""
    path = f"/users/{agents[0]}"

    def change(title: str) -> None:
        version = api("GET", path).json()["version"]
        assert api("PATCH", path, json={"version": version, "title": title}).ok

    change("Quiet")
    assert control.deliveries()["skipped"] == 0
    control.patch_options(announce_changes=True)
    change("Loud")
    assert control.deliveries()["skipped"] == 1  # there is no webhook to post to


def test_an_identity_provider_is_kept(api: Any) -> None:
    """What single sign-on is set up with can be read back."""
    body = {"name": "Example", "issuerURI": "https://idp.example.test", "relyingPartyIdentifier": "genesys"}
    made = api("POST", "/identityproviders", json=body).json()

    assert api("GET", f"/identityproviders/{made['id']}").json() | body == made
    assert [each["id"] for each in api("GET", "/identityproviders").json()["entities"]] == [made["id"]]
