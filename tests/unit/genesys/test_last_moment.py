"""The last moment of a create: in time it leaves, late it does not, and who stands still for too long is ended."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from fixed_clock import FixedClock
from jitprov.errors import StoodStill
from jitprov.genesys.last_moment import Body, LastMoment


class TwoClocks(FixedClock):
    """A clock whose wall can be set by itself."""

    set_s = 0.0

    def wall_s(self) -> float:
        return super().wall_s() + self.set_s


def test_in_time_the_body_leaves() -> None:
    """Counted from the moment the lease was asked for, a body that is handed over in time leaves whole."""
    clock = FixedClock()
    moment = LastMoment(clock, within_s=10)
    clock.advance(60)
    moment.held()
    clock.advance(9)

    body = Body(b"{}", moment)

    assert (len(body), b"".join(body)) == (2, b"{}")


@pytest.mark.parametrize("stood", ["both", "the wall alone"])
def test_late_the_body_stays(stood: str) -> None:
    """A worker that stood still, by either clock, hands nothing over; an attempt is not spent for it."""
    clock = TwoClocks()
    moment = LastMoment(clock, within_s=10)
    if stood == "both":
        clock.advance(11)
    else:
        clock.set_s = 11.0

    with pytest.raises(StoodStill):
        next(iter(Body(b"{}", moment)))


def test_a_wall_that_is_set_back_hides_nothing() -> None:
    """The other clock still tells how long it was."""
    clock = TwoClocks()
    moment = LastMoment(clock, within_s=10)
    clock.advance(11)
    clock.set_s = -3600.0

    with pytest.raises(StoodStill):
        moment.pass_through()


@pytest.mark.parametrize(("then", "code"), [("", -signal.SIGALRM), ("d.lift(); d.lift();", 0)])
def test_the_kernel_keeps_the_deadline(then: str, code: int) -> None:
    """A process that does not lift its deadline in time is ended; one that does goes on."""
    what = f"import time; from jitprov.deadline import Deadline; d = Deadline(0.1); d.set(); {then} time.sleep(0.3)"

    assert subprocess.run([sys.executable, "-c", what], check=False).returncode == code
