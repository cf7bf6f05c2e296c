"""`plan`: what would change, agent by agent and call by call, before anything does. Sends nothing but reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from jitprov.cli import scope
from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, out
from jitprov.cli.rules import File, chosen_book
from jitprov.cli.wanted import OfDepartment
from jitprov.desk.pace import pace_of
from jitprov.desk.words import agents, number
from jitprov.domain.change import Change
from jitprov.domain.difference import calls_together
from jitprov.domain.forecast import looks_at, time_for
from jitprov.genesys.organization import organization_key
from jitprov.pipeline.comparison import Compared, Comparison, Reason
from jitprov.pipeline.plans import plan_of, written
from jitprov.rules.engine import RuleBook
from jitprov.settings import settings
from jitprov.wiring import Services, make_overview, make_services

Users = Annotated[
    list[str] | None,
    typer.Argument(metavar="USER...", help="User ids, or any ids or addresses.", show_default=False),
]
_SIGNS = {"take": "-", "give": "+", "make": "+"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operations")(plan)


@dataclass(frozen=True, slots=True)
class Totals:
    """What a plan comes to.

    Attributes:
        agents: Looked at.
        differ: Who differ.
        changes: Things that differ.
        calls: That change them, those for many shared as far as the API allows.
        looks: Calls with which the steps look again before they change.
        minutes: Until the last is as the rules want, under the budget, nobody else coming.
    """

    agents: int
    differ: int
    changes: int
    calls: int
    looks: int
    minutes: float


def plan(
    users: Users = None,
    department: OfDepartment = "",
    file: File = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="Keep the plan in a file, for `jitprov apply`.", show_default=False)
    ] = None,
    json_: Json = False,
) -> None:
    """Show what would change so that agents have what the rules say, call by call; nothing is changed.

    Costs a few calls of the shared budget for each agent.

    Example: jitprov plan --department Seasonal_Retail --out plan.json, then jitprov apply plan.json
    """
    if bool(users) == bool(department):
        end_with_error("name users, or a --department", Exit.USAGE)
    book = chosen_book(file)
    kept = make_services(settings())
    ledger = make_overview(kept.settings)
    if users:
        listed = scope.named(kept.holdings, ledger, users)
    else:
        listed = scope.of_department(kept.holdings, ledger, book, department)
    compared = comparison_of(kept, book).compare(listed, thorough=True)
    totals = totals_of(compared, kept)
    if to:
        made = plan_of(
            compared,
            kept.seals,
            organization=organization_key(kept.settings),
            rules_version=book.rules_version,
            made_at=ledger.ping(),
        )
        _keep(to, written(made))
    if json_:
        told = {"agents": [as_json(each) for each in compared], "calls": calls_as_json(compared)}
        emit_json(
            "plan", rules_version=book.rules_version, totals=asdict(totals), read=kept.holdings.calls_made, **told
        )
        return
    for each in compared:
        print_compared(each)
    print_totals(totals, compared)
    if to:
        err.print(f"Next: jitprov apply {escape(str(to))}", soft_wrap=True)


def comparison_of(kept: Services, book: RuleBook) -> Comparison:
    """Return what compares agents with rules."""
    return Comparison(book, kept.catalogue, kept.belongings, kept.actual_reader(), kept.ledger.memories)


def totals_of(compared: Sequence[Compared], kept: Services) -> Totals:
    """Return what differs in all, and what it takes."""
    differ = [each for each in compared if each.difference]
    calls = calls_together({each.user_id: each.difference for each in differ})
    looks = sum(looks_at(each.wanted) for each in differ if each.wanted)
    pace = pace_of(kept.settings, kept.cache)()
    paused_s = kept.budget.state().paused_s * kept.settings.time_scale
    foretold = time_for([each.difference for each in differ], looks, pace.allowance, pace.stations, paused_s=paused_s)
    return Totals(
        agents=len(compared),
        differ=len(differ),
        changes=sum(len(each.difference.changes) for each in differ),
        calls=sum(map(len, calls.values())),
        looks=looks,
        minutes=round(foretold.last_s / 60, 1),
    )


def as_json(each: Compared) -> dict[str, Any]:
    """Return an agent's difference as plain values."""
    changes = [
        {"what": change.what, "name": change.name, "how": change.how, "before": change.before, "after": change.after}
        | asdict(reason)
        for change, reason in zip(each.difference.changes, each.reasons, strict=True)
    ]
    told: dict[str, Any] = {
        "user_id": each.user_id,
        "name": each.listed.profile.name,
        "rules": each.wanted.rules if each.wanted else [],
        "changes": changes,
        "calls": [asdict(call) for call in each.difference.calls],
        "unseen": each.difference.unseen,
    }
    if each.error:
        told["error"] = {"code": each.error.code, "message": each.error.message, "remedy": each.error.remedy}
    return told


def calls_as_json(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return the calls of all, each with the agents that it serves."""
    calls = calls_together({each.user_id: each.difference for each in compared})
    return [
        {"method": call.method, "route": call.route, "thing": call.thing, "user_ids": users}
        for call, served in calls.items()
        for users in served
    ]


def print_compared(each: Compared, *, quiet: bool = False) -> None:
    """Print how one agent differs; with `quiet` nothing of those who do not."""
    profile = each.listed.profile
    who = escape(f"{profile.name or 'no name'}  {profile.user_id}")
    if each.error:
        out.print(f"[bold red]?[/] {who}: {escape(each.error.message)}. {escape(each.error.remedy)}", soft_wrap=True)
        return
    if not each.difference:
        if not quiet:
            out.print(f"[green]=[/] {who}: as the rules want", soft_wrap=True)
        return
    out.print(f"[bold]{who}[/]", soft_wrap=True)
    for change, reason in zip(each.difference.changes, each.reasons, strict=True):
        out.print(f"    {_line(change, reason)}", soft_wrap=True)
    shown = dict.fromkeys(f"{call.method} {call.route}" for call in each.difference.calls)
    for route in shown:
        of_route = [call for call in each.difference.calls if f"{call.method} {call.route}" == route]
        times = f", {len(of_route)} times" if len(of_route) > 1 else ""
        shared = f", shared by up to {of_route[0].agents_max} agents" if of_route[0].agents_max > 1 else ""
        out.print(f"    [dim]{escape(route)}{times}{shared}[/]", soft_wrap=True)


def _line(change: Change, reason: Reason) -> str:
    sign = _SIGNS.get(change.how, "~")
    values = " → ".join(part for part in (change.before, change.after) if part and part != change.name)
    because = (
        f"  [dim]({escape(reason.rule)}{f', line {reason.line}' if reason.line else ''})[/]" if reason.rule else ""
    )
    return f"{sign} {change.what} {escape(change.name)}{f': {escape(values)}' if values else ''}{because}"


def print_totals(totals: Totals, compared: Sequence[Compared]) -> None:
    """Print what it comes to."""
    unmatched = sum(each.error is not None for each in compared)
    out.print(
        f"{totals.differ} of {agents(totals.agents)} differ"
        f"{f', {unmatched} have no wanted state' if unmatched else ''}: {number(totals.changes)} changes by "
        f"{number(totals.calls)} calls, and up to {number(totals.looks)} more to look again before; about "
        f"{totals.minutes:g} minutes under the budget",
        soft_wrap=True,
    )


def _keep(path: Path, raw: bytes) -> None:
    try:
        path.write_bytes(raw)
    except OSError as error:
        end_with_error(f"{escape(str(path))} cannot be written ({error.strerror})", Exit.USAGE)
