from __future__ import annotations

import signal
import threading
from unittest.mock import Mock

import pytest

from jitprov.stack.interrupts import Interrupts, Phase

each_signal = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@each_signal
def test_a_start_is_not_broken_off(number: signal.Signals) -> None:
    """A signal during the start is noted; it counts as soon as the start can bear it."""
    with Interrupts(Mock()) as interrupts:
        signal.raise_signal(number)
        assert interrupts.asked()
        with pytest.raises(KeyboardInterrupt):
            interrupts.run()


@each_signal
def test_the_first_signal_ends_in_good_order(number: signal.Signals) -> None:
    """A signal while running breaks off whatever is done; nothing is hurried."""
    hurry = Mock()
    with Interrupts(hurry) as interrupts:
        interrupts.run()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)

    hurry.assert_not_called()


def test_the_second_signal_hurries() -> None:
    """The second signal makes the stop hurry, and breaks off nothing."""
    hurry = Mock()
    with Interrupts(hurry) as interrupts:
        interrupts.run()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    hurry.assert_called_once_with()


def test_a_signal_during_the_stop_hurries() -> None:
    """Once the stop is under way the first signal already hurries it."""
    hurry = Mock()
    with Interrupts(hurry) as interrupts:
        interrupts.phase = Phase.STOPPING
        signal.raise_signal(signal.SIGTERM)

    hurry.assert_called_once_with()


def test_handlers_come_back() -> None:
    """Afterwards every signal does what it did before; what was ignored is ignored all the while."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        kept = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        with Interrupts(Mock()) as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupts.asked()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == kept
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_takes_no_signals() -> None:
    """Entered off the main thread, it does nothing and harms nothing."""
    entered = []

    def enter() -> None:
        with Interrupts(Mock()) as interrupts:
            interrupts.run()
            entered.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()

    assert entered == [before]
