"""The chain of an agent and its one way onto the broker; also the look into the broker that the reconciler needs.

A message is a hint: sending it twice, or losing it, changes nothing that the ledger does not catch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from celery import chain
from celery.canvas import Signature
from kombu.exceptions import OperationalError

from jitprov.celery import app
from jitprov.domain.agent import Priority
from jitprov.domain.ids import task_id_of
from jitprov.domain.provisioning import CORRIDOR, Provisioning, Step
from jitprov.errors import DependencyDown
from jitprov.pipeline.names import QUEUES, task_name
from jitprov.pipeline.reconciler import InBroker
from jitprov.tracing.spans import Kind, span

_PAGE = 500

# kombu's numbers on Redis: a list of its own for each, the smallest served first, and 0 for a message without one.
BEGUN = 0
URGENCY: Mapping[Priority | None, int] = {None: BEGUN, "high": BEGUN, "normal": 6, "low": 9}


def signatures(
    provisioning_id: str,
    *,
    generation: int = 1,
    first: Step = CORRIDOR[0],
    steps: Sequence[Step] = CORRIDOR,
    priority: Priority | None = None,
) -> list[Signature]:
    """Return the immutable signatures from a step to the end, with the task ids that the ledger knows.

    Args:
        provisioning_id: Whose.
        generation: Of the run.
        first: Step to begin with.
        steps: What the agent walks, in order.
        priority: With which the agent waits for its turn at the first step; None when it does not, or has none.
    """
    made = [
        app.signature(
            task_name(step),
            args=(provisioning_id,),
            immutable=True,
            task_id=task_id_of(provisioning_id, generation, step.number),
            queue=task_name(step),
        )
        for step in steps
        if step.number >= first.number
    ]
    wait_for_a_turn(made[0], priority)
    return made


def wait_for_a_turn(message: Signature | dict[str, Any], priority: Priority | None) -> None:
    """Let the message of an agent who is not begun wait behind those of more urgent ones.

    Every other message has no priority, which is the most urgent: whoever is begun is finished, and whoever is not
    read yet may be the most urgent of all (docs/decisions/0022).
    """
    if URGENCY[priority] != BEGUN:
        message.setdefault("options", {})["priority"] = URGENCY[priority]


def enqueue(
    provisioning_id: str,
    *,
    generation: int = 1,
    first: Step = CORRIDOR[0],
    steps: Sequence[Step] = CORRIDOR,
    priority: Priority | None = None,
) -> None:
    """Send the chain of an agent from a step on. Receiver, operator's retry and reconciler all come through here.

    Safe to repeat. Raises `DependencyDown` when the broker did not take it; it may have, all the same.
    """
    try:
        made = signatures(provisioning_id, generation=generation, first=first, steps=steps, priority=priority)
        with span("publish", Kind.PRODUCER, of=provisioning_id, run=generation, step=str(first)):
            chain(*made).apply_async()
    except _broker_away() as error:
        msg = f"the broker did not take the message ({type(error).__name__}); the reconciler sends it again"
        raise DependencyDown(msg) from error


def enqueue_again(record: Provisioning) -> None:
    """Send the chain of a provisioning from its recorded step, and with its priority if it waits for its turn."""
    enqueue(
        record.provisioning_id,
        generation=record.generation,
        first=record.step,
        steps=record.corridor,
        priority=record.waits_for_its_turn_as(),
    )


def publish_impatiently() -> None:
    """Let this process' sends fail fast: for the receiver, whose sends the reconciler makes good.

    Without this a send to a Redis that hangs blocks for ever.
    """
    app.conf.update(
        task_publish_retry=False,
        broker_connection_timeout=1,
        broker_transport_options={
            **app.conf.broker_transport_options,
            "socket_timeout": 2,
            "socket_connect_timeout": 1,
        },
    )


def load_the_way_out() -> None:
    """Load what the first send would load, a hundred modules; connects to nothing.

    For the receiver, at its start: its first senders would wait for that, a third of a second.
    """
    # Each is imported when it is first asked for.
    _ = app.amqp, app.backend, app.events.Dispatcher, app.Task, app.connection_for_write().transport


def look_into_broker() -> InBroker:
    """Return the ids of all tasks that the broker holds: queued, or taken by a worker and not acknowledged.

    This reads kombu's own keys (a list per queue, the hash `unacked`), in pages; a message that moves meanwhile
    can be overlooked, so an absence counts only when it is seen twice.

    Raises:
        DependencyDown: The broker does not answer.
    """
    try:
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            client = channel.client
            queued: set[str] = set()
            for queue in QUEUES:
                for key in (channel._q_for_pri(queue, priority) for priority in channel.priority_steps):  # noqa: SLF001  kombu's own naming of the lists
                    start = 0
                    while page := client.lrange(key, start, start + _PAGE - 1):
                        queued.update(_task_id(message) for message in page)
                        start += _PAGE
            taken = {_task_id(held) for _, held in client.hscan_iter(channel.unacked_key, count=_PAGE)}
            return InBroker(frozenset(queued - {""}), frozenset(taken - {""}))
    except _broker_away() as error:
        msg = f"the broker does not answer ({type(error).__name__})"
        raise DependencyDown(msg) from error


def _broker_away() -> tuple[type[BaseException], ...]:
    """Return what kombu raises when the broker is away: its own error, or the driver's that it did not wrap."""
    return (OperationalError, *app.connection_for_write().connection_errors, OSError)


def _task_id(raw: bytes | str) -> str:
    try:
        message: Any = json.loads(raw)
        if isinstance(message, list):  # unacked holds [message, exchange, routing key]
            message = message[0]
        return str(message["headers"]["id"])
    except (ValueError, LookupError, TypeError):
        return ""  # a foreign message is nobody's evidence
