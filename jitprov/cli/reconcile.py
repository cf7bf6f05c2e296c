"""`reconcile`: users whose event never came, found in the organization's audits and taken as if it had come now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape

from jitprov.cli.newcomers import Cost, accept, cost_of
from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.cli.wanted import instant_of
from jitprov.desk.words import agents, number
from jitprov.errors import StepError
from jitprov.receiver.body import StartRule
from jitprov.receiver.intake import new_id
from jitprov.receiver.missed import Missed, Search, ahead_of, reach_of
from jitprov.settings import Settings, settings
from jitprov.wiring import Services, make_services

_REFUSED_SHOWN = 20
_TOLD = {
    "own_client": "created by jitprov's own OAuth client",
    "action": "with another action",
    "entity_type": "of another kind",
    "failed": "not created after all",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Agents")(reconcile)


def reconcile(
    since: Annotated[str, typer.Option("--since", help="Created since: 30m, 2h, 1d, or an instant with its zone.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; without this nothing is changed.")] = False,
    json_: Json = False,
) -> None:
    """Take users whose event never came as if it came now: created since then, and unknown to jitprov.

    They are found in the organization's audits, which costs a few calls of the shared budget. Nobody who was handled is
    handled again, and an event that comes late opens nothing. An audit may be visible only some minutes after the fact.

    Example: jitprov reconcile --since 2h, then again with --yes
    """
    chosen = settings()
    kept = make_services(chosen)
    now = kept.ledger.ping()
    begin = instant_of(since, lambda: now)
    _check(begin, now, chosen)
    ahead = ahead_of(chosen)
    search = Search(kept.audits, StartRule.from_settings(chosen), kept.ledger, new_id, ahead=ahead)
    try:
        found = search.look(begin, now)
    except StepError as error:
        end_with_error(f"{escape(error.message)}. {escape(error.remedy)}", Exit.ERROR)
    cost = cost_of(len(found.openings), chosen)
    accepted = accept(kept.ledger, found.openings, chosen) if yes else 0
    read = _calls_of(kept)
    if json_:
        told = {
            "audits": found.audits,
            "openings": len(found.openings),
            "known": found.known,
            "ignored": dict(found.ignored),
            "refused": list(found.refused),
            "accepted": accepted,
            "calls": cost.calls,
            "minutes": cost.minutes,
            "calls_made": read,
        }
        emit_json("reconcile", done=yes, since=begin, until=now, **told)
    else:
        _print(found, cost, read=read, accepted=accepted if yes else None)
    if found.refused:
        leave(Exit.SOME_FAILED)


def _check(since: datetime, now: datetime, chosen: Settings) -> None:
    if since >= now:
        end_with_error("--since lies in the future", Exit.USAGE)
    reach = reach_of(chosen)
    if now - since > reach:
        days = f"{reach / timedelta(days=1):g}"
        end_with_error(
            f"--since reaches back over {days} days: whoever was handled then may be forgotten by now "
            "(JITPROV_KEEP_ENDED_DAYS), and would be handled again. Ask for a shorter time",
            Exit.USAGE,
        )


def _calls_of(kept: Services) -> int:
    return sum(kept.transport.attempts.values())


def _print(found: Missed, cost: Cost, *, read: int, accepted: int | None) -> None:
    ignored = ", ".join(f"{count} {_TOLD.get(reason, reason)}" for reason, count in found.ignored.items())
    out.print(
        f"{number(found.audits)} created: {agents(len(found.openings))} missed, {number(found.known)} known already"
        f"{f', {ignored}' if ignored else ''}{f', {len(found.refused)} unreadable' if found.refused else ''} "
        f"({read} calls)",
        soft_wrap=True,
    )
    for each in found.refused[:_REFUSED_SHOWN]:
        out.print(f"[red]unreadable[/] {escape(each)}", soft_wrap=True)
    takes = f"about {number(cost.calls)} API calls; the last of them and of those under way in {cost.minutes:g} minutes"
    if accepted is not None:
        out.print(f"{accepted} accepted{f': {takes}' if accepted else ''}", soft_wrap=True)
    elif found.openings:
        err.print(f"Would take {takes}. Nothing was changed. Next: the same with --yes", soft_wrap=True)
