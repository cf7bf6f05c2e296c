"""The clock that the rooms are handed; the real one is made in `wiring`."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Measures and waits. Waits are in API seconds: against a sandbox with a time scale they pass faster."""

    def monotonic_s(self) -> float:
        """Return a steady count of real seconds."""
        ...

    def wall_s(self) -> float:
        """Return seconds since the epoch."""
        ...

    def wait(self, api_s: float) -> None:
        """Return after `api_s` API seconds.

        Raises:
            WorkerStops: The process was told to stop meanwhile.
        """
        ...
