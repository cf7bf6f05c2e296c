"""Sandbox time: how many seconds have passed in the stand-in organization.

Sandbox seconds run `scale` times as fast as real ones and can be pushed forward; they never run back.
Holds no timers and sleeps for nobody.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SandboxClock:
    """Counts sandbox seconds since it was made."""

    def __init__(self, scale: float) -> None:
        """Start at 0.0.

        Args:
            scale: Sandbox seconds per real second, above 0.
        """
        self._scale = scale
        self._base_s = 0.0
        self._base_real_s = time.perf_counter()
        self._epoch_s = time.time()

    def now_s(self) -> float:
        """Return sandbox seconds since the start."""
        return self._base_s + (time.perf_counter() - self._base_real_s) * self._scale

    def set_scale(self, scale: float) -> None:
        """Run at another pace from now on; the count goes on from where it is."""
        self._base_s = self.now_s()
        self._base_real_s = time.perf_counter()
        self._scale = scale

    def advance(self, by_s: float) -> None:
        """Jump `by_s` sandbox seconds ahead, 0 or more."""
        self._base_s += by_s

    def at_s(self, epoch_s: float) -> float:
        """Return the sandbox instant of what `iso` writes as this many seconds since the epoch."""
        return epoch_s - self._epoch_s

    def real_s(self, sandbox_s: float) -> float:
        """Return how many real seconds `sandbox_s` take at the present pace."""
        return sandbox_s / self._scale

    def iso(self, at_s: float) -> str:
        """Return a sandbox instant as the API writes it: UTC, milliseconds, `Z`."""
        moment = datetime.fromtimestamp(self._epoch_s + at_s, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
