"""Sandbox time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from jitprov.sandbox.clock import SandboxClock


def test_time_runs_as_fast_as_told() -> None:
    """At scale 100, a real twentieth of a second is at least five sandbox seconds, and waits shrink alike."""
    clock = SandboxClock(100.0)

    time.sleep(0.05)

    assert 5.0 <= clock.now_s() < 500.0
    assert clock.real_s(60.0) == pytest.approx(0.6)


def test_time_only_goes_forward() -> None:
    """Neither a jump nor a change of pace takes a second back."""
    clock = SandboxClock(1000.0)
    instants_s = [clock.now_s()]

    clock.advance(3600.0)
    instants_s.append(clock.now_s())
    clock.set_scale(0.001)
    instants_s += [clock.now_s(), clock.now_s()]

    assert instants_s == sorted(instants_s)
    assert instants_s[1] - instants_s[0] >= 3600.0


def test_instants_are_written_as_the_api_writes_them() -> None:
    """UTC with milliseconds and Z, as far from now as the sandbox instant is from the start."""
    clock = SandboxClock(1.0)

    written = datetime.fromisoformat(clock.iso(90.5))

    assert written.tzinfo == UTC
    assert 85.0 < (written - datetime.now(UTC)).total_seconds() < 91.0
    assert len(clock.iso(0.0)) == len("2026-11-23T09:15:05.000Z")
