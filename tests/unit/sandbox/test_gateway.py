"""The front of the data port: who is let in, and how refusals read."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests


def refused(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    """Return the ErrorBody of an answer that must be a refusal of this kind."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["contextId"] == answer.headers["ININ-Correlation-Id"]
    return body


def test_every_answer_says_where_the_window_stands(api: Any) -> None:
    """Successes and refusals alike carry the correlation id and the three rate limit headers."""
    for path in ("/organizations/me", "/routing/skills?pageSize=x", "/nowhere"):
        headers = api("GET", path).headers
        assert {"ININ-Correlation-Id", "inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset"} <= set(
            headers
        )


def test_a_full_window_answers_429_with_the_wait(api_with: Any) -> None:
    """Past the limit: 429, Retry-After in whole sandbox seconds, the limit named; after the wait, 200 again."""
    api = api_with(limit_per_min=2, time_scale=1)
    api("GET", "/organizations/me")
    api("GET", "/organizations/me")

    answer = api("GET", "/organizations/me")

    body = refused(answer, 429, "too.many.requests.retry.after")
    wait_s = int(answer.headers["Retry-After"])
    assert body["limit"] == {
        "namespace": "platform.api",
        "key": "client.credentials.token.rate.per.minute",
        "value": 2,
    }
    assert 1 <= wait_s <= 60
    api.control.advance_clock(wait_s)
    assert api("GET", "/organizations/me").status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/Users", "/users/", "//users", "/users/1/routingskills/bulk/more", ""])
def test_a_wrong_path_is_not_found(api: Any, path: str) -> None:
    """Only the exact paths of the API exist."""
    refused(api("GET", path), 404, "not.found")


def test_a_wrong_method_is_named_with_the_right_ones(api: Any) -> None:
    """A list of skills cannot be sent to the path that takes one skill: 405, and Allow says what can."""
    answer = api("PATCH", "/users/1/routingskills", json=[])

    refused(answer, 405, "method.not.allowed")
    assert answer.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "authentication.required"),
        ({"Authorization": "Bearer unknown"}, "bad.credentials"),
        ({"Authorization": "Basic eDp5"}, "bad.credentials"),
    ],
)
def test_without_a_known_token_nobody_gets_in(api: Any, headers: dict[str, str], code: str) -> None:
    """A missing or unknown token is refused and spends nothing of anyone's window."""
    answer = requests.get(f"{api.sandbox.base_url}/api/v2/organizations/me", headers=headers, timeout=5)

    refused(answer, 401, code)
    assert "inin-ratelimit-count" not in answer.headers


def test_a_token_ends(api_with: Any) -> None:
    """After its lifetime a token is refused and the oracle counts its use."""
    api = api_with(token_lifetime_s=3600)
    assert api("GET", "/organizations/me").status_code == 200
    api.control.advance_clock(3600)

    refused(api("GET", "/organizations/me"), 401, "bad.credentials")
    assert api.control.oracle()["requests_with_expired_token"] == 1


@pytest.mark.parametrize(
    ("content_type", "body", "status", "field"),
    [
        (None, "{}", 415, None),
        ("text/plain", "{}", 415, None),
        ("application/json", "", 400, "body"),
        ("application/json", "{", 400, "body"),
        ("application/json", "[]", 400, "body"),
        ("application/json", '{"name": NaN}', 400, "body"),
        ("application/json", '{"email": "a@example.test", "divisionId": "x"}', 400, "name"),
        ("application/json", '{"name": 5, "email": "a@example.test", "divisionId": "x"}', 400, "name"),
        ("application/json", '{"name": "A", "email": "a@b", "divisionId": "x", "state": "new"}', 400, "state"),
        ("application/json", " " * 512_001, 413, None),
        ("application/json", " " * 2_000_000, 413, None),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_name(
    api: Any, content_type: str | None, body: str, status: int, field: str | None
) -> None:
    """The answer's status says what is wrong with the body, and its details name the field."""
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = api("POST", "/users", data=body.encode(), headers=headers)

    assert answer.status_code == status
    assert [detail["fieldName"] for detail in answer.json()["details"]] == ([] if field is None else [field])


@pytest.mark.parametrize(
    ("form", "authorization", "error"),
    [
        ({"grant_type": "client_credentials"}, "sandbox-client:wrong", "invalid_client"),
        ({"grant_type": "client_credentials"}, "stranger:sandbox-secret", "invalid_client"),
        ({"grant_type": "client_credentials"}, None, "invalid_client"),
        ({"grant_type": "password"}, "sandbox-client:sandbox-secret", "unsupported_grant_type"),
        ({"scope": "all"}, "sandbox-client:sandbox-secret", "invalid_request"),
    ],
)
def test_the_login_host_refuses_in_its_own_shape(
    api: Any, form: dict[str, str], authorization: str | None, error: str
) -> None:
    """A wrong client or grant gets 400 with an OAuth error, not an ErrorBody."""
    headers = (
        {} if authorization is None else {"Authorization": f"Basic {base64.b64encode(authorization.encode()).decode()}"}
    )
    answer = requests.post(f"{api.sandbox.base_url}/oauth/token", data=form, headers=headers, timeout=5)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_the_login_host_has_a_limit_of_its_own(api_with: Any) -> None:
    """With the option on, too many token requests in a minute get 400 and a text that says so."""
    api = api_with(token_requests_per_min=1)
    answer = requests.post(f"{api.sandbox.base_url}/oauth/token", data={"grant_type": "client_credentials"}, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert answer.json()["description"].startswith("rate limit exceeded")


def test_the_limit_can_be_read_and_lowered(api: Any) -> None:
    """The organization's limits and the headers follow the option, also while the sandbox runs."""
    api.control.patch_options(limit_per_min=120)

    answer = api("GET", "/organizations/limits/namespaces/platform.api")

    limits = {entry["key"]: entry["value"] for entry in answer.json()["entities"]}
    assert limits["client.credentials.token.rate.per.minute"] == 120
    assert answer.headers["inin-ratelimit-allowed"] == "120"
