"""`jitprov cleanup`: after the season, what jitprov gave a department is listed, taken, and can be given back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.markup import escape

from jitprov.cli.newcomers import accept
from jitprov.cli.noted import By
from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, out
from jitprov.cli.wanted import Who, Why, Yes, instant_of
from jitprov.desk.pace import pace_of
from jitprov.desk.words import agents, number
from jitprov.domain.events import Opening
from jitprov.ledger.overview import Act, Overview
from jitprov.pipeline.season import (
    BYTES_MAX,
    Taking,
    Undo,
    UndoUnusable,
    cleanup_openings,
    counted,
    read_undo,
    takings,
    undo_file,
    undo_openings,
)
from jitprov.settings import Settings, settings
from jitprov.wiring import make_budget, make_cache, make_overview, make_seals

# Calls that give one thing back take about as many as took it; a phone takes two or three more.
_PHONE_BACK_CALLS = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Agents")(cleanup)


def cleanup(
    department: Annotated[str, typer.Option("--department", "-d", help="Of the agents, case aside.")] = "",
    before: Annotated[
        str, typer.Option("--before", help="Only agents to whom nothing was given since: a date (UTC), or an instant.")
    ] = "",
    undo: Annotated[Path | None, typer.Option("--undo", help="Give back what this file says was taken.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Where the undo file goes; here when left out.")
    ] = None,
    yes: Yes = False,
    why: Why = "",
    who: Who = "",
    json_: Json = False,
) -> None:
    """Take away what jitprov gave the agents of a department: phones, skills, grants. Nothing made by hand is touched.

    Without --yes it says what would go, with calls and minutes. With it, an undo file is written first; then each agent
    gets a provisioning that takes their things away, under the budget: `jitprov list` shows them, and a failed one can
    be retried. `--undo FILE` gives back what was taken, in the same way.

    Example: jitprov cleanup --department Seasonal_Retail --before 2027-01-15, then again with --yes
    """
    chosen = settings()
    ledger = make_overview(chosen)
    try:
        if undo is not None:
            if department or before:
                end_with_error("name --undo, or --department with --before, not both", Exit.USAGE)
            _give_back(ledger, chosen, undo, By(who, why), yes=yes, json_=json_)
            return
        if not department.strip() or not before:
            end_with_error(
                "name whom: --department and --before, or --undo FILE. Try: jitprov cleanup --help", Exit.USAGE
            )
        until = _before(before, ledger)
        found = takings(ledger.all_memories(), department=department, before=until)
        _take(ledger, chosen, found, out_file, By(who, why), department=department, yes=yes, json_=json_)
    finally:
        ledger.close()


def _before(text: str, ledger: Overview) -> datetime:
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    return instant_of(text, ledger.ping, option="--before")


def _take(
    ledger: Overview,
    chosen: Settings,
    found: Sequence[Taking],
    out_file: Path | None,
    by: By,
    *,
    department: str,
    yes: bool,
    json_: bool,
) -> None:
    calls = sum(each.calls for each in found) + -(-len(found) // 100)
    minutes = _minutes(ledger, chosen, calls)
    accepted, kept = 0, None
    if yes and found:
        run_id, now = str(uuid4()), ledger.ping()
        try:
            text = undo_file(found, make_seals(chosen), run_id=run_id, made_at=now)
        except UndoUnusable as error:
            end_with_error(str(error), Exit.CONFIGURATION)
        kept = out_file or Path(f"cleanup-{now:%Y%m%d-%H%M%S}-{run_id[:8]}.json")
        _write(kept, text)
        accepted = accept(ledger, cleanup_openings(found, run_id), chosen)
        outcome = f"{agents(accepted)} begun; give back with jitprov cleanup --undo {kept}"
        ledger.note(
            Act(run_id, now, by.name(), "cleanup", f"department {department}, {agents(accepted)}", by.reason(), outcome)
        )
    if json_:
        emit_json(
            "cleanup",
            done=yes,
            department=department,
            agents=len(found),
            things=counted(found),
            calls=calls,
            minutes=minutes,
            accepted=accepted,
            undo_file=str(kept) if kept else None,
            per_agent=[
                {"user_id": each.user_id, "things": each.things.counted(), "calls": each.calls} for each in found
            ],
        )
        return
    things = ", ".join(f"{number(count)} {name}" for name, count in counted(found).items()) or "nothing"
    out.print(f"{agents(len(found))} of {escape(department)}: {things}", soft_wrap=True)
    if not found:
        err.print(
            "jitprov remembers giving nothing to anybody there before that. Departments are those that agents had when "
            "it gave them something",
            soft_wrap=True,
        )
    elif kept:
        out.print(f"{number(accepted)} begun: at most {number(calls)} API calls, the last in about {minutes:g} minutes")
        err.print(f"Next: jitprov list. Back again: jitprov cleanup --undo {escape(str(kept))}", soft_wrap=True)
    else:
        err.print(
            f"Would take at most {number(calls)} API calls, about {minutes:g} minutes. Nothing was changed. "
            "Next: the same with --yes",
            soft_wrap=True,
        )


def _give_back(ledger: Overview, chosen: Settings, file: Path, by: By, *, yes: bool, json_: bool) -> None:
    undo = _read(file, chosen)
    openings: Sequence[Opening] = undo_openings(undo)
    back = [Taking(each.user_id, each.taken) for each in undo.agents]
    calls = sum(each.calls + (_PHONE_BACK_CALLS if each.things.phone else 0) for each in back) + -(-len(back) // 100)
    minutes = _minutes(ledger, chosen, calls)
    accepted = accept(ledger, openings, chosen) if yes else 0
    if yes:
        whom = f"{agents(len(back))} of {file.name}"
        ledger.note(Act(str(uuid4()), ledger.ping(), by.name(), "undo", whom, by.reason(), f"{agents(accepted)} begun"))
    if json_:
        emit_json(
            "cleanup-undo",
            done=yes,
            made_at=undo.made_at,
            agents=len(back),
            things=counted(back),
            calls=calls,
            minutes=minutes,
            accepted=accepted,
        )
        return
    things = ", ".join(f"{number(count)} {name}" for name, count in counted(back).items()) or "nothing"
    out.print(f"{agents(len(back))}: {things}, taken {undo.made_at:%Y-%m-%d %H:%M} UTC", soft_wrap=True)
    if yes:
        out.print(f"{number(accepted)} begun{'' if accepted else ': this file was given back before'}")
        err.print("Next: jitprov list")
    else:
        err.print(f"Would take about {number(calls)} API calls, {minutes:g} minutes. Next: the same with --yes")


def _minutes(ledger: Overview, chosen: Settings, calls: int) -> float:
    """Return API minutes until so many calls are made, behind those of whoever is under way."""
    meter, standing = make_budget(chosen).state(), ledger.standing()
    pace = pace_of(chosen, make_cache(chosen))().at(meter.limit_per_min)
    seen = pace.outlook(standing.under_way, standing.now, paused_s=meter.paused_s)
    busy_s = (seen.last_at - standing.now).total_seconds() * chosen.time_scale if standing.under_way else meter.paused_s
    return round(busy_s / 60 + calls / (meter.limit_per_min * (1 - chosen.api_headroom)), 1)


def _write(file: Path, text: str) -> None:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
    except OSError as error:
        end_with_error(
            f"the undo file {escape(str(file))} cannot be written ({error.strerror}); nothing was taken. "
            "Name another: --out",
            Exit.ERROR,
        )


def _read(file: Path, chosen: Settings) -> Undo:
    try:
        if file.stat().st_size > BYTES_MAX:
            end_with_error(f"{escape(str(file))}: larger than an undo file can be", Exit.ERROR)
        return read_undo(file.read_text(encoding="utf-8"), make_seals(chosen))
    except UndoUnusable as error:
        end_with_error(f"{escape(str(file))}: {escape(str(error))}", Exit.ERROR)
    except (OSError, UnicodeDecodeError) as error:
        end_with_error(f"{escape(str(file))} cannot be read ({type(error).__name__})", Exit.ERROR)
