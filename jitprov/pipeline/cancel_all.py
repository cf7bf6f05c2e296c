"""Cancel all that match a filter: what it would do, and the doing. Sends nothing to Genesys; what was made stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from jitprov.domain.provisioning import State, Step
from jitprov.ledger.overview import Filter, Overview
from jitprov.pipeline.all_that_match import AllThatMatch
from jitprov.pipeline.operations import Verdict, cancel_seen
from jitprov.pipeline.outlook import Pace

_UNDER_WAY = tuple(state for state in State if not state.ended)
_CANCELLED = (*_UNDER_WAY, State.FAILED)


def cancelled_by(wanted: Filter) -> Filter:
    """Return the filter with the states that a cancel may move: those under way; failed only where it is named."""
    return replace(wanted, states=tuple(state for state in _CANCELLED if state in wanted.states) or _UNDER_WAY)


@dataclass(frozen=True, slots=True)
class CancelPreview:
    """What cancelling all that match would do.

    Attributes:
        wanted: Whom it means.
        at: The ledger's clock: who is accepted later is not meant.
        agents: How many.
        steps: How many stand before each step; none has done it.
        calls: API calls that they would have taken, and that are left for others.
    """

    wanted: Filter
    at: datetime
    agents: int
    steps: Mapping[Step, int]
    calls: int


def preview_cancel(ledger: Overview, wanted: Filter, pace: Pace) -> CancelPreview:
    """Return what cancelling all that match would do; changes nothing.

    Raises:
        DependencyDown: The ledger does not answer.
    """
    wanted = cancelled_by(wanted)
    now, tally = ledger.ping(), ledger.tally(wanted)
    return CancelPreview(wanted, now, sum(tally.values()), tally, pace.outlook(tally, now).calls)


def cancelling(ledger: Overview, *, grace_s: float) -> AllThatMatch:
    """Return what cancels all that match; hand it filters from `cancelled_by`.

    Args:
        ledger: The truth, and where the act is noted.
        grace_s: How long a message may be on its way, in real seconds.
    """
    return AllThatMatch(
        ledger,
        "cancel",
        do=lambda record: cancel_seen(ledger, record, grace_s=grace_s),
        means=lambda record, act: record.accepted_at <= act.at,
        told=_told,
    )


def _told(became: Counter[Verdict]) -> str:
    asked, left = became[Verdict.ASKED], became[Verdict.NOTHING_TO_DO]
    more = f", {asked} end when their step does" if asked else ""
    return f"{became[Verdict.DONE]} cancelled{more}{f', {left} had ended' if left else ''}"
