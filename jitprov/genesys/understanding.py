"""How every client of this room takes ids, and reads answers that may lack something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from jitprov.domain.ids import is_uuid
from jitprov.errors import OutcomeUnknown, Unavailable
from jitprov.genesys.payloads import Malformed

T = TypeVar("T")


def checked(user_id: str) -> str:
    """Return an id as it is, or refuse it."""
    # An id becomes part of a path or a filter, and the phone filter takes wildcards.
    if not is_uuid(user_id):
        msg = "a Genesys id is a UUID in lower case"
        raise ValueError(msg)
    return user_id


def understood(parse: Callable[[], T], *, safe: bool = True) -> T:
    """Return a parsed answer; one that lacks something counts as none."""
    try:
        return parse()
    except Malformed as error:
        kind = Unavailable if safe else OutcomeUnknown
        raise kind(f"the API's answer lacks {error}") from None
