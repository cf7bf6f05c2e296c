"""An export of role assignments from the identity provider → who is asserted which roles. Pure; asks nobody.

    CSV    a line each: user, role. The first line names the columns, in any order and case: `user`, `user_id`, `email`
           or `userPrincipalName`; `role`, `roles` or `role_name`. Separated by comma, semicolon, tab or bar. Several
           roles in one cell are separated by `;` or `|`. With a byte order mark or without, UTF-8 or UTF-16.
    JSON   [{"user": …, "roles": […]}, …] or {user: [role, …]}

A user is named by Genesys user id or e-mail address; case aside. A role's case counts, as it does in Genesys Cloud.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

BYTES_MAX = 67_108_864
_USER_COLUMNS = ("user", "user_id", "userid", "email", "userprincipalname", "upn", "mail", "login")
_ROLE_COLUMNS = ("role", "roles", "role_name", "rolename", "approle")
_DELIMITERS = ",;\t|"
_SHOWN_CHARS = 40


class AssignmentsUnreadable(Exception):  # noqa: N818  says what it is
    """The export cannot be read; the text says where, why and what to do, and quotes no person."""

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        super().__init__(f"{place}: {cause}. {remedy}")


Assignments = Mapping[str, frozenset[str]]


def read_assignments(raw: bytes, name: str) -> Assignments:
    """Return the roles asserted of each user, by id or address in lower case.

    Args:
        raw: The file.
        name: Of the file: `.json` is read as JSON, everything else as CSV unless it begins as JSON does.

    Raises:
        AssignmentsUnreadable: With line and column.
    """
    if len(raw) > BYTES_MAX:
        raise AssignmentsUnreadable(name, "is larger than 64 MiB", "Export fewer users at a time")
    text = _decoded(raw, name)
    if not text.strip():
        raise AssignmentsUnreadable(name, "is empty", "Export users with their roles")
    is_json = name.lower().endswith(".json") or text.lstrip()[:1] in "[{"
    pairs = _from_json(text, name) if is_json else _from_csv(text, name)
    found: dict[str, set[str]] = {}
    for user, roles in pairs:
        found.setdefault(user.casefold(), set()).update(roles)
    return {user: frozenset(roles) for user, roles in found.items()}


def _decoded(raw: bytes, name: str) -> str:
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise AssignmentsUnreadable(
            f"{name}, line {line}, column {column}", "this is not UTF-8", "Save it as CSV UTF-8"
        ) from None


def _from_csv(text: str, name: str) -> Iterator[tuple[str, Iterable[str]]]:
    head = text.lstrip("\r\n").splitlines()[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: tuple[int, int] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns = _columns(row, f"{name}, line {reader.line_num}")
                continue
            yield _row(row, columns, f"{name}, line {reader.line_num}")
    except csv.Error as error:
        remedy = "Close the quotes, and double those inside a cell"
        raise AssignmentsUnreadable(f"{name}, line {reader.line_num}", f"broken CSV ({error})", remedy) from None


def _columns(row: list[str], place: str) -> tuple[int, int]:
    names = [re.sub(r"[\s-]", "_", cell.strip().casefold()) for cell in row]

    def column(known: tuple[str, ...], what: str) -> int:
        found = [at for at, each in enumerate(names) if each in known]
        if len(found) != 1:
            cause = f"{'no' if not found else 'more than one'} column of {what}"
            remedy = f"Name one of the columns {', '.join(known[:4])}"
            raise AssignmentsUnreadable(place, cause, remedy)
        return found[0]

    return column(_USER_COLUMNS, "users"), column(_ROLE_COLUMNS, "roles")


def _row(row: list[str], columns: tuple[int, int], place: str) -> tuple[str, Iterable[str]]:
    at_user, at_role = columns
    if len(row) <= max(columns):
        raise AssignmentsUnreadable(
            f"{place}, column {len(row) + 1}", "cells are missing", "Give each line as many cells as the first"
        )
    user = row[at_user].strip()
    if not user:
        raise AssignmentsUnreadable(
            f"{place}, column {at_user + 1}", "names no user", "Give an e-mail address or a Genesys user id"
        )
    return user, [role for each in re.split(r"[;|]", row[at_role]) if (role := each.strip())]


def _from_json(text: str, name: str) -> Iterator[tuple[str, Iterable[str]]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = (
            f"{name}, line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else name
        )
        raise AssignmentsUnreadable(place, "this is not JSON", "Export it anew") from None
    if isinstance(content, dict):
        content = [{"user": user, "roles": roles} for user, roles in content.items()]
    if not isinstance(content, list):
        raise AssignmentsUnreadable(name, "is neither a list nor an object", 'Write [{"user": …, "roles": […]}, …]')
    for number, entry in enumerate(content):
        yield _entry(entry, f"{name}, entry {number}")


def _entry(entry: Any, place: str) -> tuple[str, Iterable[str]]:
    named = {str(key).casefold(): value for key, value in entry.items()} if isinstance(entry, dict) else {}
    user = next((named[key] for key in _USER_COLUMNS if named.get(key)), None)
    roles = next((named[key] for key in _ROLE_COLUMNS if key in named), None)
    roles = [roles] if isinstance(roles, str) else roles
    if not isinstance(user, str) or not user.strip():
        raise AssignmentsUnreadable(f"{place}, user", "names no user", 'Write {"user": …, "roles": […]}')
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise AssignmentsUnreadable(f"{place}, roles", "is no list of names", 'Write {"user": …, "roles": […]}')
    return user.strip(), [role for each in roles if (role := each.strip())]
