"""The valve: Celery's own `rate_limit`, mended so that a worker keeps the rate it was given.

Stands in the worker, between a message's arrival and its step; celeryconfig.py names it as `worker_consumer`, which is
Celery's own door for this. It knows neither jitprov nor its settings, and promises the API nothing: it counts per
worker and task name, so the limit is kept by the meter alone (docs/decisions/0012).

What is mended, in Celery 5.7 (`celery.worker.consumer.consumer.Consumer`), the worker running on kombu's event loop:

1.  Each limited message that arrives arms a timer of its own, and each timer that finds no token arms itself again.
    The loop fires ten timers a turn and then sleeps for a second: with more than ten, a task runs about once a second,
    whatever its rate. Here a bucket has one timer at most.
2.  A bucket holds one token, so what a late timer has missed is gone: 40 a second become 37. Here it keeps what
    `LATENESS_S` brings.
3.  A new rate left waiting messages to the old one, at 1/h for hours, their places in the worker taken. Here they
    move to the new bucket, in order.
"""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer

#: How late a timer may be without loss to the rate; also the longest stretch that can be caught up after idling.
LATENESS_S = 0.1
#: Shortest sleep of a bucket; well below the lateness, so a fast rate leaves in small groups instead of waking the
#: loop for each message (ten timers in one turn put it to sleep for a second).
SLEEP_MIN_S = 0.01


class ValvedConsumer(Consumer):
    """Celery's consumer with one timer per bucket. See the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Bucket → its timer's entry. Before Celery's own, which makes the buckets.
        self._armed: dict[Any, Any] = {}
        super().__init__(*args, **kwargs)

    def bucket_for_task(self, type: Any) -> Any:  # noqa: A002  Celery's own name
        """Return the bucket of a task, None when it has no limit; it keeps what late timers have missed."""
        bucket = super().bucket_for_task(type)
        if bucket is not None:
            bucket.capacity += bucket.fill_rate * LATENESS_S
        return bucket

    def reset_rate_limits(self) -> None:
        """Make all buckets anew; what waits goes by the new rates, at once where a limit was lifted.

        Called once at the start, and after each `rate_limit` of remote control.
        """
        before = dict(self.task_buckets)
        super().reset_rate_limits()
        for name, bucket in before.items():
            if bucket is not None:
                self._disarm(bucket)
                while bucket.contents:
                    self._limit_task_now(name, *bucket.pop())

    def on_close(self) -> None:
        """Forget what waits: its connection is gone, the broker gives it out again."""
        for bucket in tuple(self._armed):
            self._disarm(bucket)
        super().on_close()

    def _limit_post_eta(self, request: Any, bucket: Any, tokens: float) -> None:  # noqa: ARG002  may be an old one
        self.qos.decrement_eventually()
        self._limit_task_now(request.name, request, tokens)

    def _limit_task_now(self, name: str, request: Any, tokens: float) -> None:
        bucket = self.task_buckets[name]
        if bucket is None:
            self._limit_move_to_pool(request)
        else:
            self._limit_task(request, bucket, tokens)

    def _schedule_bucket_request(self, bucket: Any) -> None:
        while True:
            try:
                request, tokens = bucket.pop()
            except IndexError:
                return
            if not bucket.can_consume(tokens):
                bucket.contents.appendleft((request, tokens))
                self._arm(bucket, bucket.expected_time(tokens))
                return
            self._limit_move_to_pool(request)

    def _arm(self, bucket: Any, sleep_s: float) -> None:
        if bucket not in self._armed:
            self._armed[bucket] = self.timer.call_after(max(sleep_s, SLEEP_MIN_S), self._wake, (bucket,))

    def _wake(self, bucket: Any) -> None:
        # First, so that a message that arrives meanwhile (some pools keep their timer in a thread) arms anew.
        self._armed.pop(bucket, None)
        self._schedule_bucket_request(bucket)

    def _disarm(self, bucket: Any) -> None:
        entry = self._armed.pop(bucket, None)
        if entry is not None:
            self.timer.cancel(entry)
