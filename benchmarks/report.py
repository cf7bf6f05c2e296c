"""What is shown of a benchmark: on the terminal, in files, and between the markers of pages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.bars import FIGURES, Figures, Verdict
from benchmarks.judge import Score

# Where the pages find it.
CHART = Path("docs/benchmark.png")
_COLUMNS = (
    "contender",
    "agents",
    "ready",
    "failed",
    "wrong",
    "calls per agent",
    "429",
    "busiest minute",
    "first",
    "median",
    "last",
    "drain ÷ floor",
)


_OPTION_COLUMNS = ("rules give", "calls per agent", "beside skills and phone")


def _cells(score: Score) -> list[str]:
    done = score.ready == score.agents
    return [
        score.name + (" (stopped)" if score.capped else ""),
        f"{score.agents:,}",
        f"{score.ready:,}",
        f"{score.failed:,}",
        f"{score.wrong:,}",
        f"{score.calls_per_agent:.2f}",
        f"{score.answers_429:,}",
        f"{score.worst_window:,}" + (" (over)" if score.windows_over else ""),
        _time(score.first_s) if score.ready else "-",
        # Of a crowd of which half was never served there is no median worth the name.
        _time(score.median_s) if 2 * score.ready > score.agents else "-",
        _time(score.last_s) if done else "never",
        f"{score.drain_ratio:.3f}" if done else "-",
    ]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{int(seconds // 60)}:{int(seconds % 60):02d} min"


def score_table(scores: Iterable[Score]) -> Table:
    """Return the contenders side by side, for a terminal."""
    table = Table(*_COLUMNS, "sandbox busy", "machine busy", box=None, pad_edge=False, header_style="bold")
    for score in scores:
        table.add_row(*_cells(score), f"{score.sandbox_share:.0%}", f"{score.machine_share:.0%}")
    return table


def bar_table(verdicts: Sequence[Verdict]) -> Table:
    """Return figures and bars, for a terminal."""
    table = Table("figure", "measured", "bar", "verdict", box=None, pad_edge=False, header_style="bold")
    for row in _bar_rows(verdicts):
        colour = "green" if row[3] == "met" else "yellow" if row[3].startswith("not") else "red"
        table.add_row(*row[:3], f"[{colour}]{row[3]}[/]")
    return table


def _bar_rows(verdicts: Sequence[Verdict]) -> list[tuple[str, str, str, str]]:
    return [
        (
            verdict.bar.figure,
            "-" if verdict.value is None else f"{verdict.value:,}",
            f"{'≥' if verdict.bar.at_least else '≤'} {verdict.bar.bound:,}",
            verdict.text,
        )
        for verdict in verdicts
    ]


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def option_table(options: Mapping[str, Any] | None) -> Table:
    """Return what each thing that rules give costs, for a terminal; without a row when it was not measured."""
    table = Table(*_OPTION_COLUMNS, box=None, pad_edge=False, header_style="bold")
    for row in _option_rows(options):
        table.add_row(*row)
    return table


def _option_rows(options: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    calls: Mapping[str, float] = options["calls_per_agent"] if options else {}
    usual = calls.get("skills_and_phone", 0.0)
    return [(name, f"{each:.2f}", f"{each - usual:+.2f}") for name, each in calls.items()]


def page_parts(
    scores: Sequence[Score],
    verdicts: Sequence[Verdict],
    more: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return what stands between the markers of pages, by marker; options that were not measured stay as they are."""
    extras = [(name, f"{value:,}" if isinstance(value, int | float) else str(value)) for name, value in more.items()]
    return {
        "chart": "![Agents call-ready over time, all contenders](CHART)",
        "contenders": _markdown(_COLUMNS, map(_cells, scores)),
        "bars": _markdown(("figure", "measured", "bar", "verdict"), _bar_rows(verdicts)),
        "more": _markdown(("beside them", "measured"), extras),
        **({"options": _markdown(_OPTION_COLUMNS, _option_rows(options))} if options else {}),
    }


def fill(page: Path, parts: Mapping[str, str]) -> bool:
    """Put parts between a page's markers `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`; tell whether it changed.

    Raises:
        ValueError: A marker has no end.
    """
    before = after = page.read_text(encoding="utf-8")
    chart = os.path.relpath(CHART, page.parent)
    for name, part in parts.items():
        opening, closing = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
        head, found, rest = after.partition(opening)
        if not found:
            continue
        _, ended, tail = rest.partition(closing)
        if not ended:
            msg = f"{page}: {opening} has no {closing}"
            raise ValueError(msg)
        after = f"{head}{opening}\n{part.replace('CHART', chart)}\n{closing}{tail}"
    page.write_text(after, encoding="utf-8")
    return after != before


def write_figures(
    path: Path, figures: Figures, scores: Mapping[str, Score], options: Mapping[str, Any] | None = None
) -> None:
    """Write the figures, what each option costs and what people write instead as JSON."""
    held = {name: figures[name] for name in FIGURES}
    baselines = {name: score.as_json() for name, score in scores.items() if not score.name.startswith("jitprov")}
    path.write_text(json.dumps({**held, "options": options, "baselines": baselines}, indent=2) + "\n", encoding="utf-8")
