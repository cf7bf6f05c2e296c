"""`top` and `report`: the morning as it goes, and the day as it went."""

from __future__ import annotations

import csv
import io
import threading
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.cli.progress import Snapshot, draw, take_snapshot
from jitprov.cli.wanted import Since, instant_of
from jitprov.domain.provisioning import State
from jitprov.domain.report import COLUMNS, Share, accepted_since, as_cell, row_of, share_as_json, shares_of
from jitprov.ledger import Ledger
from jitprov.settings import settings
from jitprov.wiring import make_budget, make_ledger

_CAUSES_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Agents")(top)
    app.command(rich_help_panel="Agents")(report)


def top(
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and leave.")] = False,
    json_: Json = False,
) -> None:
    """Watch the morning: who stands where, what the budget does, what fails and why. Ctrl-C leaves.

    Example: jitprov top --every 2
    """
    chosen = settings()
    ledger, budget = make_ledger(chosen), make_budget(chosen)

    def look() -> tuple[Snapshot, Counter[str]]:
        counts = ledger.count()
        return take_snapshot(ledger, budget, chosen, expected=sum(counts.values())), _causes(
            ledger, counts[State.FAILED]
        )

    if json_ or once or not out.is_terminal:
        now, causes = look()
        if json_:
            emit_json("top", **asdict(now), failed_by_cause=dict(causes))
        else:
            out.print(_picture(now, causes))
        return
    stop = threading.Event()
    with Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            now, causes = look()
            live.update(_picture(now, causes), refresh=True)
            stop.wait(every)


def _causes(ledger: Ledger, failed: int) -> Counter[str]:
    if not failed:
        return Counter()
    return Counter(record.failure.code for record in ledger.page((State.FAILED,), limit=failed) if record.failure)


def _picture(now: Snapshot, causes: Counter[str]) -> RenderableType:
    lines: list[RenderableType] = [draw(now)]
    lines += [Text(f"failed {number}: {code}", style="bold red") for code, number in causes.most_common(_CAUSES_SHOWN)]
    if causes:
        lines.append(Text("Next: jitprov list --failed", style="dim"))
    return Group(*lines)


def report(
    csv_: Annotated[
        Path | None, typer.Option("--csv", help="Write one row per agent to this file; - for standard output.")
    ] = None,
    since: Since = "",
    json_: Json = False,
) -> None:
    """Who was ready when, how long it took by department, and what failed.

    Example: jitprov report --since 2h --csv today.csv
    """
    ledger = make_ledger(settings())
    everyone = ledger.page(limit=max(sum(ledger.count().values()), 1))
    records = accepted_since(everyone, instant_of(since, ledger.ping) if since else None)
    shares = shares_of(records)
    rows = [row_of(record) for record in records]
    if csv_:
        _write_csv(csv_, rows)
    if json_:
        emit_json("report", shares={name: share_as_json(share) for name, share in shares.items()}, agents=rows)
    elif csv_ != Path("-"):
        out.print(_shares_table(shares))
        err.print(
            f"{len(rows)} rows in {escape(str(csv_))}" if csv_ else "Next: jitprov report --csv FILE for every agent"
        )
    if any(record.state is State.FAILED for record in records):
        leave(Exit.SOME_FAILED)


def _write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, COLUMNS)
    writer.writeheader()
    writer.writerows({name: as_cell(value) for name, value in row.items()} for row in rows)
    if path == Path("-"):
        print(sink.getvalue(), end="")
        return
    try:
        # For whoever made it alone: it holds names and addresses.
        path.touch(mode=0o600)
        path.write_text(sink.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        end_with_error(f"{escape(str(path))} cannot be written ({error.strerror})", Exit.USAGE)


def _shares_table(shares: dict[str, Share]) -> Table:
    table = Table(
        "",
        "agents",
        "ready",
        "failed",
        "open",
        "first",
        "median",
        "95 %",
        "last",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for name, share in shares.items():
        ready, failed = (share.states.get(state, 0) for state in (State.READY, State.FAILED))
        left = sum(number for state, number in share.states.items() if not state.ended)
        times = (share.first_s, share.median_s, share.p95_s, share.last_s)
        shown = ["" if each is None else f"{int(each // 60)}:{each % 60:04.1f}" for each in times]
        table.add_row(escape(name), *map(str, (share.agents, ready, failed, left)), *shown)
    return table
