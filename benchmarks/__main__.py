"""Run the benchmark: `python -m benchmarks [--agents 2000] [--quick]`; writes build/bench.json and build/bench.png."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import contenders, front_door, lean
from benchmarks.arena import World
from benchmarks.judge import Score

_BUILD = Path("build")
_OUT = Console(width=150)
# Above this share of real time the sandbox itself would be what is measured.
_SANDBOX_SHARE_MAX = 0.6


def _runs(agents: int, scale: float) -> list[tuple[str, Callable[[], Score]]]:
    few = min(agents, 200)
    line, look = World(scale, line_id=True), World(scale)
    return [
        ("line_id_1", lambda: contenders.jitprov(line, agents)),
        ("lookup_1", lambda: contenders.jitprov(look, agents)),
        ("line_id_4", lambda: contenders.jitprov(line, agents, workers=4)),
        ("naive", lambda: contenders.naive(look, agents)),
        ("queued", lambda: contenders.queued(look, few, cap_s=90)),
        ("plain_1", lambda: contenders.plain_celery(look, few, workers=1, cap_s=75)),
        ("plain_2", lambda: contenders.plain_celery(look, few, workers=2, cap_s=75)),
        ("plain_4", lambda: contenders.plain_celery(look, few, workers=4, cap_s=75)),
        ("terraform", lambda: contenders.terraform(look, few, cap_s=120)),
    ]


def _table(scores: dict[str, Score]) -> Table:
    names = ("contender", "agents", "ready", "wrong", "calls/agent", "429", "busiest min", "over", "first", "median")
    table = Table(*names, "last", "drain ÷ floor", "sandbox busy", box=None, pad_edge=False, header_style="bold")
    for score in scores.values():
        table.add_row(
            score.name + (" (stopped at its cap)" if score.capped else ""),
            *(str(number) for number in (score.agents, score.ready, score.wrong)),
            f"{score.calls_per_agent:.2f}",
            str(score.answers_429),
            str(score.worst_window),
            str(score.windows_over),
            *(f"{instant / 60:.2f} min" for instant in (score.first_s, score.median_s, score.last_s)),
            f"{score.drain_ratio:.3f}",
            f"{score.sandbox_share:.2f}",
        )
    return table


def _figures(scores: dict[str, Score]) -> dict[str, Any]:
    line, look, four = scores["line_id_1"], scores["lookup_1"], scores["line_id_4"]
    ours = (line, look, four)
    return {
        "calls_per_agent_line_id": round(line.calls_per_agent, 4),
        "calls_per_agent_lookup": round(look.calls_per_agent, 4),
        "drain_ratio": round(max(line.drain_ratio, look.drain_ratio), 4),
        "answers_429": sum(score.answers_429 for score in ours),
        "windows_over_limit": sum(score.windows_over for score in ours),
        "first_to_last_ratio": round(max(score.first_s / score.last_s for score in ours), 4),
        "median_to_last_ratio": round(max(score.median_s / score.last_s for score in ours), 4),
        "agents_wrong": sum(score.wrong for score in ours),
        "drain_ratio_4_workers": round(four.drain_ratio, 4),
        "baselines": {name: score.as_json() for name, score in scores.items() if score not in ours},
    }


def _draw(scores: dict[str, Score], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415  only where a chart is drawn

    figure = Figure(figsize=(11, 6), dpi=110)
    axes = figure.subplots()
    longest = 1.0
    for score in scores.values():
        if score.curve:
            shares = [(number + 1) / score.agents * 100 for number in range(len(score.curve))]
            minutes = [instant / 60 for instant in score.curve]
            axes.step([0.0, *minutes], [0.0, *shares], where="post", label=f"{score.name} ({score.agents} agents)")
            longest = max(longest, minutes[-1])
    ours = scores["line_id_1"]
    floor = ours.agents * 3 / 300
    axes.plot(
        [0, floor], [0, 100], linestyle=":", color="grey", label=f"floor: {ours.agents} agents x 3 calls at 300/min"
    )
    axes.set_xlabel("minutes since the first sign-in (API time)")
    axes.set_ylabel("agents call-ready, %")
    axes.set_xlim(0, longest * 1.03)
    axes.set_ylim(0, 104)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Measure, print, draw, write; refuse figures where the sandbox was the bottleneck."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--agents", type=int, default=2000)
    parser.add_argument("--time-scale", type=float, default=10.0)
    parser.add_argument("--quick", action="store_true", help="200 agents, and no baselines but the naive one")
    parser.add_argument("--only", nargs="*", help="names of runs; prints their scores and writes nothing")
    chosen = parser.parse_args()
    agents = 200 if chosen.quick else chosen.agents
    scores: dict[str, Score] = {}
    began = time.monotonic()
    for name, run in _runs(agents, chosen.time_scale):
        wanted = chosen.only if chosen.only is not None else ["line_id_1", "lookup_1", "line_id_4", "naive"]
        if (chosen.quick or chosen.only is not None) and name not in wanted:
            continue
        scores[name] = run()
        _OUT.print(f"{time.monotonic() - began:5.0f} s  {name}: {scores[name].ready} of {scores[name].agents} ready")
    _OUT.print(_table(scores))
    if chosen.only is not None:
        return
    figures = {**_figures(scores), **front_door.measure(2000), **lean.measure()}
    busiest = max(score.sandbox_share for score in scores.values())
    if busiest > _SANDBOX_SHARE_MAX:
        parser.exit(1, f"no figures: the sandbox was busy {busiest:.0%} of the time; lower --time-scale\n")
    _BUILD.mkdir(exist_ok=True)
    (_BUILD / "bench.json").write_text(json.dumps({"agents": agents, **figures}, indent=2) + "\n")
    _draw(scores, _BUILD / "bench.png")
    _OUT.print_json(data={name: value for name, value in figures.items() if name != "baselines"})
    _OUT.print(f"{time.monotonic() - began:.0f} s in all; build/bench.json, build/bench.png")


if __name__ == "__main__":
    main()
