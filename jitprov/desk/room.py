"""The operator's room over HTTP, on the receiver's port: the board at `/`, and the same as JSON under `/api/`.

It reads the ledger and the meter and moves provisionings by `pipeline.operations`, like the command line does.
"""

from __future__ import annotations

from fastapi import APIRouter

from jitprov.desk.api import make_api
from jitprov.desk.desk import Desk
from jitprov.desk.guard import Guard
from jitprov.desk.login import make_login
from jitprov.desk.pages import make_pages
from jitprov.desk.session import Role

__all__ = ["Desk", "make_room"]


def make_room(desk: Desk, *, operator_key: str, viewer_key: str = "", forwarded_header: str = "") -> APIRouter:
    """Return the routes of the room.

    Args:
        desk: What it works with.
        operator_key: Sees and acts; empty: nobody does.
        viewer_key: Sees; empty: nobody does by it.
        forwarded_header: See `strangers.source_of`.
    """
    keys = {Role.OPERATOR: operator_key, Role.VIEWER: viewer_key}
    guard = Guard(keys, forwarded_header=forwarded_header.lower().encode())
    room = APIRouter()
    for routes in (make_login(guard), make_api(desk, guard), make_pages(desk, guard)):
        room.include_router(routes)
    return room
