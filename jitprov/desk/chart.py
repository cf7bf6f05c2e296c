"""The curve of the day as numbers to draw: arrived, call-ready, failed so far, and the forecast. Pure; draws nothing.

Lines are in a box of 1000 by 1000 that the page stretches; labels stand at percentages of it, so that letters keep
their size on a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jitprov.desk.words import Times
from jitprov.ledger.overview import Mark

SIDE = 1000
_TICKS_MAX = 6
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Label:
    """A word at an axis; `percent` from its beginning."""

    percent: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the page draws.

    Attributes:
        arrived: Points of a polyline, as SVG takes them; likewise `ready` and `failed` (empty when nobody failed).
        area: The ready line closed to the ground.
        forecast: Two or three points from now to the end; empty without a forecast.
        now_percent: Where now is.
        times: Labels of the time axis.
        counts: Labels of the count axis, from the ground.
        told: The same in a sentence, for who does not see it.
    """

    arrived: str
    ready: str
    area: str
    failed: str
    forecast: str
    now_percent: float
    times: Sequence[Label]
    counts: Sequence[Label]
    told: str


def instants(start: datetime, now: datetime, points: int = 72) -> list[datetime]:
    """Return the instants at which the past is asked for, the last one now."""
    length = max(now - start, timedelta(seconds=1))
    return [now - length * (points - 1 - number) / (points - 1) for number in range(points)]


def draw(
    marks: Sequence[Mark], *, last_at: datetime | None, goal: int, resumes_at: datetime | None, times: Times
) -> Chart:
    """Return the chart.

    Args:
        marks: The past, evenly spaced, the last one now; at least two.
        last_at: When the last will be ready; None when nobody is under way or nothing can be told.
        goal: How many will be ready then.
        resumes_at: When a pause of the budget ends; None without one.
        times: The visitor's.
    """
    start, now = marks[0].at, marks[-1].at
    end = max(last_at or now, now, start + timedelta(seconds=10))
    end += (end - start) * 0.02
    top = _ceiling(max(marks[-1].arrived, goal, 1))

    def x(at: datetime) -> float:
        return (at - start) / (end - start) * SIDE

    def line(of: Callable[[Mark], int]) -> list[tuple[float, float]]:
        return [(x(mark.at), SIDE - of(mark) / top * SIDE) for mark in marks]

    ready = line(lambda mark: mark.ready)
    ahead: list[tuple[float, float]] = []
    if last_at is not None and last_at > now:
        ahead = [ready[-1], (x(last_at), SIDE - goal / top * SIDE)]
        if resumes_at is not None and now < resumes_at < last_at:
            ahead.insert(1, (x(resumes_at), ready[-1][1]))
    mark = marks[-1]
    told = (
        f"{mark.ready:,} of {mark.arrived:,} agents were call-ready at {times.clock(now)}, {mark.failed:,} had failed."
    )
    if ahead and last_at:
        told += f" By the forecast {goal:,} are call-ready at {times.clock(last_at)}."
    return Chart(
        arrived=_points(line(lambda mark: mark.arrived)),
        ready=_points(ready),
        area=_points([(ready[0][0], SIDE), *ready, (ready[-1][0], SIDE)]),
        failed=_points(line(lambda mark: mark.failed)) if mark.failed else "",
        forecast=_points(ahead),
        now_percent=round(x(now) / SIDE * 100, 2),
        times=_time_labels(start, end, times),
        counts=[Label(share * 100, f"{round(top * share):,}") for share in (0.0, 0.5, 1.0)],
        told=told,
    )


def _points(line: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{across:.1f},{down:.1f}" for across, down in line)


def _ceiling(count: int) -> int:
    """Return a round number not below a count: 1, 2, 2.5, 4, 5, 6, 8 or 10 times a power of ten, even."""
    power = 10
    while power * 10 < count:
        power *= 10
    for share in (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0):
        if power * share >= count:
            return round(power * share)
    return power * 10


def _time_labels(start: datetime, end: datetime, times: Times) -> list[Label]:
    length_s = (end - start).total_seconds()
    step_s = next((step for step in _STEPS_S if length_s / step <= _TICKS_MAX), max(round(length_s / _TICKS_MAX), 1))
    local = start.astimezone(times.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    first_s = ((local - midnight).total_seconds() // step_s + 1) * step_s
    labels = []
    at = midnight + timedelta(seconds=first_s)
    while at < end:
        percent = (at - start).total_seconds() / length_s * 100
        if percent < 92:  # noqa: PLR2004  a label at the very edge would be cut off
            labels.append(Label(round(percent, 2), at.strftime("%H:%M" if step_s >= 60 else "%H:%M:%S")))  # noqa: PLR2004
        at += timedelta(seconds=step_s)
    return labels
