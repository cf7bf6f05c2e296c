"""The API's own description, compiled once: which operations exist and what each takes.

Reads `openapi.json` beside this file, checks path, query and body of a request against it. Checks no answers:
the contract tests do that, with another validator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from multidict import MultiMapping

from jitprov.sandbox.answers import bad_field

PAGE_SIZE_MAX = 100
PAGE_SIZE_MAX_LARGE = 500
_LARGE_PAGES = (
    "/api/v2/users",
    "/api/v2/users/{userId}/routingskills",
    "/api/v2/users/{userId}/routinglanguages",
    "/api/v2/routing/skills",
    "/api/v2/routing/languages",
    "/api/v2/authorization/divisions",
    "/api/v2/authorization/roles",
    "/api/v2/groups",
    "/api/v2/routing/queues",
)
# Codes that the API gives for one missing or excessive field rather than its general one.
_OWN_CODES: dict[tuple[str, str], str] = {
    ("/api/v2/users", "id"): "max.user.ids",
    ("/api/v2/telephony/providers/edges/phones", "lines"): "lines.required",
    ("/api/v2/telephony/providers/edges/phones", "phoneBaseSettings"): "base.settings.required",
    ("/api/v2/telephony/providers/edges/phones", "phoneBaseSettings.id"): "base.settings.required",
}
_METHODS = frozenset({"get", "put", "post", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter of an operation."""

    name: str
    kind: str
    default: Any
    choices: frozenset[str]
    items_max: int | None
    value_max: int | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path template, ready to read requests."""

    method: str
    template: str
    parameters: tuple[Parameter, ...]
    validator: Draft202012Validator | None

    def read_query(self, query: MultiMapping[str]) -> dict[str, Any]:
        """Return every described parameter by name: typed, or its default, or None. Others are ignored.

        Raises:
            ApiError: 400; a value is of the wrong type, not among the choices, or a list is too long.
        """
        if not query:
            return {parameter.name: parameter.default for parameter in self.parameters}
        return {parameter.name: self._read(parameter, query) for parameter in self.parameters}

    def check_body(self, body: object) -> None:
        """Refuse a body that the schema refuses.

        Raises:
            ApiError: 400 whose message names the field.
        """
        if self.validator is None or self.validator.is_valid(body):
            return
        error = best_match(self.validator.iter_errors(body))
        if error is None:  # pragma: no cover  is_valid said otherwise
            return
        name = _field_at_fault(error)
        code = _OWN_CODES.get((self.template, name), "bad.request")
        raise bad_field(name, error.message[:200], code)

    def _read(self, parameter: Parameter, query: MultiMapping[str]) -> Any:
        name = parameter.name
        if name not in query:
            return parameter.default
        if parameter.kind == "array":
            values = query.getall(name)
            if parameter.items_max is not None and len(values) > parameter.items_max:
                code = _OWN_CODES.get((self.template, name), "invalid.value")
                raise bad_field(name, f"at most {parameter.items_max} values", code)
            for value in values:
                _check_choice(parameter, value)
            return values
        value = query[name]
        if parameter.kind == "integer":
            return _whole_number(parameter, value)
        if parameter.kind == "boolean":
            if value not in {"true", "false"}:
                raise bad_field(name, "true or false", "invalid.value")
            return value == "true"
        _check_choice(parameter, value)
        return value


@cache
def operations() -> Mapping[tuple[str, str], Operation]:
    """Return all described operations by method and path template. Compiled at the first call."""
    document = json.loads(files("jitprov.sandbox").joinpath("openapi.json").read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    _tie(document["paths"], schemas)
    _tie(schemas, schemas)
    found: dict[tuple[str, str], Operation] = {}
    for template, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                found[method.upper(), template] = _compile(method.upper(), template, operation)
    return found


def _compile(method: str, template: str, operation: Mapping[str, Any]) -> Operation:
    parameters = tuple(
        _parameter(template, described) for described in operation.get("parameters", ()) if described["in"] == "query"
    )
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return Operation(method, template, parameters, None if schema is None else Draft202012Validator(schema))


def _parameter(template: str, described: Mapping[str, Any]) -> Parameter:
    schema, name = described["schema"], described["name"]
    limit = PAGE_SIZE_MAX_LARGE if template in _LARGE_PAGES else PAGE_SIZE_MAX
    choices = schema.get("items", schema).get("enum", ())
    if name == "sortOrder":  # the sources disagree on the spelling, so nothing is refused
        choices = ()
    return Parameter(
        name=name,
        kind=schema.get("type", "string"),
        default=schema.get("default"),
        choices=frozenset(choices),
        items_max=schema.get("maxItems"),
        value_max=schema.get("maximum", limit) if name == "pageSize" else None,
    )


def _tie(node: Any, schemas: Mapping[str, Any]) -> None:
    """Replace every reference by the schema it names, in place; circles stay circles."""
    items = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    for key, value in items:
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            kind, name = value["$ref"].split("/")[-2:]
            if kind == "schemas":
                node[key] = schemas[name]
        else:
            _tie(value, schemas)


def _field_at_fault(error: ValidationError) -> str:
    path = [str(part) for part in error.absolute_path]
    if error.validator == "required" and isinstance(error.instance, dict):
        needed: Any = error.validator_value
        path += [name for name in needed if name not in error.instance][:1]
    return ".".join(path) or "body"


def _whole_number(parameter: Parameter, value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise bad_field(parameter.name, "not a whole number", "invalid.value") from None
    if number < 1 or (parameter.value_max is not None and number > parameter.value_max):
        raise bad_field(parameter.name, f"1 to {parameter.value_max or 'any'}", "invalid.value")
    return number


def _check_choice(parameter: Parameter, value: str) -> None:
    if parameter.choices and value not in parameter.choices:
        raise bad_field(parameter.name, f"{value[:60]!r} is not one of the values allowed", "invalid.value")
