"""Republishes what the broker lost, from the step that the ledger recorded. Decides by evidence, never by age.

In a 27-minute backlog an old message is normal. A provisioning is lost when its lease ran out without a record (its
worker died), or when two looks in a row find no message of it in the broker. A wrong guess costs one message, which
the fence turns away.
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
_TURN_S = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found.

    Attributes:
        due: Provisionings looked at.
        on_the_way: Of these, with a message in the broker.
        republished: Of these, sent again.
    """

    due: int = 0
    on_the_way: int = 0
    republished: int = 0


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Looks at what is due.

    Attributes:
        ledger: The truth.
        task_ids_in_broker: Returns the task ids that the broker holds.
        enqueue_again: Sends a provisioning's chain from its recorded step.
        grace_s: How long a message may be on its way, in real seconds.
        second_look_s: Between the first miss and the second look.
        batch: Provisionings per look.
    """

    ledger: Ledger
    task_ids_in_broker: Callable[[], set[str]]
    enqueue_again: Callable[[Provisioning], None]
    grace_s: float
    second_look_s: float = 2.0
    batch: int = 1000

    def look(self) -> Look:
        """Look once. Safe to run twice at the same time.

        Raises:
            DependencyDown: Redis does not answer; the next look takes it up.
        """
        due = self.ledger.due(limit=self.batch)
        if not due:
            return Look()
        held = self.task_ids_in_broker()
        on_the_way = republished = 0
        for found in due:
            if found.leased or (not found.lease_lost and found.record.task_id() in held):
                on_the_way += 1
                self.ledger.looked(found.record.provisioning_id, missed=0, look_after_s=self.grace_s)
            elif found.lease_lost or found.missed + 1 >= LOOKS_UNTIL_LOST:
                republished += self._republish(found)
            else:
                self.ledger.looked(
                    found.record.provisioning_id, missed=found.missed + 1, look_after_s=self.second_look_s
                )
        return Look(len(due), on_the_way, republished)

    def _republish(self, found: Due) -> int:
        record = found.record
        try:
            self.enqueue_again(record)
        except DependencyDown as error:
            logs.event(_log, "republish_failed", level=logging.WARNING, error=str(error))
            return 0
        self.ledger.looked(record.provisioning_id, missed=0, look_after_s=self.grace_s, republished=True)
        logs.event(
            _log,
            "republished",
            level=logging.WARNING,
            provisioning_id=record.provisioning_id,
            step=record.step,
            reason="lease_lost" if found.lease_lost else "message_lost",
        )
        return 1

    def forget(self, keep: timedelta) -> int:
        """Drop what ended well longer ago than `keep`; return how many."""
        return self.ledger.forget(ended_before=self.ledger.ping() - keep)


def run_forever(
    reconciler: Reconciler, cache: Cache, stop: threading.Event, *, every_s: float, keep: timedelta
) -> None:
    """Look again and again until `stop` is set; of many reconcilers one looks at a time.

    Args:
        reconciler: What looks.
        cache: Where reconcilers agree whose turn it is.
        stop: Ends the loop, at once while it waits.
        every_s: Pause between two looks, in real seconds.
        keep: How long ended provisionings are kept.
    """
    logs.event(_log, "reconciler_started")
    while not stop.is_set():
        try:
            with cache.single_flight("reconciler", hold_s=_TURN_S, wait=stop.wait, wait_max_s=_TURN_S):
                look = reconciler.look()
                forgotten = reconciler.forget(keep)
            if look.republished or forgotten:
                logs.event(_log, "reconciled", due=look.due, republished=look.republished, forgotten=forgotten)
        except DependencyDown as error:
            logs.event(_log, "reconciler_waits", level=logging.WARNING, error=str(error))
        stop.wait(every_s)
