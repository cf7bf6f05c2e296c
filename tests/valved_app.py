"""A tiny Celery app for tests/integration/test_valve.py: three rate-limited tasks that note when they ran."""

from __future__ import annotations

import os
import time

from celery import Celery
from redis import Redis

BROKER = "VALVED_APP_BROKER"
CONSUMER = "VALVED_APP_CONSUMER"
SHIPPED = "celery.worker.consumer:Consumer"
MENDED = "jitprov.valve:ValvedConsumer"

app = Celery("valved_app", broker=os.environ.get(BROKER, "memory://"))
app.conf.update(
    worker_consumer=os.environ.get(CONSUMER, MENDED),
    worker_prefetch_multiplier=250,  # with two slots, hundreds of messages wait inside the worker
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue="valved",
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=True,
)


def _note(name: str, number: int) -> None:
    with Redis.from_url(os.environ[BROKER]) as client:
        client.rpush(f"ran:{name}", f"{number} {time.time()}")


@app.task(name="often", rate_limit="600/m", shared=False)
def often(number: int) -> None:
    """Run ten times a second."""
    _note("often", number)


@app.task(name="seldom", rate_limit="300/m", shared=False)
def seldom(number: int) -> None:
    """Run five times a second."""
    _note("seldom", number)


@app.task(name="turned", rate_limit="6/h", shared=False)
def turned(number: int) -> None:
    """Run once in ten minutes, until somebody turns it up."""
    _note("turned", number)
