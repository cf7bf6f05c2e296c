"""The last byte of a create leaves while the right to send it is sure to last, or not at all (docs/decisions/0028).

The API offers nothing to make a create safe to repeat, so a lease decides who may send it, and whoever takes over
looks first. That is right only if nothing leaves long after the lease was seen to be held. Connection, headers and
token may take their time; a request without its body makes nothing. So it is the body that waits for this look at the
clocks, under a deadline that the kernel keeps: from the look until the kernel has the body nothing else happens here.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jitprov.deadline import Deadline
from jitprov.domain.clock import Clock
from jitprov.errors import StoodStill


class LastMoment:
    """The last moment of one request.

    Args:
        clock: Both its counts are looked at: the steady one stands while a machine sleeps, the other may be set.
        within_s: How long after `held` the body may leave; the kernel gives it as long again, then ends the process.
    """

    def __init__(self, clock: Clock, within_s: float) -> None:
        self._clock = clock
        self._within_s = within_s
        self._deadline = Deadline(within_s)
        self._held = self._now()

    def held(self) -> None:
        """Count from now; called before the lease is asked for, since it lasts from some later moment."""
        self._held = self._now()

    def pass_through(self) -> None:
        """Return when there is time left; then the deadline runs.

        Raises:
            StoodStill: There is none: whoever has the lease now is at it.
        """
        self._deadline.set()
        if max(now - then for now, then in zip(self._now(), self._held, strict=True)) > self._within_s:
            self._deadline.lift()
            raise StoodStill("this worker stood still right before it would have sent", wait_s=0.0)

    def over(self) -> None:
        """Lift the deadline: it has left, or it will not."""
        self._deadline.lift()

    def _now(self) -> tuple[float, float]:
        return self._clock.monotonic_s(), self._clock.wall_s()


class Body:
    """A request's body that leaves after the headers, when the last moment lets it.

    Attributes:
        raw: At least one byte.
    """

    def __init__(self, raw: bytes, last_moment: LastMoment) -> None:
        self.raw = raw
        self._last_moment = last_moment

    def __len__(self) -> int:
        """Return the bytes, for Content-Length."""
        return len(self.raw)

    def __iter__(self) -> Iterator[bytes]:
        """Yield it once its time has come."""
        self._last_moment.pass_through()
        yield self.raw
        self.over()

    def over(self) -> None:
        """See `LastMoment.over`."""
        self._last_moment.over()


def held_body(
    about_to_send: Callable[[], None], content: Mapping[str, Any], clock: Clock, within_s: float
) -> tuple[Callable[[], None], dict[str, Any]]:
    """Return what is to be called before a request, and its content with a body that waits for its last moment.

    Args:
        about_to_send: Asks for the lease.
        content: What the request is made of beside its line, by requests' names; `json` is replaced.
        clock: See `LastMoment`.
        within_s: See `LastMoment`.
    """
    last_moment = LastMoment(clock, within_s)

    def hold() -> None:
        last_moment.held()
        about_to_send()

    body = Body(jsonlib.dumps(content["json"]).encode(), last_moment)
    return hold, {**content, "json": None, "data": body, "headers": {"Content-Type": "application/json"}}


@contextmanager
def leaving_with(content: Mapping[str, Any]) -> Iterator[None]:
    """Lift the deadline of a request, whatever becomes of it."""
    try:
        yield
    finally:
        if isinstance(body := content.get("data"), Body):
            body.over()
