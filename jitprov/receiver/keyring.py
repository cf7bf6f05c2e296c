"""The active webhook keys, read again while the receiver runs: a key is changed in its file, without a restart.

EventBridge never repeats a 401, so a right key must not be refused for a moment either. A file that is being written
reads as empty or cut off; therefore a key that is gone counts for one look more, and only then not at all.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from jitprov import logs
from jitprov.errors import ConfigurationError

_log = logging.getLogger(__name__)

# A removed key is refused after two looks, so well within the second that is promised.
LOOK_EVERY_S = 0.3


class Keyring:
    """Keys by the last two looks.

    Args:
        read: Returns the keys as they are configured now. Asked only when `mark` differs.
        mark: Returns something that differs when the configuration may have changed; quick.
        every_s: Pause between two looks.

    Raises:
        ConfigurationError: The keys cannot be read at the start.
    """

    def __init__(
        self, read: Callable[[], Sequence[str]], mark: Callable[[], object], *, every_s: float = LOOK_EVERY_S
    ) -> None:
        self._read = read
        self._mark = mark
        self._every_s = every_s
        self._seen_mark = mark()
        self._seen = tuple(read())
        self._active = self._seen
        self._unreadable = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keyring", daemon=True)
        self._thread.start()

    def keys(self) -> Sequence[str]:
        """Return the active keys."""
        return self._active

    def close(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """Read the keys again if they may have changed; keep them when they cannot be read."""
        before = self._seen
        try:
            mark = self._mark()
            if mark != self._seen_mark:
                self._seen = tuple(self._read())
                self._seen_mark = mark
            self._unreadable = False
        except (ConfigurationError, OSError) as error:
            # Also when this process may open no more files: looking goes on, or keys would never change again.
            if not self._unreadable:
                logs.event(_log, "keys_unreadable", level=logging.WARNING, cause=type(error).__name__)
            self._unreadable = True
        active = tuple(dict.fromkeys((*self._seen, *before)))
        if active != self._active:
            self._active = active
            logs.event(_log, "keys_changed", active=len(active), leaving=len(set(before) - set(self._seen)))

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self.look()
