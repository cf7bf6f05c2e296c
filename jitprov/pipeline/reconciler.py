"""Republishes what the broker lost, from the step that the ledger recorded. Decides by evidence, never by age.

In a 27-minute backlog an old message is normal. A provisioning is lost when its lease ran out without a record (its
worker died), when two looks in a row find no message of it in the broker, or when a worker took its message and has
not begun it for four looks (a worker that died with messages in hand: the broker gives those back only after its
visibility timeout). A wrong guess costs one message, which the fence turns away.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from jitprov import logs
from jitprov.cache import Cache
from jitprov.domain.provisioning import Provisioning
from jitprov.errors import DependencyDown
from jitprov.ledger import Due, Ledger

_log = logging.getLogger(__name__)

LOOKS_UNTIL_LOST = 2
LOOKS_UNTIL_FORGOTTEN = 4
_TURN_S = 60.0
_BEATS_KEPT = 5
# Key of the cache that is there as long as some reconciler looks.
HEARTBEAT = "reconciler:beat"


@dataclass(frozen=True, slots=True)
class InBroker:
    """What the broker holds.

    Attributes:
        queued: Ids of tasks that wait in a queue.
        taken: Ids of tasks that a worker took and has not acknowledged.
    """

    queued: frozenset[str]
    taken: frozenset[str]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found.

    Attributes:
        due: Provisionings looked at.
        on_the_way: Of these, with a message in the broker.
        republished: Of these, sent again.
        started: Of these, sent because what they waited for had come: another's end, an event, or the time.
    """

    due: int = 0
    on_the_way: int = 0
    republished: int = 0
    started: int = 0


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Looks at what is due.

    Attributes:
        ledger: The truth.
        look_into_broker: Returns what the broker holds.
        enqueue_again: Sends a provisioning's chain from its recorded step.
        grace_s: How long a message may be on its way, in real seconds.
        second_look_s: Between the first miss and the second look.
        batch: Provisionings per look.
    """

    ledger: Ledger
    look_into_broker: Callable[[], InBroker]
    enqueue_again: Callable[[Provisioning], None]
    grace_s: float
    second_look_s: float = 2.0
    batch: int = 1000

    def look(self) -> Look:
        """Look once. Safe to run twice at the same time.

        Raises:
            DependencyDown: Redis does not answer, or holds another ledger (`LedgerLost`); the next look takes it up.
        """
        self.ledger.trust()  # also without traffic, so that a loss is known within one look
        due = self.ledger.due(limit=self.batch)
        if not due:
            return Look()
        held = self.look_into_broker()
        verdicts = [self._look_at(found, held) for found in due]
        return Look(
            len(due),
            on_the_way=verdicts.count("on the way"),
            republished=verdicts.count("republished"),
            started=verdicts.count("started"),
        )

    def _look_at(self, found: Due, held: InBroker) -> str:
        task_id, provisioning_id = found.record.task_id(), found.record.provisioning_id
        if found.lease_lost:
            return self._republish(found)
        if found.leased or task_id in held.queued:
            self.ledger.looked(provisioning_id, missed=0, look_after_s=self.grace_s)
            return "on the way"
        taken = task_id in held.taken
        if found.record.parked and not taken:
            return self._start(found.record)
        if found.missed + 1 >= (LOOKS_UNTIL_FORGOTTEN if taken else LOOKS_UNTIL_LOST):
            return self._republish(found)
        look_after_s = self.grace_s if taken else self.second_look_s
        self.ledger.looked(provisioning_id, missed=found.missed + 1, look_after_s=look_after_s)
        return "on the way" if taken else "missed"

    def _start(self, record: Provisioning) -> str:
        try:
            self.enqueue_again(record)
        except DependencyDown as error:
            logs.event(_log, "start_failed", level=logging.WARNING, error=str(error))
            return "missed"
        self.ledger.looked(record.provisioning_id, missed=0, look_after_s=self.grace_s)
        logs.event(
            _log,
            "started",
            provisioning_id=record.provisioning_id,
            waited_for=record.waiting_for,
        )
        return "started"

    def _republish(self, found: Due) -> str:
        record = found.record
        try:
            self.enqueue_again(record)
        except DependencyDown as error:
            logs.event(_log, "republish_failed", level=logging.WARNING, error=str(error))
            return "missed"
        self.ledger.looked(record.provisioning_id, missed=0, look_after_s=self.grace_s, republished=True)
        logs.event(
            _log,
            "republished",
            level=logging.WARNING,
            provisioning_id=record.provisioning_id,
            step=record.step,
            reason="lease_lost" if found.lease_lost else "message_lost",
        )
        return "republished"

    def forget(self, keep: timedelta) -> int:
        """Drop what ended well longer ago than `keep`; return how many."""
        return self.ledger.forget(ended_before=self.ledger.ping() - keep)


def run_forever(
    reconciler: Reconciler,
    cache: Cache,
    stop: threading.Event,
    *,
    every_s: float,
    keep: timedelta,
    told: Callable[[Look], None] = lambda _: None,
) -> None:
    """Look again and again until `stop` is set; of many reconcilers one looks at a time.

    Args:
        reconciler: What looks.
        cache: Where reconcilers agree whose turn it is.
        stop: Ends the loop, at once while it waits.
        every_s: Pause between two looks, in real seconds.
        keep: How long ended provisionings are kept.
        told: Called with what each look found.
    """
    logs.event(_log, "reconciler_started")
    while not stop.is_set():
        try:
            with cache.single_flight("reconciler", hold_s=_TURN_S, wait=stop.wait, wait_max_s=_TURN_S):
                look = reconciler.look()
                cache.put(HEARTBEAT, b"1", ttl_s=_BEATS_KEPT * every_s + _TURN_S)
                forgotten = reconciler.forget(keep)
                told(look)
            if look.republished or forgotten:
                logs.event(_log, "reconciled", due=look.due, republished=look.republished, forgotten=forgotten)
        except DependencyDown as error:
            logs.event(_log, "reconciler_waits", level=logging.WARNING, error=str(error))
        stop.wait(every_s)
