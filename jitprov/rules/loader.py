"""rules.yaml → `RuleBook`. Every error at once, each with its line; decides nothing about agents."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from jitprov.domain.skills import nearest_names
from jitprov.errors import ConfigurationError
from jitprov.rules.document import BYTES_MAX, Document, read_document
from jitprov.rules.engine import RuleBook
from jitprov.rules.examples import Example, Expected, GivenProfile
from jitprov.rules.given import (
    CAPACITY_MAX,
    CAPACITY_MIN,
    PROFICIENCY_MAX,
    PROFICIENCY_MIN,
    TAGS,
    Kind,
    MediaEntry,
    PhoneEntry,
    RoleEntry,
    SkillEntry,
)
from jitprov.rules.model import Defaults, ExpectedRoles, Rule, Rules, When

SHIPPED = Path(__file__).with_name("default.yaml")
_ERRORS_SHOWN = 20
_VALUE_CHARS = 40

_BOUNDS = f"must be {PROFICIENCY_MIN} to {PROFICIENCY_MAX}"
# pydantic's kinds of fault, in the words of this file's reader.
_SAID: Mapping[str, str] = {
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "finite_number": _BOUNDS,
    "greater_than_equal": _BOUNDS,
    "less_than_equal": _BOUNDS,
}
_SAID_ALONE: Mapping[str, str] = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
_RATED = "must be a mapping of names to proficiencies, or a list of {name, proficiency}"
_OF_PROFICIENCY = frozenset({"float_type", "finite_number", "greater_than_equal", "less_than_equal"})


def load_rules(path: Path | None = None) -> RuleBook:
    """Read the rules.

    Args:
        path: Of rules.yaml; the shipped seasonal rules when None.

    Raises:
        ConfigurationError: Every fault with file, line, place, cause and what is expected.
    """
    path = path or SHIPPED
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
    except OSError as error:
        remedy = "Set JITPROV_RULES_FILE to a readable file, or unset it"
        msg = f"rules file {path}: cannot be read ({error.strerror}). {remedy}"
        raise ConfigurationError(msg) from None
    return parse_rules(raw, path.name)


def parse_rules(raw: bytes, name: str = "rules.yaml") -> RuleBook:
    """Return the rules that a file's bytes say.

    Args:
        raw: The bytes.
        name: Of the file, for errors.

    Raises:
        ConfigurationError: As `load_rules`.
    """
    document = read_document(raw, name)
    try:
        rules = Rules.model_validate(document.value)
    except ValidationError as error:
        faults = [_fault(dict(item), document, name) for item in error.errors(include_url=False)]
        lines = [text for _, text in sorted(faults)]
        more = [f"and {len(lines) - _ERRORS_SHOWN} more"] if len(lines) > _ERRORS_SHOWN else []
        raise ConfigurationError("\n".join(lines[:_ERRORS_SHOWN] + more)) from None
    version = hashlib.sha256(raw).hexdigest()[:12]
    return RuleBook(rules, rules_version=version, lines=_lines(rules, document))


def _lines(rules: Rules, document: Document) -> dict[tuple[Kind, str], int]:
    """Return the line at which each name of something in the organization first stands."""
    places = [("defaults", rules.defaults), *((f"rules.{index}", rule) for index, rule in enumerate(rules.rules))]
    lines: dict[tuple[Kind, str], int] = {}
    for place, part in places:
        for kind, name, path in part.names():
            line = document.line_of((*place.split("."), *path))
            lines[kind, name] = min(line, lines.get((kind, name), line))
    return lines


def _fault(item: dict[str, Any], document: Document, name: str) -> tuple[int, str]:
    """Return the line of a fault and what is said about it."""
    path = tuple(str(part) for part in item["loc"] if part not in TAGS and part != "[key]")
    line = document.line_of(path)
    shown = ""
    for part in path:
        shown += f"[{part}]" if part.isdigit() else f".{part}" if shown else part
    place = f"{shown}: " if shown else ""
    return line, f"{name}:{line}: {place}{_cause(item, path)}"


def _cause(item: dict[str, Any], path: tuple[str, ...]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    got = f", got {_value(item['input'])}"
    if kind in _SAID:
        return f"{_said(kind, path)}{got}"
    if kind in _SAID_ALONE:
        return _SAID_ALONE[kind]
    if kind == "extra_forbidden":
        known = list(_model_at(path[:-1]).model_fields)
        near = nearest_names(path[-1], known, limit=1)
        return f"is not known here; {f'did you mean {near[0]}?' if near else 'known: ' + ', '.join(known)}"
    if kind == "literal_error":
        return f"must be {context['expected']}{got}"
    if kind == "value_error":
        return str(context["error"])
    return f"{item['msg']}{got}"


def _said(kind: str, path: tuple[str, ...]) -> str:
    section = _section(path)
    if section == "utilization" and _SAID[kind] == _BOUNDS:
        return f"must be {CAPACITY_MIN} to {CAPACITY_MAX}"
    if section in {"skills", "languages"}:
        if kind == "dict_type":
            return _RATED
        if kind in _OF_PROFICIENCY and path[-1] != "proficiency":
            return f"proficiency {_SAID[kind]}"
    return _SAID[kind]


def _section(path: tuple[str, ...]) -> str:
    """Return which part of a rule, of the defaults or of what a test expects a path leads into."""
    start = {"rules": 2, "defaults": 1, "tests": 3}.get(path[0], len(path)) if path else 0
    return path[start] if len(path) > start else ""


def _model_at(path: tuple[str, ...]) -> type[BaseModel]:
    """Return the model whose keys stand at a path."""
    if not path:
        return Rules
    in_lists: dict[str, type[BaseModel]] = {
        "skills": SkillEntry,
        "languages": SkillEntry,
        "utilization": MediaEntry,
        "roles": RoleEntry,
        "phone": PhoneEntry,
    }
    section = _section(path)
    if section in in_lists:
        return in_lists[section]
    if path[0] == "expected_roles" and path[-1] != "when":
        return ExpectedRoles
    by_name: dict[str, type[BaseModel]] = {
        "when": When,
        "defaults": Defaults,
        "profile": GivenProfile,
        "expect": Expected,
    }
    return by_name.get(path[-1], Example if path[0] == "tests" else Rule)


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    shown = repr(value)
    return shown if len(shown) <= _VALUE_CHARS else f"{shown[:_VALUE_CHARS]}…"
