"""The two windows, on a clock that stands where the test puts it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.ratelimit import Meter, Verdict, Watch


def taken(meter: Meter, instants_s: list[float], options: SandboxOptions) -> list[bool]:
    """Return which requests were let in."""
    return [meter.take(at_s, options).admitted for at_s in instants_s]


def test_the_fixed_window_is_opened_by_the_first_request() -> None:
    """A window lasts 60 s from its first request, so two full loads fit around its end."""
    options = SandboxOptions(limit_per_min=3)
    meter = Meter()

    admitted = taken(meter, [10.0, 69.0, 69.5, 69.9, 70.0, 70.1, 70.2, 70.3], options)

    assert admitted == [True, True, True, False, True, True, True, False]


def test_the_sliding_window_lets_in_one_when_one_leaves() -> None:
    """A request is let in only when fewer than the limit were in the last 60 s."""
    options = SandboxOptions(limit_per_min=3, window="sliding")
    meter = Meter()

    admitted = taken(meter, [10.0, 69.0, 69.5, 69.9, 70.0, 70.1, 129.0, 129.1], options)

    assert admitted == [True, True, True, False, True, False, True, False]


def test_headers_say_what_is_used_and_when_it_ends() -> None:
    """Count, allowed and reset are those of the window at the instant of the request."""
    options = SandboxOptions(limit_per_min=2)
    meter = Meter()

    first, second, third = (meter.take(at_s, options) for at_s in (5.0, 20.5, 21.0))

    assert first == Verdict(admitted=True, count=1, allowed=2, reset_s=60)
    assert second == Verdict(admitted=True, count=2, allowed=2, reset_s=45)
    assert third == Verdict(admitted=False, count=2, allowed=2, reset_s=44, retry_after_s=44)


@pytest.mark.parametrize("window", ["fixed", "sliding"])
@given(gaps_s=st.lists(st.floats(0, 30), max_size=80))
def test_whoever_waits_for_retry_after_is_let_in(window: str, gaps_s: list[float]) -> None:
    """However requests came, one made when Retry-After has passed is admitted."""
    options = SandboxOptions.from_json({"limit_per_min": 4, "window": window})
    meter, now_s = Meter(), 0.0

    for gap_s in gaps_s:
        now_s += gap_s
        verdict = meter.take(now_s, options)
        if not verdict.admitted:
            now_s += verdict.retry_after_s
            assert meter.take(now_s, options).admitted


def test_others_use_up_the_window_too() -> None:
    """Requests pretended to be others' leave less for this caller, in both windows."""
    counts = {}
    for window in ("fixed", "sliding"):
        options = SandboxOptions.from_json({"limit_per_min": 10, "background_per_min": 6, "window": window})
        counts[window] = sum(taken(Meter(), [float(second) for second in range(30, 60)], options))

    assert counts == {"fixed": 9, "sliding": 4}  # in a fixed window the others come one by one


@given(gaps_s=st.lists(st.floats(0, 40), min_size=1, max_size=120))
def test_the_watch_agrees_with_counting_by_hand(gaps_s: list[float]) -> None:
    """The running counts are those of looking back 60 s from every request."""
    instants_s: list[float] = []
    for gap_s in gaps_s:
        instants_s.append((instants_s[-1] if instants_s else 0.0) + gap_s)
    watch, limit = Watch(), 5

    for at_s in instants_s:
        watch.see(at_s, limit)

    windows = [
        sum(1 for other_s in instants_s[: place + 1] if other_s > at_s - 60.0) for place, at_s in enumerate(instants_s)
    ]
    assert watch.requests == len(instants_s)
    assert watch.worst_window == max(windows)
    assert watch.windows_over == sum(1 for held in windows if held > limit)
