"""`replay`: a dump of dead letters, taken as if its events came now."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from jitprov.cli.newcomers import Cost, accept, cost_of
from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.domain.events import Opening
from jitprov.errors import EventInvalid
from jitprov.ledger import Ledger
from jitprov.pipeline.late_events import looked_up
from jitprov.receiver.body import Ignored, Refused, StartRule, read_body
from jitprov.receiver.dead_letters import BYTES_MAX, Letter, unfold
from jitprov.receiver.intake import new_id
from jitprov.settings import settings
from jitprov.wiring import make_ledger

_REFUSED_SHOWN = 20


@dataclass(slots=True)
class Preview:
    """What a dump would do.

    Attributes:
        events: In the dump.
        openings: One for each user that has no provisioning yet.
        known: Events whose event or user has one already, or that come twice in the dump.
        ignored: Events with nothing to do, by reason.
        refused: Place and cause of what cannot be taken.
    """

    events: int = 0
    openings: list[Opening] = field(default_factory=list)
    known: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Agents")(replay)


def replay(
    file: Annotated[str, typer.Argument(help="JSON Lines, SQS or EventBridge forms; - for standard input.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this nothing is changed.")] = False,
    json_: Json = False,
) -> None:
    """Take the events of a dead-letter dump as if they came now; events and users that are known open nothing.

    Example: jitprov replay dead-letters.jsonl, then again with --yes
    """
    chosen = settings()
    ledger = make_ledger(chosen)
    try:
        preview = preview_of(unfold(_bytes_of(file)), StartRule.from_settings(chosen), ledger)
    except EventInvalid as error:
        end_with_error(escape(str(error)), Exit.ERROR)
    cost = cost_of(len(preview.openings), chosen)
    accepted = accept(ledger, preview.openings, chosen) if yes else 0
    if json_:
        told = asdict(preview) | {"openings": len(preview.openings), "accepted": accepted, **asdict(cost)}
        emit_json("replay", done=yes, **told)
    else:
        _print(preview, cost, accepted=accepted if yes else None)
    if preview.refused:
        leave(Exit.SOME_FAILED)


def preview_of(letters: Iterable[Letter], rule: StartRule, ledger: Ledger) -> Preview:
    """Return what the events of a dump would do now.

    Raises:
        EventInvalid: The dump is too large.
        DependencyDown: The ledger does not answer.
    """
    preview, openings = Preview(), list[Opening]()
    for letter in letters:
        preview.events += 1
        if letter.error:
            preview.refused.append(f"{letter.where}: {letter.error}")
            continue
        for reading in read_body(letter.body, rule, new_id):
            if isinstance(reading, Refused):
                preview.refused.append(f"{letter.where}: {reading.error}")
            elif isinstance(reading, Ignored):
                preview.ignored[reading.reason] = preview.ignored.get(reading.reason, 0) + 1
            else:
                openings.append(reading)
    late = looked_up(ledger, openings)
    preview.openings, preview.known = list(late.openings), late.known
    if late.strangers:
        preview.ignored["change of a stranger"] = late.strangers
    return preview


def _bytes_of(source: str) -> bytes:
    if source == "-":
        raw = sys.stdin.buffer.read(BYTES_MAX + 1)
    else:
        try:
            with Path(source).open("rb") as file:
                raw = file.read(BYTES_MAX + 1)
        except OSError as error:
            end_with_error(f"{escape(source)} cannot be read ({error.strerror})", Exit.USAGE)
    if len(raw) > BYTES_MAX:
        end_with_error(f"larger than {BYTES_MAX // 1_048_576} MiB: split it", Exit.USAGE)
    return raw


def _print(preview: Preview, cost: Cost, *, accepted: int | None) -> None:
    ignored = ", ".join(f"{reason} {number}" for reason, number in preview.ignored.items())
    out.print(
        f"{preview.events} events: {len(preview.openings)} agents to provision, {preview.known} known already, "
        f"{sum(preview.ignored.values())} with nothing to do{f' ({ignored})' if ignored else ''}, "
        f"{len(preview.refused)} refused",
        soft_wrap=True,
    )
    for each in preview.refused[:_REFUSED_SHOWN]:
        out.print(f"[red]refused[/] {escape(each)}", soft_wrap=True)
    takes = f"about {cost.calls} API calls; the last of them and of those under way in {cost.minutes:g} minutes"
    if accepted is not None:
        out.print(f"{accepted} accepted{f': {takes}' if accepted else ''}", soft_wrap=True)
    elif preview.openings:
        err.print(f"Would take {takes}. Nothing was changed. Next: the same with --yes", soft_wrap=True)
