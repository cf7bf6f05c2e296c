"""What steps may use: handed to each of them by the runner, made once per process in `pipeline.tasks`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from jitprov.domain.given import Memory
from jitprov.genesys.access import AccessClient
from jitprov.genesys.belongings import Belongings
from jitprov.genesys.catalogue import Catalogue
from jitprov.genesys.client import GenesysClient
from jitprov.genesys.holdings import HoldingsClient
from jitprov.genesys.removal import RemovalClient
from jitprov.genesys.stations import StationLore
from jitprov.pipeline.grants import Grants
from jitprov.pipeline.profiles import ProfileReader
from jitprov.rules.living import LivingRules


@dataclass(frozen=True, slots=True)
class Kit:
    """What a step may use.

    Attributes:
        hold: Makes sure the lease is still ours; called right before an effect that must not happen twice.
            Raises `LeaseLost`.
        stations: What was learned about stations.
        memory: What is remembered of the agent; replaced per attempt, as the three beside it.
        now: The ledger's clock when the attempt began; None before any.
        look_first: The ledger was lost: what it does not know of may be there all the same.
        station_source: `auto`, `line_id` or `lookup`.
        profile_wait_max_s: How long department and title may be waited for, in API seconds.
        time_scale: API seconds per real second.
    """

    genesys: GenesysClient
    catalogue: Catalogue
    rules: LivingRules
    profiles: ProfileReader
    stations: StationLore
    access: AccessClient
    holdings: HoldingsClient
    removals: RemovalClient
    belongings: Belongings
    grants: Grants
    hold: Callable[[], None]
    memory: Memory = field(default_factory=Memory)
    now: datetime | None = None
    look_first: bool = False
    station_source: Literal["auto", "line_id", "lookup"] = "auto"
    profile_wait_max_s: float = 0.0
    time_scale: float = 1.0
