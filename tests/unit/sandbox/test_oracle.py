"""The judge: clients known to be bad must be caught, and a good one must not be."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

LIMIT = 30


def test_a_client_at_full_speed_is_caught(api_with: Any) -> None:
    """A client that heeds nothing gets 429s, and the oracle counts its windows and its disregard of the pause."""
    api = api_with(limit_per_min=LIMIT, time_scale=1)

    statuses = [api("GET", "/organizations/me").status_code for _ in range(LIMIT + 10)]

    oracle = api.control.oracle()
    assert statuses == [200] * LIMIT + [429] * 10
    assert oracle["answers_429"] == 10
    assert oracle["worst_window"] == LIMIT + 10
    assert oracle["windows_over"] == 10
    assert oracle["requests_inside_retry_after"] == 9


def test_a_limiter_with_fixed_windows_is_caught(api_with: Any) -> None:
    """Two full fixed windows back to back break the sliding limit, though the API refused nothing."""
    api = api_with(limit_per_min=LIMIT, time_scale=1)
    api("GET", "/organizations/me")
    api.control.advance_clock(40)
    first = [api("GET", "/organizations/me").status_code for _ in range(LIMIT - 1)]
    api.control.advance_clock(20)
    second = [api("GET", "/organizations/me").status_code for _ in range(LIMIT)]

    oracle = api.control.oracle()
    assert set(first + second) == {200}
    assert oracle["worst_window"] == 2 * LIMIT - 1
    assert oracle["windows_over"] == LIMIT - 1


def test_an_even_client_is_not_accused(api_with: Any) -> None:
    """A client that spreads its requests over the window is let in and blamed for nothing."""
    api = api_with(limit_per_min=LIMIT, time_scale=1)

    for _ in range(2 * LIMIT):
        assert api("GET", "/organizations/me").status_code == 200
        api.control.advance_clock(60 / LIMIT)

    oracle = api.control.oracle()
    assert (oracle["windows_over"], oracle["answers_429"], oracle["requests_inside_retry_after"]) == (0, 0, 0)
    assert oracle["worst_window"] <= LIMIT


def test_sliding_enforcement_stops_what_fixed_lets_through(api_with: Any) -> None:
    """With sliding windows, no 60 s ever hold more admitted requests than the limit."""
    api = api_with(limit_per_min=LIMIT, time_scale=60, window="sliding")
    # Until two windows' worth was let in and some turned away, however busy the machine is; given up on after 30 s.
    ends, answers = time.monotonic() + 30, Counter[int]()

    while time.monotonic() < ends and (answers[200] < 2 * LIMIT + 1 or not answers[429]):
        answers[api("GET", "/organizations/me").status_code] += 1

    admitted_s = [entry["arrived_s"] for entry in api.control.journal(limit=100_000) if entry["status"] == 200]
    fetched = admitted_s[1:]
    assert max(sum(1 for other in fetched if at_s - 60 < other <= at_s) for at_s in fetched) == LIMIT
    assert len(fetched) >= 2 * LIMIT
    assert answers[429]


def test_tokens_are_metered_and_watched_apart(api_with: Any) -> None:
    """Each token has a window of its own, and a row of its own in the oracle."""
    api = api_with(limit_per_min=LIMIT)
    api("GET", "/organizations/me")
    api.log_in()

    answer = api("GET", "/organizations/me")

    assert answer.headers["inin-ratelimit-count"] == "1"
    assert [row["requests"] for row in api.control.oracle()["tokens"].values()] == [1, 1]


def test_token_calls_count_when_told_to(api_with: Any) -> None:
    """With the option on, fetching a token is the first request of its window."""
    api = api_with(token_calls_count=True)

    assert api("GET", "/organizations/me").headers["inin-ratelimit-count"] == "2"


def test_doubles_unknown_paths_and_wildcards_are_counted(api: Any, user_id: str) -> None:
    """A second phone of one user, a path that does not exist and a wildcard filter show in the oracle."""
    api.make_phone(user_id, "one")
    before = api.control.oracle()
    api.make_phone(user_id, "two")
    api("GET", "/user")
    api("GET", "/telephony/providers/edges/phones", params={"name": "o*"})

    oracle = api.control.oracle()
    assert before["users_with_other_than_one_phone"] == []
    assert oracle["users_with_other_than_one_phone"] == [user_id]
    assert (oracle["users"], oracle["phones"]) == (1, 2)
    assert (oracle["unknown_paths"], oracle["wildcard_filters"]) == (1, 1)
    assert 0 < oracle["sandbox_busy_share"] < 1
