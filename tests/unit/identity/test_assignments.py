"""Exports of role assignments, as identity providers and spreadsheets write them."""

from __future__ import annotations

import pytest

from jitprov.identity.assignments import AssignmentsUnreadable, read_assignments

SAME = {"robin@example.test": frozenset({"Agent", "Quality Evaluator"}), "kim@example.test": frozenset({"Agent"})}


@pytest.mark.parametrize(
    "raw",
    [
        b"user,role\nrobin@example.test,Agent\nROBIN@example.test,Quality Evaluator\nkim@example.test,Agent\n",
        (
            b"\xef\xbb\xbfUser;Role\r\nrobin@example.test;Agent\r\nrobin@example.test;Quality Evaluator\r\n\r\n"
            b"kim@example.test;Agent\r\n"
        ),
        (
            b"department\tRoles\tuserPrincipalName\nx\tAgent|Quality Evaluator\trobin@example.test\n"
            b"x\tAgent\tkim@example.test\n"
        ),
        b'email,roles\nrobin@example.test,"Agent; Quality Evaluator"\nkim@example.test,Agent\n',
        "user,role\nrobin@example.test,Agent|Quality Evaluator\nkim@example.test,Agent\n".encode("utf-16"),
        (
            b'[{"user": "robin@example.test", "roles": ["Agent", "Quality Evaluator"]}, '
            b'{"Email": "kim@example.test", "role": "Agent"}]'
        ),
        b'{"robin@example.test": ["Agent", "Quality Evaluator"], "kim@example.test": ["Agent"]}',
    ],
)
def test_an_export_is_read_in_whatever_shape(raw: bytes) -> None:
    """Order and case of columns, delimiter, byte order mark, UTF-16, several roles a cell, JSON: all the same."""
    assert read_assignments(raw, "export.csv") == SAME


@pytest.mark.parametrize(
    ("raw", "name", "said"),
    [
        (b"", "x.csv", "x.csv: is empty"),
        (b"name,role\nRobin,Agent\n", "x.csv", "x.csv, line 1: no column of users. Name one of the columns user, "),
        (b"user,email,role\na,b,c\n", "x.csv", "x.csv, line 1: more than one column of users"),
        (b"user,role\nrobin@example.test\n", "x.csv", "x.csv, line 2, column 2: cells are missing"),
        (b"user,role\n,Agent\n", "x.csv", "x.csv, line 2, column 1: names no user"),
        (b'user,role\nkim,"Agent\n', "x.csv", "broken CSV"),
        (b"user,role\nkim,Qualit\xe4t\n", "x.csv", "x.csv, line 2, column 11: this is not UTF-8. Save it as CSV UTF-8"),
        (b'[{"user": "kim",]', "x.json", "x.json, line 1, column 17: this is not JSON"),
        (b'[{"roles": ["Agent"]}]', "x.json", "x.json, entry 0, user: names no user"),
        (b'[{"user": "kim", "roles": 7}]', "x.json", "x.json, entry 0, roles: is no list of names"),
        (b"7", "x.json", "x.json: is neither a list nor an object"),
    ],
)
def test_what_cannot_be_read_is_placed(raw: bytes, name: str, said: str) -> None:
    """A broken export is refused with line, column, cause and remedy."""
    with pytest.raises(AssignmentsUnreadable) as refused:
        read_assignments(raw, name)

    assert said in str(refused.value)
