"""New provisionings on their way to the broker."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from jitprov.errors import DependencyDown
from jitprov.receiver.publisher import Publisher


class Broker:
    """Notes what is sent; can be held up and taken away."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.errors: dict[str, Exception] = {}
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def publish(self, provisioning_id: str) -> None:
        self.begun.set()
        self.go_on.wait(10)
        if provisioning_id in self.errors:
            raise self.errors[provisioning_id]
        self.sent.append(provisioning_id)

    def count(self, outcome: str, count: int) -> None:
        self.outcomes[outcome] += count


def test_sends_in_order() -> None:
    """What is offered is sent once, in order, and closing waits for it."""
    broker = Broker()
    publisher = Publisher(broker.publish, broker.count)
    publisher.offer(["a", "b"])
    publisher.offer([])
    publisher.offer(["c"])

    assert publisher.close() == 0
    assert broker.sent == ["a", "b", "c"]
    assert broker.outcomes == {"sent": 3}


@pytest.mark.parametrize("error", [DependencyDown("away"), RuntimeError("a defect")])
def test_failure(error: Exception) -> None:
    """A chain that cannot be sent is counted and left alone; the next one is sent."""
    broker = Broker()
    broker.errors["a"] = error
    publisher = Publisher(broker.publish, broker.count, pause_s=0)
    publisher.offer(["a", "b"])

    assert publisher.close() == 0
    assert broker.sent == ["b"]
    assert broker.outcomes == {"sent": 1, "failed": 1}


def test_overflow() -> None:
    """What does not fit is dropped and counted, without waiting."""
    broker = Broker()
    broker.go_on.clear()
    publisher = Publisher(broker.publish, broker.count, waiting_max=2)
    publisher.offer(["a"])
    broker.begun.wait(10)
    publisher.offer(["b", "c", "d", "e"])

    assert publisher.waiting == 2
    broker.go_on.set()
    assert publisher.close() == 0
    assert broker.sent == ["a", "b", "c"]
    assert broker.outcomes == {"sent": 3, "dropped": 2}


def test_close_is_bounded() -> None:
    """A broker that hangs does not hold up the stop; what is left is the reconciler's."""
    broker = Broker()
    broker.go_on.clear()
    publisher = Publisher(broker.publish, broker.count)
    publisher.offer(["a", "b", "c"])
    broker.begun.wait(10)

    assert publisher.close(within_s=0.01) == 2
    assert broker.outcomes["dropped"] == 2
    publisher.offer(["d"])
    assert broker.outcomes["dropped"] == 3
    broker.go_on.set()


def test_keeps_back_while_events_come() -> None:
    """While events keep coming most chains wait; a stop sends them all at full speed."""
    broker = Broker()
    publisher = Publisher(broker.publish, broker.count)
    publisher.offer([str(number) for number in range(500)])
    broker.begun.wait(10)

    assert publisher.waiting > 400
    assert publisher.close() == 0
    assert len(broker.sent) == 500
