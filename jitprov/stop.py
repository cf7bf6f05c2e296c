"""The word to stop, heard at once by every wait of a process and of the processes it forks. Knows no signal, no Celery.

A prefork worker's children never see the SIGTERM that ends their worker: the main process waits for what they do. A
child that waits twenty seconds for its slot would so hold up the end for as long. Here the main process writes one byte
into a pipe that all children inherited; nobody reads it, so every wait sees it, now and from now on.
"""

from __future__ import annotations

import os
import select
from functools import cache


class StopSign:
    """Waits that end when somebody calls. Made before the fork; threads may share one."""

    def __init__(self) -> None:
        self._heard, self._said = os.pipe()
        os.set_blocking(self._said, False)

    def call(self) -> None:
        """Wake every wait, here and in forked processes; may be called from a signal's handler, and again."""
        try:
            os.write(self._said, b".")
        except BlockingIOError:
            return  # called so often that the pipe is full: it was heard

    def wait(self, seconds: float) -> bool:
        """Return True as soon as somebody has called, False after so many real seconds."""
        poll = select.poll()
        poll.register(self._heard, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def close(self) -> None:
        """Close the pipe; for tests, a process' own lasts as long as the process."""
        os.close(self._heard)
        os.close(self._said)


@cache
def stop_sign() -> StopSign:
    """Return this process' own, and that of the processes it forks afterwards."""
    return StopSign()
