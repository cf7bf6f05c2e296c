"""What Ctrl-C, SIGTERM and a closed terminal do to a stack: the first ends it in good order, the second at once.

Only the main thread can take signals; entered on another, this changes nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from enum import Enum, auto
from types import FrameType
from typing import Any, Self

_TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Phase(Enum):
    """What a first signal means at this moment."""

    #: It is noted; `asked` tells. Nothing is broken off in the middle of a start.
    STARTING = auto()
    #: It raises KeyboardInterrupt, wherever the main thread stands.
    RUNNING = auto()
    #: The stop is under way: it makes it hurry.
    STOPPING = auto()


class Interrupts:
    """The handlers, inside a `with` block; what was there before comes back afterwards.

    Args:
        hurry: Called with the second signal, and with any during the stop.
    """

    def __init__(self, hurry: Callable[[], None]) -> None:
        self._hurry = hurry
        self._before: dict[signal.Signals, Any] = {}
        self._asked = False
        self.phase = Phase.STARTING

    def asked(self) -> bool:
        """Tell whether a signal has come."""
        return self._asked

    def run(self) -> None:
        """Begin the running phase.

        Raises:
            KeyboardInterrupt: A signal came since the start.
        """
        self.phase = Phase.RUNNING
        if self._asked:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        """Take the signals."""
        if threading.current_thread() is threading.main_thread():
            for number in _TAKEN:
                # What is ignored stays ignored: that is how nohup works.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        """Put back what was there."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if again or self.phase is Phase.STOPPING:
            self._hurry()
        elif self.phase is Phase.RUNNING:
            raise KeyboardInterrupt
