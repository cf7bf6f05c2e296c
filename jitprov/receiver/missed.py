"""Users whose event never came: found in the organization's audits, judged and accepted like those whose event did.

An audit is the event's own record, under the same id, so the one reading of `receiver.body` judges both, and the ledger
knows an event that comes late. Nobody is opened twice: neither whose event was taken, nor who was handled for another
event. An audit may become visible only a while after its event was sent; who looks on a schedule therefore looks again
at the last `overlap` (docs/decisions/0032).
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jitprov import logs
from jitprov.cache import Cache
from jitprov.domain.events import Acceptance, Opening
from jitprov.errors import DependencyDown, StepError
from jitprov.genesys.audits import AuditClient, AuditRecord
from jitprov.ledger import Ledger
from jitprov.pipeline.late_events import looked_up
from jitprov.receiver.body import AUDIT_TOPIC, Ignored, Refused, StartRule, read_body
from jitprov.settings import Settings

_log = logging.getLogger(__name__)

# Key of the cache: until when the audits have been read by the schedule; also whose turn it is.
READ_UNTIL = "reconciler:missed"
_TURN_S = 600.0
_KEPT_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Missed:
    """What the audits of an interval say.

    Attributes:
        audits: How many tell of users created.
        openings: One for each user who has no provisioning, in the order of their creation.
        known: Whose event or user the ledger has.
        ignored: With nothing to do, by reason: see `receiver.body`; `failed` for a creation that did not succeed.
        refused: Why records cannot be read.
    """

    audits: int
    openings: Sequence[Opening]
    known: int
    ignored: Counter[str] = field(default_factory=Counter)
    refused: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for users whose event never came; writes nothing.

    Attributes:
        audits: What happened.
        rule: What starts a provisioning.
        ledger: Who is known.
        new_id: Makes a provisioning id.
        ahead: Added to the end of each interval: how far the API's clock may be ahead of the ledger's.
    """

    audits: AuditClient
    rule: StartRule
    ledger: Ledger
    new_id: Callable[[], str]
    ahead: timedelta = timedelta()

    def look(self, since: datetime, now: datetime) -> Missed:
        """Return who was created since then and is unknown.

        Args:
            since: Inclusive.
            now: The ledger's clock.

        Raises:
            StepError: The audits cannot be read now; see `AuditClient.read`.
            DependencyDown: The ledger does not answer.
        """
        records = self.audits.read(self.rule.entity_types, self.rule.beginnings, since, now + self.ahead, now=now)
        openings, ignored, refused = [], Counter[str](), []
        for record in records:
            reading = read_body(_as_event(record), self.rule, self.new_id)[0]
            if not record.succeeded:
                ignored["failed"] += 1
            elif isinstance(reading, Opening):
                openings.append(reading)
            elif isinstance(reading, Ignored):
                ignored[reading.reason] += 1
            elif isinstance(reading, Refused):
                refused.append(f"audit {record.audit_id or 'without id'}: {reading.error}")
        late = looked_up(self.ledger, openings)
        if late.strangers:
            ignored["change of a stranger"] += late.strangers
        return Missed(len(records), late.openings, late.known, ignored, refused)


def _as_event(record: AuditRecord) -> bytes:
    """Return an audit as its event would have told it."""
    body = {
        "id": record.audit_id,
        "action": record.action,
        "entityType": record.entity_type,
        "entity": {"id": record.entity_id},
        "clientId": {"id": record.client_id},
    }
    return json.dumps({"detail": {"topicName": AUDIT_TOPIC, "eventBody": body}}).encode()


def reach_of(settings: Settings) -> timedelta:
    """Return how far back one may look: the ledger forgets who ended longer ago, and would open them anew."""
    return timedelta(days=settings.keep_ended_days - 1)


def ahead_of(settings: Settings) -> timedelta:
    """Return how far the API's clock may be ahead: not at all, but for a sandbox whose time runs faster than ours."""
    return timedelta() if settings.time_scale == 1.0 else timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Round:
    """One scheduled look after another, each from where the last one that succeeded had got to.

    Attributes:
        search: What looks.
        cache: Remembers until when the audits have been read; one round at a time by its single flight.
        accept: Opens provisionings and sends their chains.
        overlap: How much is looked at again: longer than audits take to become visible, and than a look every so often.
        reach: Never further back than this: whoever ended longer ago may have been forgotten by the ledger.
    """

    search: Search
    cache: Cache
    accept: Callable[[Sequence[Opening]], Sequence[Acceptance]]
    overlap: timedelta
    reach: timedelta

    def look(self) -> int:
        """Look once and accept who was missed; return how many. Safe to run twice at the same time.

        Raises:
            StepError: The audits cannot be read now; the next look covers the time.
            DependencyDown: Redis does not answer; likewise.
        """
        now = self.search.ledger.ping()
        found = self.search.look(self._since(now), now)
        accepted = sum(not each.duplicate for each in self.accept(found.openings))
        self.cache.put(READ_UNTIL, now.isoformat().encode(), ttl_s=_KEPT_S)
        if accepted or found.refused:
            logs.event(
                _log,
                "missed_accepted",
                level=logging.WARNING,
                accepted=accepted,
                audits=found.audits,
                ignored=dict(found.ignored),
                refused=list(found.refused[:5]),
            )
        return accepted

    def _since(self, now: datetime) -> datetime:
        kept = self.cache.get(READ_UNTIL)
        try:
            until = datetime.fromisoformat(kept.decode()) if kept else now
            return max(min(until, now) - self.overlap, now - self.reach)
        except (ValueError, TypeError):  # what cannot be read, or has no zone, is written anew
            return now - self.overlap


def run_forever(rounds: Round, stop: threading.Event, *, every_s: float) -> None:
    """Look again and again until `stop` is set; of many processes one looks at a time.

    Args:
        rounds: What looks.
        stop: Ends the loop, at once while it waits.
        every_s: Pause between two looks, in real seconds.
    """
    while not stop.is_set():
        try:
            with rounds.cache.single_flight(READ_UNTIL, hold_s=_TURN_S, wait=stop.wait, wait_max_s=_TURN_S):
                rounds.look()
        except (DependencyDown, StepError) as error:
            logs.event(_log, "missed_not_looked", level=logging.WARNING, error=str(error))
        except Exception as error:  # noqa: BLE001  who looks for what others lost must not be lost for a defect
            logs.event(_log, "missed_broken", level=logging.ERROR, error_type=type(error).__name__)
        stop.wait(every_s)
