"""The compiled description: complete, and quick to say no."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from jitprov.sandbox.answers import ApiError, Reply
from jitprov.sandbox.calls import Call, Route, RouteTable
from jitprov.sandbox.routes import HANDLERS
from jitprov.sandbox.schemas import operations


def test_everything_served_is_described_and_the_other_way_round() -> None:
    """The description holds the routes and the token endpoint, nothing more and nothing less."""
    assert set(operations()) == set(HANDLERS) | {("POST", "/oauth/token")}


def test_a_query_is_read_by_type_with_defaults() -> None:
    """Numbers become numbers, lists lists, absent ones their default; what is not described is left out."""
    query = MultiDict([("id", "a"), ("id", "b"), ("pageSize", "7"), ("colour", "blue")])

    read = operations()["GET", "/api/v2/users"].read_query(query)

    assert (read["id"], read["pageSize"], read["pageNumber"], read["state"]) == (["a", "b"], 7, 1, "active")
    assert "colour" not in read


@pytest.mark.parametrize(
    ("name", "value"),
    [("pageSize", "0"), ("pageSize", "501"), ("pageSize", "1e2"), ("pageNumber", "-1"), ("state", "ACTIVE")],
)
def test_a_query_that_does_not_fit_is_refused(name: str, value: str) -> None:
    """A bound, a type or a choice that is not kept gets a 400 that names the parameter."""
    with pytest.raises(ApiError) as caught:
        operations()["GET", "/api/v2/users"].read_query(MultiDict({name: value}))

    assert (caught.value.status, caught.value.field_name) == (400, name)


def test_literal_parts_win_over_variables() -> None:
    """`/users/search` is the search, not a user of that name, and other methods fall to nobody."""
    table = RouteTable()
    for key, operation in operations().items():

        def handler(_: Call) -> Reply:
            return Reply()

        if key[1].startswith("/api/v2/users"):
            table.add(Route(operation, handler))

    search, ids = table.find("/api/v2/users/search")
    one, one_ids = table.find("/api/v2/users/someone")
    bulk, bulk_ids = table.find("/api/v2/users/someone/routingskills/bulk")

    assert (set(search), ids) == ({"POST"}, {})
    assert (set(one), one_ids) == ({"GET", "PATCH", "DELETE"}, {"userId": "someone"})
    assert (set(bulk), bulk_ids) == ({"PATCH", "PUT"}, {"userId": "someone"})
    assert table.find("/api/v2/users/") == ({}, {})
