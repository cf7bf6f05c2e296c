"""The stampede beside what people write instead: `python -m benchmarks`, some 19 minutes for 2,000 agents.

Writes build/bench.json and build/bench.png, and each result as soon as it is there to build/bench/; `--resume` goes on
from those. `--publish` puts the last whole run into README.md and docs/.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import board, chart, crew, front_door, lean, options, report
from benchmarks.bars import SANDBOX_SHARE_MAX, Verdict, figures_of, judge
from benchmarks.judge import Score
from benchmarks.plan import AGENTS, QUICK_AGENTS, TIME_SCALE, plan
from benchmarks.store import Store

_BUILD = Path("build")
_PAGES = (Path("README.md"), Path("docs/benchmark.md"))
_OUT = Console(width=170)


def main() -> None:
    """Measure, print, draw, write; refuse figures where the sandbox was the bottleneck."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--agents", type=int, default=0, help=f"who sign in; {AGENTS} (quick: {QUICK_AGENTS})")
    parser.add_argument("--time-scale", type=float, default=TIME_SCALE, help="API seconds per real second")
    parser.add_argument("--quick", action="store_true", help="few agents, and no baselines but the naive one")
    parser.add_argument("--only", nargs="*", default=[], metavar="RUN", help="these runs alone; writes no figures")
    parser.add_argument("--resume", action="store_true", help="go on from the results of the last run")
    parser.add_argument("--publish", action="store_true", help="measure nothing; put the last run into the pages")
    chosen = parser.parse_args()
    folder = "bench-only" if chosen.only else "bench-quick" if chosen.quick else "bench"
    store = Store(_BUILD / folder)
    if chosen.publish:
        parser.exit(_publish(store))
    agents = chosen.agents or (QUICK_AGENTS if chosen.quick else AGENTS)
    about = {"agents": agents, "time_scale": chosen.time_scale}
    if not chosen.resume or not about.items() <= (store.kept("about") or {}).items():
        store.clear()
    store.keep("about", {**about, **_machine()})
    parser.exit(_Bench(store, agents, chosen.time_scale, quick=chosen.quick, only=tuple(chosen.only)).run())


class _Bench:
    """One run of the benchmark."""

    def __init__(self, store: Store, agents: int, scale: float, *, quick: bool, only: tuple[str, ...]) -> None:
        self._store = store
        self._agents = agents
        self._quick = quick
        self._only = only
        self._runs = [run for run in plan(agents, scale) if (run.name in only if only else run.quick or not quick)]
        self._began_s = time.monotonic()
        self._failures: list[str] = []

    def run(self) -> int:
        """Return the exit code: 1 when something could not be measured or a promise was broken."""
        scores: dict[str, Score] = {}
        for run in self._runs:
            kept = self._store.score(run.name)
            if kept is None or self._only:
                made = self._try(run.name, lambda run=run: run.make().as_json(curve=True))  # type: ignore[misc]
                kept = Score.from_json(made) if made else None
            if kept:
                scores[run.name] = kept
                if kept.sandbox_share > SANDBOX_SHARE_MAX:
                    self._failures.append(f"{run.name}: the sandbox was busy {kept.sandbox_share:.0%} of the time")
        if self._only:
            _OUT.print(report.score_table(scores.values()))
            return int(bool(self._failures))
        measured: dict[str, Any] = {}
        for name, measure in self._measurements():
            measured |= self._store.kept(name) or self._try(name, measure) or {}
        verdicts = _written(scores, measured, quick=self._quick)
        for failure in self._failures:
            _OUT.print(f"[red]{failure}[/]")
        _OUT.print(f"{time.monotonic() - self._began_s:.0f} s in all; build/bench.json, build/bench.png")
        return int(bool(self._failures) or any(verdict.broken for verdict in verdicts))

    def _measurements(self) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
        agents = 100
        return [
            ("receiver", lambda: front_door.measure(2000, rounds=3 if self._quick else 5)),
            ("board", board.measure),
            ("options", lambda: options.measure(50 if self._quick else 200)),
            ("steps", lambda: lean.measure(agents if self._quick else 2 * agents)),
            *([] if self._quick else [("workers", lambda: crew.measure_beside_bare(200))]),
        ]

    def _try(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """Return what was measured, kept for a later run; one failure is tried again, a second one told."""
        for last in (False, True):
            try:
                content = make()
            except Exception as error:  # noqa: BLE001  one contender's failure must not cost the others' results
                _OUT.print(
                    f"{self._clock()}  {name}: [red]{type(error).__name__}: {_last_line(error)}[/]", soft_wrap=True
                )
                if last:
                    self._failures.append(f"{name}: not measured ({type(error).__name__}); again with --resume")
            else:
                self._store.keep(name, content)
                ready = f"{content['ready']} of {content['agents']} ready" if "ready" in content else "measured"
                _OUT.print(f"{self._clock()}  {name}: {ready}")
                return content
        return None

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began_s:5.0f} s"


def _last_line(error: Exception) -> str:
    # A part that does not start quotes its log; what it died of stands before the path of the whole.
    lines = str(error).splitlines() or [""]
    return lines[0] if len(lines) < 3 else f"{lines[0]} {lines[-2]}"


def _machine() -> dict[str, Any]:
    return {"processors": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def _written(scores: dict[str, Score], measured: dict[str, Any], *, quick: bool) -> list[Verdict]:
    figures = figures_of(scores, measured)
    verdicts = judge(scores, figures, quick=quick)
    _OUT.print(report.score_table(scores.values()))
    _OUT.print(report.bar_table(verdicts))
    _OUT.print(report.option_table(measured.get("options")))
    _OUT.print_json(
        data={name: value for name, value in measured.items() if name not in figures and not isinstance(value, dict)}
    )
    _BUILD.mkdir(exist_ok=True)
    report.write_figures(_BUILD / "bench.json", figures, scores, measured.get("options"))
    chart.draw(scores, _BUILD / "bench.png")
    return verdicts


def _publish(store: Store) -> int:
    about = store.kept("about") or {}
    runs = plan(int(about.get("agents", AGENTS)), TIME_SCALE)
    scores = {run.name: score for run in runs if (score := store.score(run.name))}
    measured: dict[str, Any] = {}
    for name in ("receiver", "board", "options", "steps", "workers"):
        measured |= store.kept(name) or {}
    lacking = [run.name for run in runs if run.name not in scores]
    if lacking or not measured or about.get("agents") != AGENTS:
        _OUT.print(f"nothing to publish: a whole run of {AGENTS} agents is needed; lacking: {', '.join(lacking)}")
        return 1
    figures = figures_of(scores, measured)
    each_option = measured.pop("options", None)
    more = {
        name: value
        for name, value in {**measured, **about}.items()
        if name not in figures and not isinstance(value, dict)
    }
    parts = report.page_parts(list(scores.values()), judge(scores, figures, quick=False), more, each_option)
    for page in _PAGES:
        _OUT.print(f"{page}: {'filled' if report.fill(page, parts) else 'unchanged'}")
    shutil.copyfile(_BUILD / "bench.png", report.CHART)
    return 0


if __name__ == "__main__":
    main()
