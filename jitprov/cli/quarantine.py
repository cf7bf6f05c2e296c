"""What the receiver refused: `quarantine list`, `show`, `replay`, `drop`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.receiver.quarantine import Replayed, Warden
from jitprov.settings import Settings, settings

EntryId = Annotated[str, typer.Argument(help="An id from `jitprov quarantine list`.", show_default=False)]
EntryIds = Annotated[list[str] | None, typer.Argument(help="Ids from `jitprov quarantine list`.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="Every entry, the oldest first.")]

quarantine = typer.Typer(help="What the receiver refused (400): look, mend, replay.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(quarantine, name="quarantine", rich_help_panel="Agents")


def make_warden(chosen: Settings) -> Warden:
    """Return what works on the quarantine, as the settings are now."""
    from jitprov.pipeline.chain import enqueue  # noqa: PLC0415  Celery only where it is used
    from jitprov.receiver.body import StartRule  # noqa: PLC0415
    from jitprov.receiver.intake import new_id  # noqa: PLC0415
    from jitprov.wiring import make_ledger, make_seals  # noqa: PLC0415

    rule = StartRule.from_settings(chosen)
    return Warden(make_ledger(chosen), make_seals(chosen), rule, enqueue, new_id, chosen.message_grace_s)


@quarantine.command("list")
def list_entries(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 50, json_: Json = False
) -> None:
    """Refused bodies, newest first: where and why, never their text.

    Example: jitprov quarantine list
    """
    entries = make_warden(settings()).entries(limit=limit)
    if json_:
        emit_json("quarantine", entries=[dict(entry) for entry in entries])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("at", "id"):
        table.add_column(column, no_wrap=True)
    for column in ("field", "cause", "text"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        table.add_row(entry["at"][:19], *(escape(entry.get(name, "")) for name in ("id", "field", "cause", "text")))
    out.print(table)
    if not entries:
        err.print("nothing was refused")
    else:
        err.print("Next: jitprov quarantine show ID; once mended: jitprov quarantine replay ID (or --all)")


@quarantine.command()
def show(
    entry_id: EntryId,
    body: Annotated[
        bool, typer.Option("--body", help="Print the body itself, byte for byte; may name people.")
    ] = False,
    json_: Json = False,
) -> None:
    """One refused body: what was wrong, and what its sender has to change.

    Example: jitprov quarantine show ID --body > event.json, mend it, then jitprov send --file event.json
    """
    warden = make_warden(settings())
    entry = _known(warden, entry_id)
    if body:
        sys.stdout.buffer.write(warden.text(entry_id))
    elif json_:
        emit_json("quarantined", entry=dict(entry))
    else:
        for name, value in entry.items():
            out.print(f"[bold]{escape(name)}[/] {escape(value)}", soft_wrap=True)
        err.print(f"Next: jitprov quarantine replay {escape(entry_id)}, or drop; its text: show --body")


@quarantine.command()
def replay(entry_ids: EntryIds = None, all_: All = False, json_: Json = False) -> None:
    """Read refused bodies again, as if they came now: after a setting was mended, or jitprov.

    What is taken now leaves the quarantine; what is still refused stays. Events that were taken already open nothing.

    Example: jitprov quarantine replay --all
    """
    warden = make_warden(settings())
    results = [warden.replay(entry_id) for entry_id in _chosen(warden, entry_ids, all_=all_)]
    if json_:
        emit_json("replayed", entries=[result.told() for result in results])
    else:
        for result in results:
            out.print(_sentence(result), soft_wrap=True)
    if not all(result.left for result in results):
        leave(Exit.SOME_FAILED)


@quarantine.command()
def drop(entry_ids: EntryIds = None, all_: All = False, json_: Json = False) -> None:
    """Drop refused bodies for good, text and all.

    Example: jitprov quarantine drop ID
    """
    warden = make_warden(settings())
    dropped = [entry_id for entry_id in _chosen(warden, entry_ids, all_=all_) if warden.drop(entry_id)]
    if json_:
        emit_json("dropped", entries=dropped)
    else:
        out.print(f"{len(dropped)} dropped")


def _known(warden: Warden, entry_id: str) -> Mapping[str, str]:
    entry = warden.entry(entry_id)
    if entry is None:
        end_with_error(f"no {escape(entry_id)} in quarantine. Try: jitprov quarantine list", Exit.ERROR)
    return entry


def _chosen(warden: Warden, entry_ids: Sequence[str] | None, *, all_: bool) -> list[str]:
    if all_ == bool(entry_ids):
        end_with_error("name ids from `jitprov quarantine list`, or --all", Exit.USAGE)
    if all_:
        return [entry["id"] for entry in reversed(warden.entries()) if "id" in entry]
    return [_known(warden, entry_id)["id"] for entry_id in entry_ids or ()]


def _sentence(result: Replayed) -> str:
    if result.problem:
        return escape(f"{result.entry_id} stays: {result.problem}")
    new = sum(not acceptance.duplicate for acceptance in result.accepted)
    known = len(result.accepted) - new
    became = f"{new} accepted, {known} known already, {result.ignored} with nothing to do"
    if result.refused:
        return escape(f"{result.entry_id} stays: {became}, still refused: {result.refused[0]}")
    return escape(f"{result.entry_id} replayed: {became}")
