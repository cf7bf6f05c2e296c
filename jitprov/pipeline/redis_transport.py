"""kombu's Redis transport, without two ways in which it ends a worker, and with one duty less. Decides nothing.

Both end the main process with an "Unrecoverable error", as kombu 5.7 and Celery 5.7 stand:
a message in a queue that is not even JSON, or no object; and a connection lost while a BRPOP is out: Celery closes the
connection twice, and the second time the channel wants to give messages back over a transport that is gone.
"""

from __future__ import annotations

import logging
from queue import Empty
from typing import Any

from kombu.transport import redis

from jitprov import logs
from jitprov.pipeline.names import QUEUES
from jitprov.pipeline.screening import unfit

_log = logging.getLogger(__name__)
_OURS = frozenset(QUEUES)


class QoS(redis.QoS):
    """Gives back what a dead worker held; only where messages of ours are taken. Puts what comes back in front.

    In kombu everybody who waits for anything does that: Flower and `celery inspect` would move messages, and need the
    right to (docs/decisions/0016).
    """

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """Give back if this channel consumes a step's queue."""
        if not _OURS.isdisjoint(self.channel.active_queues):
            super().restore_visible(*args, **options)  # type: ignore[no-untyped-call]  # kombu has no types

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002  kombu's own
        """Drop a message, or put it where the next is taken from; kombu would put it behind all who came later."""
        if not requeue:
            super().reject(delivery_tag)  # type: ignore[no-untyped-call]
            return
        self.restore_by_tag(delivery_tag)  # type: ignore[no-untyped-call]
        # Not redis.QoS' own, which would take it from whoever has it by now.
        super(redis.QoS, self).ack(delivery_tag)  # type: ignore[no-untyped-call]


class Channel(redis.Channel):
    """A channel that outlives what it cannot read, and its own second end."""

    QoS = QoS

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # kombu has no types
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            # It is out of the queue already. If it was ours, the reconciler finds it missing.
            logs.event(_log, "message_unreadable", level=logging.ERROR, error_type=type(error).__name__)
            raise Empty from None

    def close(self) -> None:
        """Close; what was taken and not acknowledged comes back by kombu's time-out or the reconciler."""
        try:
            super().close()  # type: ignore[no-untyped-call]
        except AttributeError:
            if self.connection.client is not None:
                raise


class Transport(redis.Transport):
    """The transport with that channel, which hands on only what jitprov sends."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        if why := unfit(message, queue):
            logs.event(_log, "message_unreadable", level=logging.ERROR, queue=queue, cause=why)
            return
        super()._deliver(message, queue)  # type: ignore[no-untyped-call]
