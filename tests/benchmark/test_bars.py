"""What is said of figures: met, missed by how much, not judged, not measured; and when a promise was broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.bars import FIGURES, figures_of, judge
from benchmarks.judge import Score

GOOD = Score(
    name="jitprov, line id, 1 worker",
    agents=2000,
    ready=2000,
    wrong=0,
    calls=6030,
    answers_429=0,
    worst_window=294,
    windows_over=0,
    first_s=5.0,
    median_s=620.0,
    last_s=1236.0,
    drain_ratio=1.025,
    capped=False,
    sandbox_share=0.2,
    machine_share=0.6,
    time_scale=8.0,
    curve=(5.0, 620.0, 1236.0),
)
MEASURED = {
    "receiver_events_per_s": 2500,
    "receiver_p99_ms": 50.0,
    "receiver_errors": 0,
    "receiver_vs_noop": 0.5,
    "board_p95_ms": 50.0,
    "cpu_ratio": 2.5,
    "redis_round_trips_per_step": 3.0,
    "redis_bytes_per_provisioning": 5000,
}


def scores(**changes: Any) -> dict[str, Score]:
    look = replace(GOOD, name="jitprov, look-up, 1 worker", calls=8040)
    return {"line_id_1": replace(GOOD, **changes), "lookup_1": look, "line_id_4": GOOD}


def verdicts(runs: dict[str, Score], *, quick: bool = False, **measured: Any) -> dict[str, str]:
    figures = figures_of(runs, MEASURED | measured)
    return {verdict.bar.figure: verdict.text for verdict in judge(runs, figures, quick=quick)}


def test_every_figure_has_a_bar_and_good_ones_meet_it() -> None:
    """Each figure of the benchmark is judged, and a run that keeps everything meets every bar."""
    assert verdicts(scores()) == dict.fromkeys(FIGURES, "met")


def test_a_bar_that_is_missed_says_by_how_much() -> None:
    """A figure beyond its bar is told with the distance, in its own unit and in per cent, whichever side is better."""
    told = verdicts(scores(drain_ratio=1.1), receiver_events_per_s=1500)

    assert told["drain_ratio"] == "missed by 0.07 (6.8%)"
    assert told["receiver_events_per_s"] == "missed by 500 (25.0%)"


def test_more_workers_may_not_take_longer() -> None:
    """Four workers are held against one worker of the same run, not against a number."""
    runs = scores() | {"line_id_4": replace(GOOD, drain_ratio=1.09)}

    assert verdicts(runs)["drain_ratio_4_workers"].startswith("missed by")


def test_figures_that_the_sandbox_decided_are_refused() -> None:
    """A run in which the sandbox was busy most of the time gives no figures of speed."""
    told = verdicts(scores(sandbox_share=0.9))

    assert told["calls_per_agent_line_id"] == "not measured"
    assert told["drain_ratio"] == "not measured"
    assert told["agents_wrong"] == "met"


def test_a_broken_promise_is_told_apart_from_a_slow_run() -> None:
    """Only a 429, a window over the limit, a wrong agent or a lost event makes the benchmark fail."""
    slow, broken = scores(drain_ratio=2.0), scores(windows_over=1)

    assert not any(verdict.broken for verdict in judge(slow, figures_of(slow, MEASURED), quick=False))
    found = [each.bar.figure for each in judge(broken, figures_of(broken, MEASURED), quick=True) if each.broken]
    assert found == ["windows_over_limit"]


def test_the_quick_form_judges_no_figure_that_needs_the_whole_stampede() -> None:
    """With few agents fixed costs weigh more: such figures are shown, not judged; safety always is."""
    told = verdicts(scores(drain_ratio=1.2), quick=True)

    assert told["drain_ratio"].startswith("not judged")
    assert told["answers_429"] == "met"


def test_a_run_that_failed_leaves_its_figures_empty() -> None:
    """Without one of the runs its figures are missing, the others stay."""
    runs = scores()
    del runs["lookup_1"]
    told = verdicts(runs)

    assert told["calls_per_agent_lookup"] == "not measured"
    assert told["calls_per_agent_line_id"] == "met"


def test_a_score_comes_back_from_its_file_as_it_was() -> None:
    """What `--resume` goes on from is what was measured."""
    assert Score.from_json(GOOD.as_json(curve=True)) == GOOD
