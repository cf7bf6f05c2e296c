"""A worker's sign of life: while it works on a step, its short lease is renewed from a thread beside it.

So a worker that died is missed within seconds, though a lease must outlast a create and the wait until what it made
can be seen: that long one is taken right before a create, by `Kit.hold`, and no renewal shortens it. Who died before
it, above all while waiting for a slot, has sent nothing that anybody must wait for.

One thread a process, started with its first step, so after the fork. Knows no store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from jitprov.errors import DependencyDown
from jitprov.ledger import Claim

_RENEWALS = 3
_SHARE = 10
# Real seconds. On a busy machine a thread may come late by a good part of it.
_SILENCE_LEAST_S = 2.0


def silence_s(lease_s: float) -> float:
    """Return for how long a worker may be silent before it counts as dead: 6 s at a lease of 60 s, at least 2 s."""
    return min(lease_s, max(_SILENCE_LEAST_S, lease_s / _SHARE))


class Pulse:
    """Renews the leases of a process' steps; its threads may share one.

    Args:
        renew: Makes a lease last at least so many real seconds from now, if it is still held. `DependencyDown` is
            borne: the next renewal may get through.
        silence_s: How long a lease lasts unrenewed.
        longest_s: After so long a step's lease is not renewed any more: it hangs.
    """

    def __init__(self, renew: Callable[[Claim, float], object], *, silence_s: float, longest_s: float) -> None:
        self.silence_s = silence_s
        self._renew = renew
        self._every_s = silence_s / _RENEWALS
        self._beats_max = int(longest_s / self._every_s)
        self._held: dict[str, tuple[Claim, int]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    @contextmanager
    def beating(self, claim: Claim) -> Iterator[None]:
        """Keep a claim's lease alive while the body runs."""
        with self._lock:
            self._held[claim.token] = (claim, 0)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._held[claim.token]

    def beat(self) -> None:
        """Renew what is held, but for what was claimed since the beat before."""
        with self._lock:
            held = list(self._held.items())
            self._held.update({token: (claim, beats + 1) for token, (claim, beats) in held})
        for _, (claim, beats) in held:
            if 0 < beats <= self._beats_max:
                with suppress(DependencyDown):
                    self._renew(claim, self.silence_s)

    def close(self) -> None:
        """End the thread; for tests, a process' own lasts as long as the process."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self.beat()
