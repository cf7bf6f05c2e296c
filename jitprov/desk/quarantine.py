"""The quarantine over HTTP, for the operator: what the receiver refused, to look at, replay and drop.

The room does not know how: it is handed whoever does (`receiver.quarantine.Warden`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, HTTPException, Query, Response

from jitprov.desk.answers import JsonRoute
from jitprov.desk.guard import Guard
from jitprov.errors import ConfigurationError


class Result(Protocol):
    """What became of a replay."""

    def told(self) -> dict[str, object]:
        """Return it for machines."""
        ...


class Keeper(Protocol):
    """Who works on the quarantine; see `receiver.quarantine.Warden`."""

    def entries(self, *, limit: int = 1000) -> Sequence[Mapping[str, str]]:
        """Return descriptions, newest first."""
        ...

    def entry(self, entry_id: str) -> Mapping[str, str] | None:
        """Return one description, or None."""
        ...

    def text(self, entry_id: str) -> bytes:
        """Return a body; raises `ConfigurationError` when it cannot be read."""
        ...

    def replay(self, entry_id: str) -> Result:
        """Read a body again."""
        ...

    def drop(self, entry_id: str) -> bool:
        """Drop an entry."""
        ...


def make_quarantine_room(keeper: Keeper, guard: Guard) -> APIRouter:
    """Return the routes; for operators alone, since a refused body may name people."""
    reading, changing = [Depends(guard.may_open)], [Depends(guard.may_act)]
    room = APIRouter(prefix="/api/quarantine", route_class=JsonRoute)

    def known(entry_id: str) -> Mapping[str, str]:
        entry = keeper.entry(entry_id)
        if entry is None:
            raise HTTPException(404, "nothing in quarantine has this id")
        return entry

    @room.get("", dependencies=reading)
    def list_entries(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
        """Refused bodies, newest first: where and why, never their text."""
        return {"entries": [dict(entry) for entry in keeper.entries(limit=limit)]}

    @room.get("/{entry_id}", dependencies=reading, responses={404: {}})
    def show(entry_id: str) -> dict[str, str]:
        """One refused body's description."""
        return dict(known(entry_id))

    @room.get(
        "/{entry_id}/body",
        dependencies=reading,
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}, 404: {}, 409: {}},
    )
    def text(entry_id: str) -> Response:
        """One refused body, byte for byte; may name people."""
        known(entry_id)
        try:
            raw = keeper.text(entry_id)
        except ConfigurationError as error:
            raise HTTPException(409, str(error)) from error
        # Never as what its sender says it is: a browser must not run it.
        return Response(raw, media_type="application/octet-stream", headers={"Content-Security-Policy": "sandbox"})

    @room.post("/{entry_id}/replay", dependencies=changing, responses={404: {}})
    def replay(entry_id: str) -> dict[str, object]:
        """Read a refused body again, as if it came now; it leaves when nothing of it is refused any more."""
        known(entry_id)
        return keeper.replay(entry_id).told()

    @room.post("/{entry_id}/drop", dependencies=changing, responses={404: {}})
    def drop(entry_id: str) -> dict[str, bool]:
        """Drop a refused body for good."""
        known(entry_id)
        return {"dropped": keeper.drop(entry_id)}

    return room
