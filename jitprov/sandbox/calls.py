"""One request as the routes see it, and the table that finds its route.

A route is a plain function from a call to a reply; it never awaits. Paths match exactly: no trailing slash,
no other case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jitprov.sandbox.answers import Reply
from jitprov.sandbox.schemas import Operation
from jitprov.sandbox.world import World


@dataclass(slots=True)
class Call:
    """A request that was let in: path, query and body have been read and fit the schema.

    Attributes:
        world: The organization.
        path: Path without query.
        ids: Values of the template's variables.
        query: Described parameters by name.
        body: JSON value; None when the operation takes none.
        client_id: OAuth client that the token belongs to.
    """

    world: World
    path: str
    ids: Mapping[str, str]
    query: dict[str, Any]
    body: Any
    client_id: str

    @property
    def now_s(self) -> float:
        """The present sandbox instant."""
        return self.world.clock.now_s()


Handler = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation and the function that serves it."""

    operation: Operation
    handler: Handler


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    variable_name: str = ""
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """Finds the route of a path in time that grows with the path only."""

    def __init__(self) -> None:
        """Begin without routes."""
        self._root = _Node()

    def add(self, route: Route) -> None:
        """Take in a route."""
        node = self._root
        for part in route.operation.template.split("/"):
            if not part.startswith("{"):
                node = node.literal.setdefault(part, _Node())
                continue
            if node.variable is None:
                node.variable, node.variable_name = _Node(), part[1:-1]
            node = node.variable
        node.routes[route.operation.method] = route

    def find(self, path: str) -> tuple[Mapping[str, Route], dict[str, str]]:
        """Return the routes of a path by method, and the path's ids; no routes when the path is unknown."""
        found = _find(self._root, path.split("/"), 0, {})
        return ({}, {}) if found is None else found


def _find(
    node: _Node, parts: list[str], at: int, values: dict[str, str]
) -> tuple[Mapping[str, Route], dict[str, str]] | None:
    if at == len(parts):
        return (node.routes, values) if node.routes else None
    part = parts[at]
    if part in node.literal:
        found = _find(node.literal[part], parts, at + 1, values)
        if found is not None:
            return found
    if node.variable is None or not part:
        return None
    return _find(node.variable, parts, at + 1, values | {node.variable_name: part})
