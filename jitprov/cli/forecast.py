"""`forecast`: when will everybody be ready, and what would shorten it?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from jitprov.cli.output import Json, emit_json, err, out
from jitprov.domain.forecast import Allowance, Forecast, forecast
from jitprov.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("forecast", rich_help_panel="Operations")(show_forecast)


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {seconds % 60:02.0f} s"


def show_forecast(
    agents: Annotated[int, typer.Option(min=1, max=1_000_000, help="Who sign in at once.")] = 2000,
    limit: Annotated[int, typer.Option(min=0, help="Requests per minute and token; 0 takes the settings'.")] = 0,
    tokens: Annotated[int, typer.Option(min=1, max=50, help="Tokens; one per integration is fair use.")] = 1,
    json_: Json = False,
) -> None:
    """When will the first, the median and the last agent be call-ready?

    Example: jitprov forecast --agents 2000 --limit 300
    """
    chosen = settings()
    allowance = Allowance(limit or chosen.api_limit_per_min, chosen.api_headroom, tokens)
    wait_s = chosen.station_first_look_s
    ways = {
        "station looked up": forecast(agents, allowance, lookup=True, station_wait_s=wait_s),
        "line id is the station id": forecast(agents, allowance, lookup=False),
        "same, with twice the allowance": forecast(
            agents, Allowance(2 * allowance.limit_per_min, allowance.headroom, tokens), lookup=False
        ),
    }
    if json_:
        content = {name: asdict(way) for name, way in ways.items()}
        emit_json("forecast", agents=agents, allowance=asdict(allowance), ways=content)
        return
    out.print(f"{agents} agents, {allowance.limit_per_min} requests a minute and token, {tokens} token(s)")
    out.print(_table(ways))
    err.print(
        "What shortens it: stations by line id (found out by itself), and a higher limit, which Genesys raises on a "
        "justified support case. More tokens than one per integration are against its rule of fair use.",
        soft_wrap=True,
    )


def _table(ways: dict[str, Forecast]) -> Table:
    table = Table("", "calls", "first ready", "median", "last", box=None, pad_edge=False, header_style="bold")
    for name, way in ways.items():
        table.add_row(name, f"{way.calls:.0f}", *map(_minutes, (way.first_s, way.median_s, way.last_s)))
    return table
