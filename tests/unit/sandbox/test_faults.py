"""Faults and gates: applied means applied, cut means cut, and the same seed does the same again."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from jitprov.sandbox.control_client import ControlError

PHONES = "/telephony/providers/edges/phones"
PHONE_ROUTE = f"/api/v2{PHONES}"


def rule(action: Any, phase: str = "before_apply", **match: Any) -> dict[str, Any]:
    """Return a rule that strikes once where it matches."""
    return {"id": "the rule", "match": match, "phase": phase, "action": action, "times": 1}


def phones_of(api: Any, user_id: str) -> int:
    """Return how many phones a user has."""
    return len(api.control.state(user_id)["users"][0]["phones"])


@pytest.mark.parametrize(("phase", "phones"), [("before_apply", 0), ("after_apply", 1), ("mid_body", 1)])
@pytest.mark.parametrize("action", ["reset", "close"])
def test_a_cut_connection_has_or_has_not_applied(api: Any, user_id: str, action: str, phase: str, phones: int) -> None:
    """The client sees a broken connection; whether the phone exists depends on the phase alone."""
    body = api.phone_body(user_id)
    api.control.faults([rule(action, phase, route=PHONE_ROUTE, method="POST")])

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)) as caught:
        api("POST", PHONES, json=body)

    if action == "reset":
        assert "reset by peer" in str(caught.value).lower()
    assert phones_of(api, user_id) == phones
    entry = next(entry for entry in api.control.journal() if entry["rule"])
    assert (entry["status"], entry["rule"], entry["user_id"]) == (None, "the rule", user_id)
    assert (entry["applied_s"] is not None) is bool(phones)


def test_a_hanging_answer_has_applied(api: Any, user_id: str) -> None:
    """The client's own timeout ends the wait, and the phone is there."""
    body = api.phone_body(user_id)
    api.control.faults([rule("hang", "after_apply", route=PHONE_ROUTE)])

    with pytest.raises(requests.ReadTimeout):
        api.session.post(f"{api.sandbox.base_url}{PHONE_ROUTE}", json=body, timeout=0.2)

    assert phones_of(api, user_id) == 1


@pytest.mark.parametrize(
    ("action", "status", "headers"),
    [
        ({"kind": "status", "code": 503, "headers": {"Retry-After": 7}}, 503, {"Retry-After": "7"}),
        ({"kind": "status", "code": 400}, 400, {}),
        ({"kind": "retry_after", "value": 3}, 429, {"Retry-After": "3"}),
        ({"kind": "retry_after", "value": "negative"}, 429, {"Retry-After": "-1"}),
        ({"kind": "retry_after", "value": "huge"}, 429, {"Retry-After": "86400"}),
        ({"kind": "html200"}, 200, {"Content-Type": "text/html"}),
    ],
)
def test_a_made_up_answer_replaces_the_route(
    api: Any, action: dict[str, Any], status: int, headers: dict[str, str]
) -> None:
    """The answer is the rule's, once; then the route answers again."""
    api.control.faults([rule(action, route="/api/v2/organizations/me")])

    struck, after = api("GET", "/organizations/me"), api("GET", "/organizations/me")

    assert (struck.status_code, after.status_code) == (status, 200)
    assert headers.items() <= struck.headers.items()
    assert "inin-ratelimit-count" in struck.headers


def test_retry_after_can_be_missing_or_a_date(api: Any) -> None:
    """A 429 may come without the header, and the header may be an HTTP date in the future."""
    none = {"kind": "retry_after", "value": "none"}
    date = {"kind": "retry_after", "value": "http-date", "after_s": 9}
    api.control.faults([rule(none) | {"id": "a"}, rule(date) | {"id": "b"}])

    first, second = api("GET", "/organizations/me"), api("GET", "/organizations/me")

    assert "Retry-After" not in first.headers
    assert second.headers["Retry-After"].endswith("GMT")


def test_spoilt_answers_are_spoilt(api: Any) -> None:
    """Broken JSON does not parse, a wrong type is one, a huge body is huge, a truncated one ends early."""
    actions: list[Any] = [
        "bad_json",
        {"kind": "wrong_type", "field": "id"},
        {"kind": "huge", "bytes": 1_000_000},
        {"kind": "truncate", "n": 10},
    ]
    rules = [rule(action, "after_apply") | {"id": f"rule {number}"} for number, action in enumerate(actions)]
    api.control.faults(rules)

    broken, typed, huge = (api("GET", "/organizations/me") for _ in range(3))
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        api("GET", "/organizations/me")

    with pytest.raises(requests.exceptions.JSONDecodeError):
        broken.json()
    assert not isinstance(typed.json()["id"], str)
    assert len(huge.content) > 1_000_000


