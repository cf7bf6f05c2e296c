"""The end of a season: whose things go, what that costs, and the file that gives them back. Sends nothing itself.

What goes is taken by provisionings of their own kind, through the same steps, ledger and budget as everything else
(docs/decisions/0035). The file holds ids and names of skills, roles and places, no names of people; what is in it was
signed with the data key, so that nothing is given back by it that was not taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4, uuid5

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from jitprov.domain.events import Kind, Opening
from jitprov.domain.given import Given, Memory
from jitprov.domain.ids import provisioning_id_from
from jitprov.sealing import Seals

BYTES_MAX = 67_108_864
AGENTS_MAX = 100_000
_UserId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
_GIVEN: TypeAdapter[Given] = TypeAdapter(Given)
# Of the ids of what is opened: the same file opens nothing twice.
_OPENED = UUID("0f4f6cb1-56d3-4b0e-9a0b-1f4ad0b0f6c5")


class UndoUnusable(Exception):  # noqa: N818  says what it is
    """What was read is no undo file of this installation; the text says where and what to do."""


@dataclass(frozen=True, slots=True)
class Taking:
    """What goes from one agent."""

    user_id: str
    things: Given

    @property
    def calls(self) -> int:
        """Calls that it takes at most, the read of the profile aside: what is gone already costs none."""
        counts = self.things.counted()
        roles = counts.pop("roles", 0)
        return sum(counts.values()) + bool(roles)


def takings(memories: Mapping[str, Memory], *, department: str, before: datetime) -> list[Taking]:
    """Return what goes: all that jitprov gave agents of a department to whom it gave nothing since an instant.

    Args:
        memories: Of everybody.
        department: As the agents had it when jitprov last gave them something; case aside.
        before: Whoever was given something then or later is of the next season, and left alone.
    """
    wanted = department.strip().casefold()
    return [
        Taking(user_id, memory.given + memory.perhaps)
        for user_id, memory in sorted(memories.items())
        if memory.department.strip().casefold() == wanted and memory.given_at and memory.given_at < before
    ]


def counted(all_taken: Sequence[Taking]) -> dict[str, int]:
    """Return how many things of each kind go."""
    total: Counter[str] = Counter()
    for each in all_taken:
        total.update(each.things.counted())
    return dict(total)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UndoneAgent(_Part):
    """What was taken from one agent."""

    user_id: _UserId
    taken: Given


class Undo(_Part):
    """An undo file."""

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["cleanup-undo"]
    run_id: _UserId
    made_at: datetime
    agents: list[UndoneAgent] = Field(max_length=AGENTS_MAX)


def undo_file(all_taken: Sequence[Taking], seals: Seals, *, run_id: str, made_at: datetime) -> str:
    """Return the file that gives back what will be taken.

    Raises:
        UndoUnusable: There is no key to sign it with.
    """
    agents = [UndoneAgent(user_id=each.user_id, taken=_without_people(each.things)) for each in all_taken]
    body = Undo(schema=1, kind="cleanup-undo", run_id=run_id, made_at=made_at, agents=agents)
    content = body.model_dump(mode="json", by_alias=True, exclude_defaults=False)
    signed = _signatures(content, seals)
    if not signed:
        raise UndoUnusable("no key to sign the undo file with: set JITPROV_DATA_KEY as the workers have it")
    return json.dumps({"signed": signed[0], "content": content}, indent=1)


def read_undo(text: str, seals: Seals) -> Undo:
    """Return what an undo file says.

    Raises:
        UndoUnusable: It is no such file, was altered, or is another installation's.
    """
    try:
        document = json.loads(text)
        content, signed = document["content"], str(document["signed"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UndoUnusable("it is no undo file of `jitprov cleanup`. Give the file that cleanup named") from None
    if signed not in _signatures(content, seals):
        raise UndoUnusable(
            "it was altered, or signed with another key. Give it as cleanup wrote it, with JITPROV_DATA_KEY, or "
            "JITPROV_DATA_KEY_OLD, of then"
        )
    try:
        return Undo.model_validate(content)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, item["loc"])) for item in error.errors(include_input=False))
        raise UndoUnusable(f"another version wrote it: {where}. Use the jitprov that made it") from None


def cleanup_openings(all_taken: Sequence[Taking], run_id: str) -> list[Opening]:
    """Return what is opened to take everything away; the same run opens nothing twice."""
    return [_opening(Kind.CLEANUP, run_id, each.user_id, each.things) for each in all_taken]


def undo_openings(undo: Undo) -> list[Opening]:
    """Return what is opened to give everything back; the same file opens nothing twice."""
    return [_opening(Kind.UNDO, undo.run_id, each.user_id, each.taken) for each in undo.agents]


def _opening(kind: Kind, run_id: str, user_id: str, order: Given) -> Opening:
    event_id = uuid5(_OPENED, f"{kind} {run_id} {user_id}")
    return Opening(provisioning_id_from(uuid4()), str(event_id), user_id, kind, order)


def _without_people(things: Given) -> Given:
    return replace(things, phone=replace(things.phone, name="")) if things.phone else things


def _signatures(content: object, seals: Seals) -> tuple[str, ...]:
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return seals.digests(f"cleanup-undo {plain}")
