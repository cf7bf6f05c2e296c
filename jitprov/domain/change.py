"""One thing that differs, and one request that mends it. Pure.

Several changes may share a call (fifty skills of one agent), and several agents (fifty who shall be in one group).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

What = Literal["skill", "language", "utilization", "division", "role", "group", "queue", "phone", "station"]
How = Literal["give", "rate", "take", "set", "move", "make"]

# Most that one call takes. Of the array of a division and of a role's subjects the API tells no cap.
RATED_PER_CALL = 50
AGENTS_PER_CALL: Mapping[str, int] = {"division": 50, "role": 50, "group": 50, "queue": 100}


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        method: Of HTTP.
        route: As the API describes it.
        thing: Which thing a call for many gives; empty for a call about one agent alone.
        part: Of several of the same kind, from 1.
        agents_max: Agents that it can serve.
    """

    method: str
    route: str
    thing: str = ""
    part: int = 1
    agents_max: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    Attributes:
        what: Of which kind.
        name: Of the thing; of a role with its division.
        how: `give`, `rate` (other proficiency), `take`, `set`, `move`, `make`.
        before: As it is; empty where there is nothing.
        after: As it shall be.
        wanted: What the rules say; None for what they do not say.
    """

    what: What
    name: str
    how: How
    before: str = ""
    after: str = ""
    wanted: Any = field(default=None, compare=False, repr=False)
