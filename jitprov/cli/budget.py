"""`budget`: why are calls held back, and by whom? Pause, resume and slow them while everything runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from jitprov.budget import ENDLESS_S, Budget, BudgetState
from jitprov.cli.output import Json, emit_json, err, out
from jitprov.settings import settings

app = typer.Typer(
    help="Why are calls held back? Pause, resume, slow them.\n\nExample: jitprov budget", invoke_without_command=True
)

_DURATION = re.compile(r"(\d+)([smh]?)")
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600}


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="budget", rich_help_panel="Operations")


def _seconds(value: str) -> float:
    found = _DURATION.fullmatch(value.strip().lower())
    seconds = int(found[1]) * _UNITS_S[found[2]] if found else 0
    if not 0 < seconds <= ENDLESS_S:
        raise typer.BadParameter("a number with s, m or h, such as 90s, 10m or 2h")
    return float(seconds)


@app.callback()
def _show(ctx: typer.Context, json_: Json = False) -> None:
    """Show the meter: slots, limit in force, pauses, circuit, each token."""
    if ctx.invoked_subcommand is None:
        _with_meter(lambda _: None, json_=json_)


@app.command()
def pause(
    for_: Annotated[str, typer.Option("--for", help="How long: 90s, 10m, 2h; until resumed when left out.")] = "",
    reason: Annotated[str, typer.Option(help="Shown to everybody who asks why.")] = "paused by an operator",
    json_: Json = False,
) -> None:
    """Send nothing to the API, from no worker, until the time is over or `resume`.

    Example: jitprov budget pause --for 10m --reason "Genesys asked us to"
    """
    for_s = _seconds(for_) if for_ else ENDLESS_S
    _with_meter(lambda budget: budget.hold(for_s=for_s, reason=reason[:200]), json_=json_)


@app.command()
def resume(json_: Json = False) -> None:
    """End the operators' pause; let an open circuit be probed at once. A pause that the API asked for stays.

    Example: jitprov budget resume
    """
    _with_meter(lambda budget: budget.resume(), json_=json_)


@app.command()
def rate(
    per_min: Annotated[int, typer.Argument(help="Calls per minute and token; the setting's limit lifts it.")],
    json_: Json = False,
) -> None:
    """Lower the limit in force while everything runs; holds until it is set again.

    Example: jitprov budget rate 120
    """
    _with_meter(lambda budget: budget.set_rate(per_min), json_=json_)


def _with_meter(change: Callable[[Budget], None], *, json_: bool) -> None:
    from jitprov.wiring import make_budget  # noqa: PLC0415  loaded only where it is used

    budget = make_budget(settings())
    try:
        change(budget)
        state = budget.state()
    finally:
        budget.close()
    if json_:
        emit_json("budget", budget=asdict(state))
        return
    _print(state)


def _print(state: BudgetState) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    others = sum(lane.others_last_min for lane in state.lanes)
    table.add_row("last minute", f"{state.spent_last_min} of {state.limit_per_min} calls, {others} more by others")
    table.add_row("in all", str(state.spent_total))
    chosen = f", lowered to {state.rate_per_min} by an operator" if state.rate_per_min else ""
    table.add_row("limit", f"{state.setting_per_min} a minute and token by the settings{chosen}")
    for number, lane in enumerate(state.lanes):
        allowed = lane.allowed_per_min or "not said yet"
        table.add_row(f"token {number + 1}", f"{lane.limit_per_min} in force; the API allows {allowed}")
    table.add_row("circuit", f"{state.circuit}, {state.failures} failures in a row")
    out.print(table)
    if not state.paused_by:
        return
    lasts = "until resumed" if state.paused_s > ENDLESS_S / 2 else f"for {state.paused_s:.0f} s"
    by = {"people": "by an operator", "api": "as the API asked", "circuit": "since the circuit is open"}
    out.print(f"[bold yellow]paused[/] {lasts} {by[state.paused_by]}: {escape(state.pause_reason)}")
    if state.paused_by != "api":
        err.print("Go on: jitprov budget resume")
