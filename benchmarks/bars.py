"""The figures that are to be reached, and how they were: each met, or missed by so much. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.judge import Score

# Above this share of real time the sandbox itself would be what is measured.
SANDBOX_SHARE_MAX = 0.6
# Whose drain time must not depend on how many workers there are.
_WORKERS_APART_MAX = 0.03

FIGURES: tuple[str, ...] = (
    "calls_per_agent_line_id",
    "calls_per_agent_lookup",
    "drain_ratio",
    "answers_429",
    "windows_over_limit",
    "first_to_last_ratio",
    "median_to_last_ratio",
    "agents_wrong",
    "receiver_events_per_s",
    "receiver_p99_ms",
    "receiver_errors",
    "receiver_vs_noop",
    "board_p95_ms",
    "cpu_ratio",
    "drain_ratio_4_workers",
    "redis_round_trips_per_step",
    "redis_bytes_per_provisioning",
)

Figures = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure must reach.

    Attributes:
        figure: One of `FIGURES`.
        bound: What it is held against.
        at_least: Whether more is better.
        safety: Whether missing it is a broken promise: then the benchmark fails.
        whole: Whether it is only meant for the whole stampede: fixed costs weigh more in a small one.
    """

    figure: str
    bound: float
    at_least: bool = False
    safety: bool = False
    whole: bool = False

    def missed_by(self, value: float) -> float:
        """Return by how much; 0.0 when it is met."""
        return max(0.0, self.bound - value if self.at_least else value - self.bound)


def bars(scores: Mapping[str, Score]) -> list[Bar]:
    """Return all bars; that of more workers stands where one worker came out."""
    one = scores.get("line_id_1")
    return [
        Bar("calls_per_agent_line_id", 3.05, whole=True),
        Bar("calls_per_agent_lookup", 4.05, whole=True),
        Bar("drain_ratio", 1.03, whole=True),
        Bar("answers_429", 0, safety=True),
        Bar("windows_over_limit", 0, safety=True),
        Bar("first_to_last_ratio", 0.02, whole=True),
        Bar("median_to_last_ratio", 0.53, whole=True),
        Bar("agents_wrong", 0, safety=True),
        Bar("receiver_events_per_s", 2000, at_least=True),
        Bar("receiver_p99_ms", 60),
        Bar("receiver_errors", 0, safety=True),
        Bar("receiver_vs_noop", 0.4, at_least=True),
        Bar("board_p95_ms", 200),
        Bar("cpu_ratio", 3),
        *(
            [Bar("drain_ratio_4_workers", round(one.drain_ratio * (1 + _WORKERS_APART_MAX), 3), whole=True)]
            if one
            else []
        ),
        Bar("redis_round_trips_per_step", 3.5),
        Bar("redis_bytes_per_provisioning", 8000),
    ]


def figures_of(scores: Mapping[str, Score], measured: Mapping[str, Any]) -> dict[str, float | None]:
    """Return every figure; None for one that was not measured, or that the sandbox would have decided.

    Args:
        scores: Of the runs that were made, by name.
        measured: What receiver and steps were measured at.
    """
    good = {name: score for name, score in scores.items() if score.sandbox_share <= SANDBOX_SHARE_MAX}
    line, look, four = (good.get(name) for name in ("line_id_1", "lookup_1", "line_id_4"))
    ours = [score for score in (line, look, four) if score]
    found: dict[str, float | None] = dict.fromkeys(FIGURES)
    found |= {name: measured[name] for name in FIGURES if name in measured}
    if line:
        found["calls_per_agent_line_id"] = round(line.calls_per_agent, 4)
    if look:
        found["calls_per_agent_lookup"] = round(look.calls_per_agent, 4)
    if four:
        found["drain_ratio_4_workers"] = round(four.drain_ratio, 4)
    if line and look:
        found["drain_ratio"] = round(max(line.drain_ratio, look.drain_ratio), 4)
    if ours and all(score.last_s for score in ours):
        found["first_to_last_ratio"] = round(max(score.first_s / score.last_s for score in ours), 4)
        found["median_to_last_ratio"] = round(max(score.median_s / score.last_s for score in ours), 4)
    # Promises are kept whoever was the bottleneck, so all of jitprov's runs count.
    kept = [score for score in scores.values() if score.name.startswith("jitprov")]
    if kept:
        found["answers_429"] = sum(score.answers_429 for score in kept)
        found["windows_over_limit"] = sum(score.windows_over for score in kept)
        found["agents_wrong"] = sum(score.wrong for score in kept)
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a bar.

    Attributes:
        bar: Which.
        value: The figure; None when there is none.
        text: `met`, `missed by …`, `not judged: …` or `not measured`.
        broken: Whether a promise was broken.
    """

    bar: Bar
    value: float | None
    text: str
    broken: bool


def judge(scores: Mapping[str, Score], figures: Figures, *, quick: bool) -> list[Verdict]:
    """Return a verdict for each bar."""
    verdicts = []
    for bar in bars(scores):
        value = figures.get(bar.figure)
        missed = bar.missed_by(value) if value is not None else 0.0
        if value is None:
            text = "not measured"
        elif quick and bar.whole:
            text = "not judged: meant for 2,000 agents"
        elif missed:
            share = f" ({missed / bar.bound:.1%})" if bar.bound else ""
            text = f"missed by {missed:,.4g}{share}"
        else:
            text = "met"
        verdicts.append(Verdict(bar, value, text, broken=bar.safety and bool(missed)))
    return verdicts