def test_a_token_can_be_ended_early(api: Any) -> None:
    """The request that meets the rule gets 401, and so do later ones until a new token is fetched."""
    api.control.faults([rule("expire_token")])

    statuses = [api("GET", "/organizations/me").status_code for _ in range(2)]
    api.log_in()

    assert [*statuses, api("GET", "/organizations/me").status_code] == [401, 401, 200]


def test_an_applied_change_can_be_applied_twice(api_with: Any) -> None:
    """A repeated application makes two phones of one request where names need not be unique."""
    api = api_with(unique_phone_names=False)
    user_id = api.control.sign_in(count=1)[0]["id"]
    body = api.phone_body(user_id)
    api.control.faults([rule("dup_apply", route=PHONE_ROUTE)])

    assert api("POST", PHONES, json=body).status_code == 200
    assert phones_of(api, user_id) == 2


def test_a_delay_is_real_time(api: Any) -> None:
    """A delayed answer comes as late as told, in real milliseconds, and is right."""
    api.control.faults([rule({"kind": "delay", "ms": 150}, "after_apply")])
    began = time.monotonic()

    assert api("GET", "/organizations/me").status_code == 200
    assert 0.15 <= time.monotonic() - began < 5.0


def struck(api: Any, count: int = 12) -> list[int]:
    """Return which of some requests got the rule's status."""
    statuses = [api("GET", "/organizations/me").status_code for _ in range(count)]
    return [place for place, status in enumerate(statuses, 1) if status == 503]


@pytest.mark.parametrize(
    ("match", "times", "places"),
    [({"nth": 3}, None, [3]), ({"every": 4}, None, [4, 8, 12]), ({"every": 4}, 2, [4, 8]), ({"user": "x"}, None, [])],
)
def test_rules_count_the_requests_they_match(
    api: Any, match: dict[str, Any], times: int | None, places: list[int]
) -> None:
    """`nth`, `every` and `times` count matching requests only."""
    given = {"match": match | {"path_re": "/me$"}, "action": {"kind": "status", "code": 503}, "times": times}
    api.control.faults([given])

    assert struck(api) == places


def test_chance_repeats_with_the_seed(api_with: Any) -> None:
    """The same seed and rule strike the same requests; another seed strikes others."""
    given = {"match": {"prob": 0.5}, "action": {"kind": "status", "code": 503}}
    runs = []
    for seed in (7, 7, 8):
        api = api_with(seed=seed)
        api.control.faults([given])
        runs.append(struck(api, 40))

    assert runs[0] == runs[1] != runs[2]
    assert 5 < len(runs[0]) < 35


def test_coverage_tells_which_cells_have_fired(api: Any) -> None:
    """Each cell of route, phase and action is counted, and rules report what they did."""
    api.control.faults([rule({"kind": "status", "code": 500}, method="GET")])
    api("GET", "/organizations/me")

    cell = {"route": "GET /api/v2/organizations/me", "phase": "before_apply", "action": "status", "fired": 1}
    assert api.control.coverage() == [cell]
    assert [(each["seen"], each["fired"]) for each in api.control.faults()] == [(1, 1)]


@pytest.mark.parametrize(
    "given",
    [
        {"action": "explode"},
        {"action": "reset", "phase": "later"},
        {"action": "bad_json", "phase": "mid_body"},
        {"action": {"kind": "delay", "seconds": 1}},
        {"action": "reset", "match": {"url": "/"}},
        {"action": "reset", "match": {"path_re": "("}},
        {"action": "reset", "match": {"every": 0}},
        {"action": "reset", "tims": 1},
        {},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(api: Any, given: dict[str, Any]) -> None:
    """A misspelt rule is never silently without effect, and the rules before it stay."""
    api.control.faults([rule("hang", user="nobody")])

    with pytest.raises(ControlError):
        api.control.faults([given])
    assert [each["id"] for each in api.control.faults()] == ["the rule"]


@pytest.mark.parametrize(("phase", "while_held"), [("before_apply", 0), ("after_apply", 1)])
def test_a_gate_holds_a_request_until_released(api: Any, user_id: str, phase: str, while_held: int) -> None:
    """While held, the phone exists or not by phase; released, the request is answered as if nothing had been."""
    body, answers = api.phone_body(user_id), []
    api.control.barrier("the gate", {"route": PHONE_ROUTE}, phase)
    thread = threading.Thread(target=lambda: answers.append(api("POST", PHONES, json=body).status_code))
    thread.start()
    ends = time.monotonic() + 5
    while not any(gate["waiting"] for gate in api.control.barriers()) and time.monotonic() < ends:
        time.sleep(0.01)

    held = phones_of(api, user_id)
    released = api.control.release("the gate")
    thread.join(5)

    assert (held, released, answers, phones_of(api, user_id)) == (while_held, 1, [200], 1)
