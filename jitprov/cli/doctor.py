"""`doctor`: the 08:30 checklist, and going on after a loss of the ledger."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from jitprov.cli.checks import Health, examine
from jitprov.cli.output import Exit, Json, emit_json, leave, out
from jitprov.errors import ConfigurationError, LedgerLost
from jitprov.ledger.book import Book
from jitprov.settings import Settings, describe_settings, settings
from jitprov.wiring import make_ledger

_API_WINDOW_S = 60.0
_DAY_S = 86_400.0
_MARKS: dict[Health, str] = {
    "ok": "[green]ok[/]",
    "warning": "[yellow]warning[/]",
    "configuration": "[bold red]wrong[/]",
    "down": "[bold red]down[/]",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operations")(doctor)


def doctor(
    show_settings: Annotated[
        bool, typer.Option("--settings", help="Also print every setting with its origin.")
    ] = False,
    acknowledge_empty: Annotated[
        bool, typer.Option("--acknowledge-empty", help="Go on with a ledger that was emptied, set back or exchanged.")
    ] = False,
    accept_data_key: Annotated[
        bool, typer.Option("--accept-data-key", help="Take JITPROV_DATA_KEY for the right one: the one before is lost.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --acknowledge-empty: also when nobody noticed a loss.")
    ] = False,
    json_: Json = False,
) -> None:
    """The checklist before the day: Redis, persistence, ledger, workers, credentials, skills, site, phone base, keys.

    Exit code 0 when all is well or only warned about, 5 when something is set wrong, 6 when something is down.

    After a loss of Redis, --acknowledge-empty lets the ledger go on as it is now: a minute later events are taken
    again, and for as long as ended provisionings are kept a phone is looked for before it is made. What the lost
    ledger had accepted and not finished is gone with it: have the sender repeat those events.

    Parts refuse to start with another data key than the others'. Where that is lost, --accept-data-key takes the one
    that is set; agents whose findings are sealed by the lost one wait until cancelled.

    Example: jitprov doctor --settings
    """
    chosen = settings()
    if acknowledge_empty:
        acknowledge(chosen, though_well=yes)
    if accept_data_key:
        make_ledger(chosen, timeout_s=2.0).match_key(keep="whatever was")
    checks = examine(chosen)
    if json_:
        extra = {"settings": describe_settings(chosen)} if show_settings else {}
        emit_json("doctor", checks=[asdict(check) for check in checks], **extra)
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for check in checks:
            table.add_row(_MARKS[check.health], check.name, escape(check.found))
            if check.remedy and check.health != "ok":
                table.add_row("", "", f"[dim]→ {escape(check.remedy)}[/]")
        out.print(table)
        if show_settings:
            out.print(_settings_table(chosen))
    healths = {check.health for check in checks}
    if "configuration" in healths:
        leave(Exit.CONFIGURATION)
    if "down" in healths:
        leave(Exit.DEPENDENCY_DOWN)


def acknowledge(chosen: Settings, *, though_well: bool) -> None:
    """Take the ledger as it is now for the right one.

    Raises:
        ConfigurationError: Nobody noticed a loss, and it is not to be done all the same.
        DependencyDown: Redis does not answer.
    """
    ledger = make_ledger(chosen, timeout_s=2.0)
    try:
        well = ledger.book() != Book() and bool(ledger.trust())
    except LedgerLost:
        well = False
    if well and not though_well:
        raise ConfigurationError(
            "nobody has noticed a loss of the ledger, so nothing was done. If you know of one: "
            "jitprov doctor --acknowledge-empty --yes"
        )
    # What was sent before the loss has ended by then, and has left the API's sliding minute.
    opens_in_s = max(chosen.lease_s, _API_WINDOW_S / chosen.time_scale)
    ledger.acknowledge_loss(opens_in_s=opens_in_s, looks_for_s=chosen.keep_ended_days * _DAY_S)


def _settings_table(chosen: Settings) -> Table:
    table = Table("setting", "value", "from", "what", box=None, pad_edge=False, header_style="bold")
    for row in describe_settings(chosen):
        table.add_row(row["variable"], escape(row["value"]), row["origin"], row["description"])
    return table
