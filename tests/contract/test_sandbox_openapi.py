"""Every route of the sandbox against the full API description, judged by another validator than the sandbox's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.routes import HANDLERS
from jitprov.sandbox.server import SandboxThread

DATA = Path(__file__).parent.parent / "data"
EDGES = "/api/v2/telephony/providers/edges"
NOBODY = "00000000-0000-4000-8000-000000000000"
OPTIONS = SandboxOptions(
    time_scale=100, limit_per_min=100_000, station_lag_s=(0, 0), assignment_lag_s=(0, 0), audit_query_s=50
)


def full_description() -> dict[str, Any]:
    """Return the API's description, with the operations that were found elsewhere in official documentation."""
    document: dict[str, Any] = json.loads((DATA / "openapi-subset.json").read_text())
    more = json.loads((DATA / "openapi-additions.json").read_text())
    document["paths"] |= more["paths"]
    document["components"]["schemas"] |= more["components"]["schemas"]
    relative: dict[str, Any] = with_relative_links(document)
    return relative


def with_relative_links(node: Any) -> Any:
    """Return a part of the description whose links may be relative, as those that the API sends are."""
    if isinstance(node, list):
        return [with_relative_links(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: "uri-reference" if (name, value) == ("format", "uri") else with_relative_links(value)
        for name, value in node.items()
    }


class Judge:
    """Sends requests and has request and answer validated; remembers which routes answered how."""

    def __init__(self, base_url: str) -> None:
        document = full_description()
        document["servers"] = [{"url": base_url}]
        document["paths"]["/oauth/token"].pop("servers")
        self.templates = [(template.split("/"), template) for template in document["paths"]]
        self.description = OpenAPI.from_dict(document)
        self.base_url = base_url
        self.session = requests.Session()
        self.answered: set[tuple[str, str, bool]] = set()

    def log_in(self) -> None:
        """Fetch a token, judged like any other call."""
        answer = self.call(
            "POST", "/oauth/token", data={"grant_type": "client_credentials"}, auth=("sandbox-client", "sandbox-secret")
        )
        self.session.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def call(self, method: str, path: str, status: int | None = None, **how: Any) -> Any:
        """Send one request; a success is judged as a whole, an expected refusal by its answer only."""
        request = requests.Request(method, self.base_url + path, **how)
        prepared = self.session.prepare_request(request)
        response = self.session.send(prepared)
        assert response.status_code in ({200, 202, 204} if status is None else {status}), response.text
        if status is None:
            self.description.validate_request(RequestsOpenAPIRequest(request_of(self.session, request)))
        self.description.validate_response(RequestsOpenAPIRequest(prepared), RequestsOpenAPIResponse(response))
        self.answered.add((method, self.template_of(path), response.ok))
        return response.json() if response.content else None

    def template_of(self, path: str) -> str:
        """Return the description's template of a path, literal parts first."""
        parts = path.split("?", maxsplit=1)[0].split("/")
        fits = [
            template
            for shape, template in self.templates
            if len(shape) == len(parts)
            and all(want.startswith("{") or want == have for want, have in zip(shape, parts, strict=True))
        ]
        return min(fits, key=lambda template: template.count("{"))


def request_of(session: requests.Session, request: requests.Request) -> requests.Request:
    """Return the request with the headers that the session adds, which the validator cannot see."""
    request.headers = {**session.headers, **request.headers}
    if request.auth is not None:
        request.headers["Authorization"] = "Basic c2FuZGJveA=="
    return request


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """A judge in front of a sandbox that keeps nobody waiting."""
    with SandboxThread(OPTIONS) as sandbox:
        judge = Judge(sandbox.base_url)
        judge.log_in()
        yield judge
        judge.session.close()


def a_phone(judge: Judge, name: str, user_id: str) -> dict[str, Any]:
    """Return the body of a WebRTC phone."""
    bases = judge.call("GET", f"{EDGES}/phonebasesettings")["entities"]
    base = next(each for each in bases if each["phoneMetaBase"]["id"] == "inin_webrtc_softphone.json")
    site_id = judge.call("GET", "/api/v2/organizations/me")["defaultSiteId"]
    return {
        "name": name,
        "site": {"id": site_id},
        "phoneBaseSettings": {"id": base["id"]},
        "lines": [{"name": f"{name} line", "lineBaseSettings": {"id": base["lines"][0]["id"]}}],
        "webRtcUser": {"id": user_id},
        "capabilities": {"provisions": False, "mediaCodecs": ["audio/opus"]},
    }


def a_user(judge: Judge, email: str) -> dict[str, Any]:
    """Make a user in the home division."""
    home = judge.call("GET", "/api/v2/authorization/divisions/home")
    body = {"name": "Robin Example", "email": email, "divisionId": home["id"], "department": "Seasonal_Retail"}
    user: dict[str, Any] = judge.call("POST", "/api/v2/users", json=body)
    return user


def people(judge: Judge) -> None:
    """Walk the routes of users."""
    user = a_user(judge, "people@example.test")
    path = f"/api/v2/users/{user['id']}"
    expand = ["skills", "languages", "station", "routingStatus", "groups", "locations", "profileSkills"]
    judge.call("GET", path, params={"expand": expand})
    judge.call("GET", "/api/v2/users", params={"id": [user["id"]], "state": "any", "expand": ["skills"]})
    judge.call("GET", "/api/v2/users", 400, params={"pageSize": "many"})
    criterion = {"type": "EXACT", "fields": ["email"], "value": "people@example.test"}
    judge.call("POST", "/api/v2/users/search", json={"query": [criterion], "pageSize": 5})
    judge.call("POST", "/api/v2/users/search", 400, json={"query": [{"type": "ROUGHLY"}]})
    judge.call("POST", "/api/v2/users", 400, json={"name": "No Address"})
    judge.call("PATCH", path, json={"version": user["version"], "title": "Agent", "manager": user["id"]})
    judge.call("PATCH", path, 409, json={"version": user["version"], "title": "Late"})
    judge.call("GET", path)
    judge.call("DELETE", path)
    judge.call("DELETE", path, 404)
    judge.call("GET", path, 404)
    judge.call("GET", path, params={"state": "deleted"})


def competences(judge: Judge) -> None:
    """Walk the routes of skills, languages and utilization."""
    user_id = a_user(judge, "skills@example.test")["id"]
    for kind in ("skills", "languages"):
        entries = judge.call("GET", f"/api/v2/routing/{kind}", params={"pageSize": 2, "pageNumber": 2})["entities"]
        judge.call("GET", f"/api/v2/routing/{kind}", 400, params={"pageNumber": 0})
        ratings = [{"id": entry["id"], "proficiency": 2.5} for entry in entries]
        held = f"/api/v2/users/{user_id}/routing{kind}"
        judge.call("PATCH", f"{held}/bulk", json=ratings)
        judge.call("PATCH", f"{held}/bulk", 400, json=[{"id": NOBODY, "proficiency": 1}])
        judge.call("GET", held)
        judge.call("GET", f"/api/v2/users/{NOBODY}/routing{kind}", 404)
        judge.call("POST", held, json={"id": entries[0]["id"], "proficiency": 5})
        judge.call("POST", held, 400, json={"id": entries[0]["id"], "proficiency": 5.1})
        judge.call("DELETE", f"{held}/{entries[0]['id']}")
        judge.call("DELETE", f"{held}/{entries[0]['id']}", 404)
    skill = judge.call("POST", "/api/v2/routing/skills", json={"name": "New_Skill"})
    judge.call("POST", "/api/v2/routing/skills", 409, json={"name": "New_Skill"})
    judge.call("GET", f"/api/v2/routing/skills/{skill['id']}")
    judge.call("GET", f"/api/v2/routing/skills/{NOBODY}", 404)
    held = f"/api/v2/users/{user_id}/routingskills"
    judge.call("PUT", f"{held}/bulk", json=[{"id": skill["id"], "proficiency": 0}])
    judge.call("PUT", f"{held}/bulk", 400, json={"skills": []})
    judge.call("PUT", f"{held}/{skill['id']}", json={"proficiency": 3})
    judge.call("PUT", f"{held}/{skill['id']}", 400, json={"proficiency": "high"})
    judge.call("GET", "/api/v2/routing/utilization")
    path = f"/api/v2/routing/users/{user_id}/utilization"
    judge.call("GET", path)
    judge.call("PUT", path, json={"utilization": {"call": {"maximumCapacity": 2}}, "maxInboundCalls": 2})
    judge.call("PUT", path, 400, json={"utilization": {"fax": {"maximumCapacity": 1}}})
    judge.call("GET", path)
    judge.call("DELETE", path)
    nobody = f"/api/v2/routing/users/{NOBODY}/utilization"
    judge.call("GET", nobody, 404)
    judge.call("DELETE", nobody, 404)


def phones_and_stations(judge: Judge) -> None:
    """Walk the routes of phones and of the stations behind them."""
    user_id = a_user(judge, "phones@example.test")["id"]
    body = a_phone(judge, "first", user_id)
    template = judge.call(
        "GET", f"{EDGES}/phones/template", params={"phoneBaseSettingsId": body["phoneBaseSettings"]["id"]}
    )
    judge.call("GET", f"{EDGES}/phones/template", 404, params={"phoneBaseSettingsId": NOBODY})
    assert template["lines"]
    phone = judge.call("POST", f"{EDGES}/phones", json=body)
    judge.call("POST", f"{EDGES}/phones", 400, json=body)
    listed = {"webRtcUser.id": user_id, "fields": ["webRtcUser", "lines.defaultForUser"], "expand": ["lines"]}
    judge.call("GET", f"{EDGES}/phones", params=listed)
    judge.call("GET", f"{EDGES}/phones", 400, params={"fields": ["everything"]})
    judge.call("GET", f"{EDGES}/phones/{phone['id']}")
    judge.call("GET", f"{EDGES}/phones/{NOBODY}", 404)
    judge.call("PUT", f"{EDGES}/phones/{phone['id']}", json={**body, "name": "renamed", "version": 1})
    judge.call("PUT", f"{EDGES}/phones/{phone['id']}", 400, json={"name": "renamed"})
    station = judge.call("GET", "/api/v2/stations", params={"webRtcUserId": user_id})["entities"][0]
    judge.call("GET", "/api/v2/stations", 400, params={"pageSize": 0})
    judge.call("GET", f"/api/v2/stations/{station['id']}")
    judge.call("GET", f"/api/v2/stations/{NOBODY}", 404)
    mine = f"/api/v2/users/{user_id}/station"
    for kind in ("defaultstation", "associatedstation"):
        judge.call("PUT", f"{mine}/{kind}/{station['id']}")
        judge.call("PUT", f"{mine}/{kind}/{NOBODY}", 404)
    judge.call("GET", mine)
    judge.call("GET", f"/api/v2/users/{NOBODY}/station", 404)
    judge.call("GET", f"/api/v2/stations/{station['id']}")
    judge.call("DELETE", f"/api/v2/stations/{station['id']}/associateduser")
    judge.call("DELETE", f"/api/v2/stations/{NOBODY}/associateduser", 404)
    for kind in ("defaultstation", "associatedstation"):
        judge.call("DELETE", f"{mine}/{kind}")
        judge.call("DELETE", f"/api/v2/users/{NOBODY}/station/{kind}", 404)
    judge.call("DELETE", f"{EDGES}/phones/{phone['id']}")
    judge.call("DELETE", f"{EDGES}/phones/{phone['id']}", 404)


def organization(judge: Judge) -> None:
    """Walk the routes of what rarely changes."""
    user_id = a_user(judge, "division@example.test")["id"]
    judge.call("GET", "/api/v2/organizations/limits/namespaces/platform.api")
    judge.call("GET", "/api/v2/organizations/limits/namespaces/nowhere", 404)
    divisions = judge.call("GET", "/api/v2/authorization/divisions")["entities"]
    judge.call("GET", "/api/v2/authorization/divisions", 400, params={"pageSize": 501})
    judge.call("POST", f"/api/v2/authorization/divisions/{divisions[1]['id']}/objects/USER", json=[user_id])
    judge.call("POST", f"/api/v2/authorization/divisions/{NOBODY}/objects/USER", 404, json=[user_id])
    for listing in ("sites", "phonebasesettings", "linebasesettings"):
        first = judge.call("GET", f"{EDGES}/{listing}", params={"pageSize": 1})["entities"][0]
        judge.call("GET", f"{EDGES}/{listing}", 400, params={"pageSize": 101})
        judge.call("GET", f"{EDGES}/{listing}/{first['id']}")
        judge.call("GET", f"{EDGES}/{listing}/{NOBODY}", 404)
    judge.call("GET", f"{EDGES}/phonebasesettings", params={"expand": ["lines"], "name": "WebRTC*"})
    judge.call("POST", "/oauth/token", 400, data={"grant_type": "password"})


def access(judge: Judge) -> None:
    """Walk the routes of roles, groups and queues."""
    user_id = a_user(judge, "access@example.test")["id"]
    home = judge.call("GET", "/api/v2/authorization/divisions/home")["id"]
    roles = judge.call("GET", "/api/v2/authorization/roles", params={"pageSize": 500})["entities"]
    judge.call("GET", "/api/v2/authorization/roles", 400, params={"pageSize": 501})
    judge.call("GET", "/api/v2/authorization/roles", params={"name": "Seasonal*", "id": [roles[3]["id"]]})
    role = f"/api/v2/authorization/roles/{roles[2]['id']}"
    judge.call("POST", role, json={"subjectIds": [user_id], "divisionIds": [home]})
    judge.call("POST", role, 404, json={"subjectIds": [NOBODY], "divisionIds": [home]})
    for verb in ("add", "remove"):
        judge.call("PUT", f"{role}/users/{verb}", json=[user_id])
        judge.call("PUT", f"{role}/users/{verb}", 404, json=[NOBODY])
    subject = f"/api/v2/authorization/subjects/{user_id}"
    grants = {"grants": [{"roleId": roles[4]["id"], "divisionId": home}]}
    for verb in ("bulkadd", "bulkremove", "bulkreplace"):
        judge.call("POST", f"{subject}/{verb}", json=grants)
        judge.call("POST", f"{subject}/{verb}", 400, json={"grants": [{"roleId": roles[4]["id"]}]})
    judge.call("GET", subject)
    judge.call("GET", f"/api/v2/authorization/subjects/{NOBODY}", 404)
    group = judge.call("GET", "/api/v2/groups")["entities"][0]
    judge.call("GET", "/api/v2/groups", 400, params={"pageSize": 0})
    path = f"/api/v2/groups/{group['id']}"
    judge.call("GET", path)
    judge.call("GET", f"/api/v2/groups/{NOBODY}", 404)
    judge.call("POST", f"{path}/members", json={"memberIds": [user_id], "version": group["version"]})
    judge.call("POST", f"{path}/members", 409, json={"memberIds": [user_id], "version": group["version"]})
    judge.call("GET", f"{path}/members", params={"expand": ["skills"]})
    judge.call("GET", f"/api/v2/groups/{NOBODY}/members", 404)
    judge.call("GET", f"/api/v2/users/{user_id}", params={"expand": ["groups", "authorization"]})
    judge.call("DELETE", f"{path}/members", params={"ids": user_id})
    judge.call("DELETE", f"{path}/members", 404, params={"ids": NOBODY})
    queue = judge.call("GET", "/api/v2/routing/queues", params={"name": "Retail*"})["entities"][0]
    judge.call("GET", "/api/v2/routing/queues", 400, params={"pageNumber": 0})
    members = f"/api/v2/routing/queues/{queue['id']}/members"
    judge.call("POST", members, json=[{"id": user_id}])
    judge.call("POST", members, 400, json=[{"id": user_id}] * 101)
    judge.call("GET", members)
    judge.call("GET", f"/api/v2/routing/queues/{NOBODY}/members", 404)
    judge.call("GET", f"/api/v2/users/{user_id}/queues")
    judge.call("GET", f"/api/v2/users/{NOBODY}/queues", 404)
    judge.call("DELETE", f"{members}/{user_id}")
    judge.call("DELETE", f"{members}/{user_id}", 404)


def audits_and_sign_on(judge: Judge) -> None:
    """Walk the routes of audits and of identity providers."""
    a_user(judge, "audit@example.test")
    now = datetime.now(UTC)
    asked = {
        "interval": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}/{now + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "serviceName": "Directory",
        "filters": [{"property": "Action", "value": "Create"}],
        "sort": [{"name": "Timestamp", "sortOrder": "ascending"}],
        "pageSize": 5,
    }
    found = judge.call("POST", "/api/v2/audits/query/realtime", json=asked)
    assert found["entities"]
    judge.call("POST", "/api/v2/audits/query/realtime", 400, json=asked | {"interval": "yesterday"})
    judge.call("GET", "/api/v2/audits/query/realtime/servicemapping")
    asked.pop("pageSize")
    begun = judge.call("POST", "/api/v2/audits/query", json=asked)
    judge.call("POST", "/api/v2/audits/query", 400, json=asked | {"interval": "2020-01-01/2020-01-02"})
    path = f"/api/v2/audits/query/{begun['id']}"
    judge.call("GET", f"{path}/results", 400)
    while judge.call("GET", path)["state"] != "Succeeded":
        pass
    judge.call("GET", f"/api/v2/audits/query/{NOBODY}", 404)
    first = judge.call("GET", f"{path}/results", params={"pageSize": 1})
    assert (len(first["entities"]), "cursor" in first) == (1, True)
    judge.call("GET", f"{path}/results", params={"pageSize": 1, "cursor": first["cursor"]})
    judge.call("GET", f"{path}/results", 400, params={"cursor": "?"})
    judge.call("GET", "/api/v2/audits/query/servicemapping")
    provider = judge.call("POST", "/api/v2/identityproviders", json={"name": "Example", "issuerURI": "https://i.test"})
    judge.call("POST", "/api/v2/identityproviders", 400, json={"name": 7})
    judge.call("GET", "/api/v2/identityproviders")
    judge.call("GET", f"/api/v2/identityproviders/{provider['id']}")
    judge.call("GET", f"/api/v2/identityproviders/{NOBODY}", 404)


# Routes without anything to refuse but a missing token.
WITHOUT_REFUSAL = {
    ("GET", "/api/v2/audits/query/realtime/servicemapping"),
    ("GET", "/api/v2/audits/query/servicemapping"),
    ("GET", "/api/v2/identityproviders"),
    ("GET", "/api/v2/organizations/me"),
    ("GET", "/api/v2/authorization/divisions/home"),
    ("GET", "/api/v2/routing/utilization"),
}


def test_every_served_route_answers_as_described(judge: Judge) -> None:
    """Each route succeeds and refuses at least once, and every one of these answers fits the API's description."""
    people(judge)
    competences(judge)
    phones_and_stations(judge)
    organization(judge)
    access(judge)
    audits_and_sign_on(judge)

    served = {*HANDLERS, ("POST", "/oauth/token")}
    wanted = {(*key, True) for key in served} | {(*key, False) for key in served - WITHOUT_REFUSAL}
    assert wanted - judge.answered == set()


@pytest.mark.parametrize(("method", "path"), sorted(HANDLERS))
def test_a_missing_token_is_refused_as_described(judge: Judge, method: str, path: str) -> None:
    """Every route answers 401 with an ErrorBody when no token is given."""
    filled = "/".join(NOBODY if part.startswith("{") else part for part in path.split("/"))
    held = judge.session.headers.pop("Authorization")
    try:
        body = judge.call(method, filled, 401)
    finally:
        judge.session.headers["Authorization"] = held

    assert (body["status"], body["code"]) == (401, "authentication.required")


def test_the_served_description_is_a_part_of_the_full_one() -> None:
    """What the sandbox checks requests against says nothing that the full description does not say."""
    served = with_relative_links(json.loads((Path(__file__).parents[2] / "jitprov/sandbox/openapi.json").read_text()))
    full = full_description()

    for template, item in served["paths"].items():
        for method, operation in item.items():
            assert operation.get("parameters", []) == bare(full["paths"][template][method].get("parameters", []))
            assert operation.get("requestBody") == bare(full["paths"][template][method].get("requestBody"))
    for name, schema in served["components"]["schemas"].items():
        assert schema == bare(full["components"]["schemas"][name])


SPOKEN = {"description", "summary", "tags", "example"}


def bare(node: Any) -> Any:
    """Return a part of the description without what only people read."""
    if isinstance(node, list):
        return [bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    is_spoken = {name: name.startswith("x-") or (name in SPOKEN and not isinstance(node[name], dict)) for name in node}
    return {name: bare(value) for name, value in node.items() if not is_spoken[name]}
