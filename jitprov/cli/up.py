"""`up`: the whole stack on one machine, staying; the real region with credentials, the sandbox without."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from jitprov.cli.output import err, out
from jitprov.settings import settings
from jitprov.stack.run import Running, Stack


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Start here")(up)


def print_addresses(running: Running) -> None:
    """Print where everything is and the keys that were generated."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in running.addresses():
        table.add_row(f"[bold]{name}[/]", value)
    out.print(table)


def up(
    time_scale: Annotated[
        float, typer.Option(min=1, max=600, help="Only with the sandbox: API seconds per second.")
    ] = 1.0,
) -> None:
    """Start Redis, receiver, worker, reconciler and Flower on this machine, and keep them up.

    With JITPROV_CLIENT_ID and JITPROV_CLIENT_SECRET it works on the organization of JITPROV_REGION; without them
    on a sandbox of its own. Data and keys stay in JITPROV_DATA_DIR; Ctrl-C stops everything.

    Example: jitprov up
    """
    chosen = settings()
    with Stack(chosen, data_dir=chosen.data_dir, time_scale=time_scale, tell=err.print) as running:
        print_addresses(running)
        err.print("Ctrl-C stops everything.")
        running.wait()
