"""What the room's handlers work with, and the acts that pages and API share: each leaves a line in the log of acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from fastapi import HTTPException

from jitprov.budget import Budget
from jitprov.desk.crowd import Crowd
from jitprov.desk.lookout import Lookout, is_endless
from jitprov.domain.provisioning import Provisioning
from jitprov.ledger.overview import Act, Filter, Overview
from jitprov.pipeline.operations import SETTLE_S, Answer, cancel, retry
from jitprov.pipeline.outlook import Pace
from jitprov.pipeline.retry_all import Preview, Retrying, preview


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with.

    Attributes:
        ledger: The truth.
        budget: The meter.
        enqueue_again: Sends a provisioning's chain from its recorded step.
        pace: Returns how fast calls may leave.
        grace_s: How long a message may be on its way, in real seconds.
        settle_s: See `operations.retry`.
        flower_url: Where Flower is, for links to a task; empty without one.
    """

    ledger: Overview
    budget: Budget
    enqueue_again: Callable[[Provisioning], None]
    pace: Callable[[], Pace]
    grace_s: float
    settle_s: float = SETTLE_S
    flower_url: str = ""
    lookout: Lookout = field(init=False)
    crowd: Crowd = field(init=False)

    def __post_init__(self) -> None:
        """Make the parts that stay."""
        retrying = Retrying(self.ledger, self.enqueue_again, self.grace_s, self.settle_s)
        object.__setattr__(self, "lookout", Lookout(self.ledger, self.budget, self.pace))
        object.__setattr__(self, "crowd", Crowd(retrying))

    def known(self, any_id: str) -> Provisioning:
        """Return the provisioning that an id means, or answer 404."""
        record = self.ledger.find(any_id)
        if record is None:
            raise HTTPException(404, "nothing is known by this id")
        return record

    def retry(self, any_id: str, *, who: str, why: str = "") -> Answer:
        """Retry one, and note it."""
        answer = retry(self.ledger, self.enqueue_again, any_id, grace_s=self.grace_s, settle_s=self.settle_s)
        return self._noted("retry", answer, who, why)

    def cancel(self, any_id: str, *, who: str, why: str = "") -> Answer:
        """Cancel one, and note it."""
        return self._noted("cancel", cancel(self.ledger, any_id, grace_s=self.grace_s), who, why)

    def note(self, what: str, whom: str, *, who: str, why: str = "", outcome: str = "") -> None:
        """Note an act that is done."""
        self.ledger.note(Act(uuid4().hex, self.ledger.ping(), who, what, whom, why, outcome))

    def ready_at(self, record: Provisioning, now: datetime) -> datetime | None:
        """Return when one will be ready; None when it has ended, and when nobody can tell because nothing moves."""
        meter = self.budget.state()
        if record.state.ended or is_endless(meter) or self.lookout.scene().still_s:
            return None
        pace = self.pace().at(meter.limit_per_min)
        return pace.ready_at(record, self.ledger.ahead(record), now, paused_s=meter.paused_s)

    def preview(self, wanted: Filter) -> Preview:
        """Return what retrying all that match would do."""
        meter = self.budget.state()
        # While people's pause has no end, the time is told from its end on.
        paused_s = 0.0 if is_endless(meter) else meter.paused_s
        return preview(self.ledger, wanted, self.pace().at(meter.limit_per_min), paused_s=paused_s)

    def pause(self, *, for_s: float, who: str, why: str = "") -> None:
        """Hold all calls to the API, and note it.

        Args:
            for_s: Real seconds; `ENDLESS_S` until somebody resumes.
            who: For the log, and for all who see the pause.
            why: Likewise.
        """
        self.budget.hold(for_s=for_s, reason=f"{who}: {why}" if why else f"paused by {who}")
        self.note("pause", "the API budget", who=who, why=why, outcome="No call is sent until it is resumed or over.")

    def resume(self, *, who: str) -> None:
        """End people's pause, and note it; what the API asked for stays."""
        self.budget.resume()
        self.note("resume", "the API budget", who=who, outcome="Calls go on.")

    def _noted(self, what: str, answer: Answer, who: str, why: str) -> Answer:
        if answer.record is not None:
            self.note(what, answer.record.provisioning_id, who=who, why=why, outcome=answer.text)
        return answer
