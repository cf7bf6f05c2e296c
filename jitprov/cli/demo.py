"""`demo`: the main job on the embedded stack, checked against the sandbox' own state."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.markup import escape

from jitprov.cli.acceptance import Timing, Wrong, timing_of, wrong_agents
from jitprov.cli.output import Exit, Json, emit_json, err, leave, out
from jitprov.cli.progress import Snapshot, draw, steps_line, take_snapshot
from jitprov.cli.up import print_addresses
from jitprov.domain.provisioning import State
from jitprov.errors import DependencyDown
from jitprov.rules.engine import RuleBook
from jitprov.rules.loader import load_rules
from jitprov.settings import Settings, read_settings
from jitprov.stack.run import Running, Stack
from jitprov.wiring import RealClock, make_budget, make_ledger

DEPARTMENTS = ("Seasonal_Retail", "Seasonal_Tech_Support")
# One API minute passes in seven and a half seconds: 200 agents of four calls take half a minute instead of four.
DEMO_TIME_SCALE = 8.0
_LOOK_EVERY_S = 0.5
# Patience beyond the floor that the budget sets, for start-up and late stations.
_PATIENCE = 3.0
_PATIENCE_S = 60.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Start here")(demo)


@dataclass(frozen=True, slots=True)
class Summary:
    """What came out, by the sandbox' own count."""

    agents: int
    ready: int
    failed: int
    wrong: list[Wrong]
    took_s: float
    timing: Timing
    calls: int
    calls_per_agent: float
    answers_429: int
    worst_window: int
    windows_over_limit: int
    limit_per_min: int
    calls_by_route: Mapping[str, int]
    time_scale: float

    @property
    def good(self) -> bool:
        """True when every agent is call-ready as the rules say and the limit was kept."""
        return self.ready == self.agents and not self.wrong and not self.answers_429 and not self.windows_over_limit


def demo(
    agents: Annotated[int, typer.Option(min=1, max=20_000, help="How many agents sign in at once.")] = 200,
    time_scale: Annotated[float, typer.Option(min=1, max=60, help="API seconds per second.")] = DEMO_TIME_SCALE,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up afterwards, until Ctrl-C.")] = False,
    json_: Json = False,
) -> None:
    """Two hundred agents sign in at once, on this machine: watch them become call-ready.

    Starts Redis, a sandbox of Genesys Cloud, receiver, worker, reconciler and Flower, lets the agents sign in, and
    checks the result in the sandbox. Exit code 0 only if every agent has exactly the rules' skills, exactly one
    phone, its station set, and the limit was never exceeded.

    Example: jitprov demo --agents 50 --keep
    """
    folder = Path(tempfile.mkdtemp(prefix="jitprov-demo-"))
    # The demo never reaches a real organization, whatever the environment says.
    chosen = read_settings(
        client_id="", client_secret="", api_url="", time_scale=1.0, key_prefix="jitprov:", data_dir=folder
    )
    try:
        with Stack(
            chosen, data_dir=folder, time_scale=time_scale, throw_away=True, own_ports=True, tell=err.print
        ) as running:
            try:
                summary = _run(running, agents, interactive=err.is_terminal)
            except DependencyDown:
                _keep_logs(running)
                raise
            _report(summary, json_=json_)
            if not summary.good:
                _keep_logs(running)
            if keep:
                print_addresses(running)
                err.print("Everything stays up. Ctrl-C stops it and removes its data.")
                running.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    leave(Exit.OK if summary.good else Exit.SOME_FAILED)


def _keep_logs(running: Running) -> None:
    # The demo's folder goes; what went wrong must stay readable.
    kept = Path(tempfile.mkdtemp(prefix="jitprov-logs-"))
    shutil.copytree(running.logs, kept, dirs_exist_ok=True)
    err.print(f"the logs are kept in {kept}")


