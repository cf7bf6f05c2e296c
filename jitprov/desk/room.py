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

__all__ = ["Desk", "Guard", "make_room"]


def make_room(desk: Desk, guard: Guard) -> APIRouter:
    """Return the routes of the room.

    Args:
        desk: What it works with.
        guard: Who lets in.
    """
    room = APIRouter()
    for routes in (make_login(guard), make_api(desk, guard), make_pages(desk, guard)):
        room.include_router(routes)
    return room
