"""The table of everything served on the data port below /api/v2."""

from __future__ import annotations

from jitprov.sandbox import (
    access_routes,
    audit_routes,
    circle_routes,
    competence_routes,
    organization_routes,
    people_routes,
    phone_routes,
    sign_on_routes,
    station_routes,
)
from jitprov.sandbox.calls import Route, RouteTable
from jitprov.sandbox.schemas import operations

HANDLERS = (
    people_routes.ROUTES
    | competence_routes.ROUTES
    | phone_routes.ROUTES
    | station_routes.ROUTES
    | organization_routes.ROUTES
    | access_routes.ROUTES
    | circle_routes.ROUTES
    | audit_routes.ROUTES
    | sign_on_routes.ROUTES
)


def _build() -> RouteTable:
    table, described = RouteTable(), operations()
    for key, handler in HANDLERS.items():
        table.add(Route(described[key], handler))
    return table


ROUTES = _build()