def _run(running: Running, agents: int, *, interactive: bool) -> Summary:
    chosen = running.settings
    err.print(f"{agents} agents of {' and '.join(DEPARTMENTS)} sign in now. {steps_line()}")
    began_s = time.monotonic()
    running.sandbox.sign_in(count=agents, departments=list(DEPARTMENTS))
    last = _watch(running, agents, began_s, interactive=interactive)
    took_s = time.monotonic() - began_s
    # The API sets a default station a moment after its 202.
    RealClock(chosen.time_scale).wait(3.0)
    oracle = running.sandbox.oracle()
    ledger = make_ledger(chosen)
    try:
        timing = timing_of(ledger.page(limit=agents))
    finally:
        ledger.close()
    calls = int(oracle["calls"])
    return Summary(
        agents=agents,
        ready=last.counts[State.READY],
        failed=last.counts[State.FAILED],
        wrong=_wrong(running, load_rules(chosen.rules_file)),
        took_s=round(took_s, 1),
        timing=timing,
        calls=calls,
        calls_per_agent=round(calls / agents, 3),
        answers_429=int(oracle["answers_429"]),
        worst_window=int(oracle["worst_window"]),
        windows_over_limit=int(oracle["windows_over"]),
        limit_per_min=int(oracle["limit"]),
        calls_by_route=oracle["calls_by_route"],
        time_scale=chosen.time_scale,
    )


def _wrong(running: Running, rules: RuleBook) -> list[Wrong]:
    state = running.sandbox.state()
    ours = {user["id"] for user in state["users"] if user.get("department") in DEPARTMENTS}
    return wrong_agents(state, rules, of=ours)


def _watch(running: Running, agents: int, began_s: float, *, interactive: bool) -> Snapshot:
    chosen: Settings = running.settings
    ledger, budget = make_ledger(chosen), make_budget(chosen)
    per_min = chosen.api_limit_per_min * (1 - chosen.api_headroom)
    patience_s = _PATIENCE_S + _PATIENCE * agents * 4 / per_min * 60 / chosen.time_scale
    pause = RealClock()
    try:
        with Live(console=err, transient=True, refresh_per_second=4) as live:
            while True:
                now = take_snapshot(ledger, budget, chosen, expected=agents)
                elapsed_s = time.monotonic() - began_s
                if interactive:
                    live.update(draw(now, elapsed_s=elapsed_s))
                if now.ended >= agents:
                    return now
                if elapsed_s > patience_s:
                    msg = f"only {now.ended} of {agents} ended in {patience_s:.0f} s"
                    raise DependencyDown(msg)
                running.check()
                pause.wait(_LOOK_EVERY_S)
    finally:
        ledger.close()
        budget.close()


def _really(summary: Summary) -> str:
    minutes, seconds = divmod(round(summary.timing.last_s * summary.time_scale), 60)
    return f"there the last agent would be ready after {minutes} min {seconds:02d} s"


def _report(summary: Summary, *, json_: bool) -> None:
    if json_:
        emit_json("demo", good=summary.good, **asdict(summary))
        return
    mark = "[green]✔[/]" if summary.good else "[bold red]✘[/]"
    out.print(
        f"{mark} {summary.ready} of {summary.agents} agents call-ready in {summary.took_s:.1f} s, "
        f"{summary.failed} failed"
    )
    out.print(
        f"  first {summary.timing.first_s:.1f} s, median {summary.timing.median_s:.1f} s, "
        f"last {summary.timing.last_s:.1f} s after the first event"
    )
    out.print(
        f"  {summary.calls} API calls, {summary.calls_per_agent:.2f} per agent; {summary.answers_429} answers 429"
    )
    over = (
        "never exceeded"
        if not summary.windows_over_limit
        else f"[bold red]exceeded {summary.windows_over_limit} times[/]"
    )
    out.print(f"  busiest minute {summary.worst_window} of {summary.limit_per_min} allowed: {over}")
    if summary.wrong:
        out.print(f"  [bold red]checked in the sandbox: {len(summary.wrong)} differences[/]")
    else:
        out.print("  checked in the sandbox: skills as the rules say, one phone each, its station set", soft_wrap=True)
    out.print(
        f"  time ran {summary.time_scale:g} times faster than on a real organization: {_really(summary)}",
        soft_wrap=True,
    )
    for wrong in summary.wrong[:20]:
        out.print(f"  [red]{wrong.user_id}[/] {escape(wrong.what)}")
