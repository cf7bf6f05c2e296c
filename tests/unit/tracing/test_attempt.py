from __future__ import annotations

from fixed_clock import FixedClock
from jitprov.tracing.attempt import attempt, called, spending


def test_each_part_is_told_without_the_parts_inside_it() -> None:
    """The ledger is asked while a slot is waited for: its time counts once, as the ledger's."""
    clock = FixedClock()
    with attempt() as parts:
        with spending("slot", clock.monotonic_s):
            clock.advance(2)
            with spending("redis", clock.monotonic_s):
                clock.advance(3)
            clock.advance(1)
        with spending("call", clock.monotonic_s):
            clock.advance(5)

    assert parts.spent_s == {"slot": 3.0, "redis": 3.0, "call": 5.0}
    assert parts.ms("call") == 5000


def test_a_part_that_fails_took_its_time_all_the_same() -> None:
    """A call that raises is counted to its end."""
    clock = FixedClock()
    with attempt() as parts:
        try:
            with spending("call", clock.monotonic_s):
                clock.advance(4)
                raise TimeoutError  # noqa: TRY301  as a driver does
        except TimeoutError:
            pass

    assert parts.spent_s["call"] == 4.0


def test_outside_of_an_attempt_nothing_is_gathered() -> None:
    """The doctor and the reconciler call too, and nobody gathers for them; nor does one attempt for another."""
    clock = FixedClock()
    call = {"method": "GET", "route": "/r", "status": 200, "correlation_id": None, "duration_ms": 1}
    with spending("call", clock.monotonic_s):
        clock.advance(1)
    called(call)
    with attempt() as first:
        called(call)
    with attempt() as second:
        pass

    assert (first.calls, second.calls, second.spent_s["call"]) == ([call], [], 0.0)


def test_a_line_does_not_grow_without_bound() -> None:
    """However many calls an attempt makes, its line names the first twenty."""
    with attempt() as parts:
        for number in range(50):
            called({"status": number})

    assert [call["status"] for call in parts.calls] == list(range(20))
