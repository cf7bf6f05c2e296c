"""How a holder shows that it lives: while its work lasts, its hold is renewed from a thread beside it. Knows no store.

So a hold can be far shorter than the work may take, and what a dead process held is free within seconds.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from jitprov.errors import DependencyDown

# Real seconds of silence after which a holder counts as dead.
SILENCE_S = 3.0
_RENEWALS = 3


@contextmanager
def sign_of_life(renew: Callable[[], None], *, silence_s: float, longest_s: float) -> Iterator[None]:
    """Renew a hold while the body runs.

    Args:
        renew: Makes the hold last `silence_s` from now on; its `DependencyDown` is borne, the next may get through.
        silence_s: How long a hold lasts unrenewed.
        longest_s: After so long it is not renewed any more: the body hangs.
    """
    every_s = silence_s / _RENEWALS
    ended = threading.Event()

    def run() -> None:
        for _ in range(math.ceil((longest_s - silence_s) / every_s)):
            if ended.wait(every_s):
                return
            with suppress(DependencyDown):
                renew()

    threading.Thread(target=run, name="sign of life", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
