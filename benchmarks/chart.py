"""The benchmark as one picture: agents ready over time with the floor, the busiest minute, calls per agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.judge import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIMIT_PER_MIN = 300
_FLOOR_CALLS = 3
_INK, _FAINT, _GRID = "#1d2733", "#6b7684", "#e3e7ec"


@dataclass(frozen=True, slots=True)
class _Look:
    label: str
    colour: str
    dashes: str = "-"


# In the order in which they are listed; what has no look is in the table alone.
_LOOKS: Mapping[str, _Look] = {
    "line_id_1": _Look("jitprov, line id, 1 worker", "#0b6e99"),
    "line_id_4": _Look("jitprov, line id, 4 workers", "#5fb7d4", "--"),
    "lookup_1": _Look("jitprov, look-up, 1 worker", "#12906f"),
    "plain_1": _Look("plain Celery, rate_limit, 1 worker", "#c98a00"),
    "plain_2": _Look("plain Celery, rate_limit, 2 workers", "#d9651f"),
    "plain_4": _Look("plain Celery, rate_limit, 4 workers", "#b8361e"),
    "queued": _Look("naive function, queue of 5", "#8d5aa8"),
    "terraform": _Look("Terraform provider's sequence", "#7a6a58"),
    "naive": _Look("naive function, all at once", "#c2185b"),
}


def draw(scores: Mapping[str, Score], path: Path) -> None:
    """Draw what there is of the runs; nothing when there is none.

    Args:
        scores: By name of the run.
        path: Of the PNG.
    """
    shown = {name: scores[name] for name in _LOOKS if name in scores}
    if not shown:
        return
    from matplotlib.figure import Figure  # noqa: PLC0415  only where a chart is drawn

    figure = Figure(figsize=(12, 8.6), dpi=140, facecolor="white")
    above = figure.add_gridspec(1, 1, left=0.07, right=0.715, top=0.885, bottom=0.425)
    below = figure.add_gridspec(1, 2, left=0.215, right=0.975, top=0.325, bottom=0.03, wspace=0.72)
    _draw_curves(figure.add_subplot(above[0, 0]), shown)
    busiest, calls = figure.add_subplot(below[0, 0]), figure.add_subplot(below[0, 1])
    _draw_bars(
        busiest,
        {name: float(score.worst_window) for name, score in shown.items()},
        "Requests in the busiest 60 s",
        (_LIMIT_PER_MIN, f"limit {_LIMIT_PER_MIN}"),
    )
    _draw_bars(
        calls, {name: score.calls_per_agent for name, score in shown.items()}, "API calls per agent who signed in", None
    )
    agents = max(score.agents for score in shown.values())
    figure.text(0.07, 0.955, f"{agents:,} agents sign in at 9:00", fontsize=17, fontweight="bold", color=_INK)
    told = f"one token, {_LIMIT_PER_MIN} requests a minute, on the sandbox; times are the API's, judged by what it saw"
    figure.text(0.07, 0.925, told, fontsize=10, color=_FAINT)
    figure.savefig(path)


def _draw_curves(axes: Axes, shown: Mapping[str, Score]) -> None:
    agents = max(score.agents for score in shown.values())
    floor_min = agents * _FLOOR_CALLS / _LIMIT_PER_MIN
    ends = [score.last_s / 60 for score in shown.values() if score.name.startswith("jitprov")]
    until = 1.12 * max([floor_min, *ends])
    axes.fill_between([0, floor_min], [0, agents], [agents, agents], color="#f3f5f8", zorder=0, linewidth=0)
    axes.plot([0, floor_min], [0, agents], color=_FAINT, linewidth=1.4, linestyle=(0, (1, 2)), zorder=1)
    axes.annotate(
        f"nobody can be here: three calls each\nat {_LIMIT_PER_MIN} a minute are the floor",
        (floor_min * 0.37, agents * 0.87),
        color=_FAINT,
        fontsize=9,
        ha="center",
    )
    for name, score in shown.items():
        _draw_curve(axes, _LOOKS[name], score, agents=agents, until=until)
    axes.set_xlim(0, until)
    axes.set_ylim(0, agents * 1.04)
    axes.set_xlabel("minutes since the first sign-in", color=_FAINT)
    axes.set_ylabel("agents call-ready", color=_FAINT)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.015, 1.02), fontsize=9, frameon=False, labelcolor=_INK, handlelength=2.0,
        labelspacing=0.85,
    )  # fmt: skip
    _tidy(axes)
    axes.grid(color=_GRID, linewidth=0.8, zorder=0)


def _draw_curve(axes: Axes, look: _Look, score: Score, *, agents: int, until: float) -> None:
    minutes = [0.0, *(instant / 60 for instant in score.curve)]
    ready = list(range(len(minutes)))
    label = look.label
    if score.ready < score.agents:
        label += f"\n{score.ready:,} of {score.agents:,} ready" + (", then stopped" if score.capped else "")
    elif score.agents < agents:
        label += f"\nmeasured with {score.agents:,} agents"
    ours = score.name.startswith("jitprov")
    width = 2.4 if ours else 1.7
    axes.step(minutes, ready, where="post", color=look.colour, linestyle=look.dashes, linewidth=width, label=label,
              zorder=4 if ours else 3, solid_capstyle="round")  # fmt: skip
    if score.agents < agents and len(minutes) > 1 and (score.capped or score.ready == score.agents):
        # Measured with few: how it would go on at the pace of its last half.
        half = len(minutes) // 2
        took = minutes[-1] - minutes[half]
        pace = (ready[-1] - ready[half]) / took if took > 0 else 0.0
        reach = max(until, minutes[-1])
        axes.plot([minutes[-1], reach], [ready[-1], ready[-1] + pace * (reach - minutes[-1])], color=look.colour,
                  linewidth=1.1, linestyle=(0, (4, 3)), alpha=0.55, zorder=2)  # fmt: skip
    else:
        reach = max(until, minutes[-1])
        axes.plot([minutes[-1], reach], [ready[-1]] * 2, color=look.colour, linewidth=1.1, alpha=0.4, zorder=2)
    if ready[-1]:
        axes.plot(minutes[-1], ready[-1], marker="o", markersize=4.5, color=look.colour, zorder=5)


def _draw_bars(axes: Axes, values: Mapping[str, float], title: str, bound: tuple[float, str] | None) -> None:
    names = list(values)[::-1]
    most = max([*values.values(), bound[0] if bound else 0.0]) or 1.0
    axes.barh(range(len(names)), [values[name] for name in names], height=0.66,
              color=[_LOOKS[name].colour for name in names], zorder=3)  # fmt: skip
    for row, name in enumerate(names):
        text = f"{values[name]:,.2f}" if bound is None else f"{values[name]:,.0f}"
        inside = values[name] > most / 4
        axes.text(values[name] + most * (-0.015 if inside else 0.015), row, text, va="center", fontsize=8.5, zorder=6,
                  ha="right" if inside else "left", color="white" if inside else _INK)  # fmt: skip
    if bound:
        axes.axvline(bound[0], color=_INK, linewidth=1.1, linestyle=(0, (1, 2)), zorder=5)
        axes.text(bound[0], len(names) - 0.35, bound[1], fontsize=8.5, color=_INK, ha="center", va="bottom")
    axes.set_yticks(range(len(names)), [_LOOKS[name].label for name in names], fontsize=8.5, color=_INK)
    axes.set_xlim(0, most * 1.14)
    axes.set_title(title, fontsize=10.5, fontweight="bold", color=_INK, loc="left", pad=12)
    axes.set_xticks([])
    _tidy(axes)
    axes.spines["bottom"].set_visible(False)


def _tidy(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_GRID)
    axes.tick_params(colors=_FAINT, length=0)
