"""A deadline that the kernel keeps: who is not done by then has no further effect. Knows no HTTP, no lease.

A process can be stopped between any two instructions, for any time: SIGSTOP, a frozen container, a machine that swaps.
No look at a clock helps, since it may be stopped right after the look. But a signal that came while it stood is
delivered before it goes on with its next instruction, and SIGALRM ends a process that does not handle it. So the alarm
is set, the clock is looked at, and the one thing is done: whoever stood still in between never wakes up.
"""

from __future__ import annotations

import signal
import threading

# There is one alarm in a process, and what is guarded takes microseconds: threads do it one after the other.
_THE_ALARM = threading.Lock()


class Deadline:
    """Ends this process unless it is lifted in time.

    Where something else handles SIGALRM, such as a test's time limit, it does nothing.

    Args:
        within_s: Real seconds, more than 0.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._set = False

    def set(self) -> None:
        """Begin to count; waits for another thread's."""
        if self._set:
            return
        _THE_ALARM.acquire()
        self._set = True
        if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
            signal.setitimer(signal.ITIMER_REAL, self._within_s)

    def lift(self) -> None:
        """Stop counting; again is fine."""
        if not self._set:
            return
        if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        self._set = False
        _THE_ALARM.release()
