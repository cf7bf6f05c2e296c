"""`forecast`: when will everybody be ready, and what would shorten it?"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich.table import Table

from jitprov.cli.output import Json, emit_json, err, out
from jitprov.cli.progress import allowance_of
from jitprov.domain.forecast import Forecast, forecast
from jitprov.domain.rehearsal import Stations
from jitprov.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("forecast", rich_help_panel="Operations")(show_forecast)


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {seconds % 60:02.0f} s"


def show_forecast(
    agents: Annotated[int, typer.Option(min=1, max=100_000, help="Who sign in at once.")] = 2000,
    limit: Annotated[int, typer.Option(min=0, help="Requests per minute and token; 0 takes the settings'.")] = 0,
    tokens: Annotated[int, typer.Option(min=1, max=50, help="Tokens; one per integration is fair use.")] = 1,
    json_: Json = False,
) -> None:
    """When will the first, the median and the last agent be call-ready?

    Example: jitprov forecast --agents 2000 --limit 300
    """
    chosen = settings()
    allowance = allowance_of(chosen, limit_per_min=limit, tokens=tokens)
    lookup, line_id = Stations(wait_s=chosen.station_first_look_s), Stations("line_id")
    ways = {
        "station looked up": forecast(agents, allowance, lookup),
        "line id is the station id": forecast(agents, allowance, line_id),
        "same, with twice the allowance": forecast(
            agents, replace(allowance, limit_per_min=2 * allowance.limit_per_min), line_id
        ),
    }
    if json_:
        content = {name: _figures(way) for name, way in ways.items()}
        emit_json("forecast", agents=agents, allowance=asdict(allowance), ways=content)
        return
    out.print(f"{agents} agents, {allowance.limit_per_min} requests a minute and token, {tokens} token(s)")
    out.print(_table(ways))
    err.print(
        "What shortens it: stations by line id (found out by itself), and a higher limit, which Genesys raises on a "
        "justified support case. More tokens than one per integration are against its rule of fair use.",
        soft_wrap=True,
    )


def _figures(way: Forecast) -> dict[str, float]:
    names = ("calls", "first_s", "median_s", "mean_s", "last_s")
    return {name: round(getattr(way, name), 1) for name in names}


def _table(ways: dict[str, Forecast]) -> Table:
    table = Table("", "calls", "first ready", "median", "last", box=None, pad_edge=False, header_style="bold")
    for name, way in ways.items():
        table.add_row(name, f"{way.calls}", *map(_minutes, (way.first_s, way.median_s, way.last_s)))
    return table
