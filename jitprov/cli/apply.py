"""`apply`: do what a plan showed, through the same corridor and budget; refuse when the world has moved since."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from jitprov.cli.noted import By, act_as_json
from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.cli.plan import Totals, comparison_of, print_totals, totals_of
from jitprov.cli.wanted import Who, Why, Yes
from jitprov.desk.words import agents
from jitprov.genesys.organization import organization_key
from jitprov.genesys.shelf import Shelf
from jitprov.ledger.overview import Act, Overview
from jitprov.pipeline.comparison import Compared
from jitprov.pipeline.plans import BYTES_MAX, Moved, Plan, PlanUnusable, read_plan, what_moved
from jitprov.rules.loader import load_rules
from jitprov.settings import settings
from jitprov.wiring import Services, make_overview, make_services

_MOVED_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operations")(apply)


def apply(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `jitprov plan --out` wrote.")],
    yes: Yes = False,
    why: Why = "",
    who: Who = "",
    json_: Json = False,
) -> None:
    """Do what a plan showed; refuse when agents, rules or organization are not as they were when it was made.

    Compares anew first, by reads alone. Exit code 4 when something moved: nothing is changed then.

    Example: jitprov apply plan.json --yes --why "spring season"
    """
    made = _plan(plan)
    kept = make_services(settings())
    ledger = make_overview(kept.settings)
    book = load_rules(kept.settings.rules_file)
    listed = list(kept.holdings.users([each.user_id for each in made.agents]))
    compared = comparison_of(kept, book).compare(listed, thorough=True)
    moved = what_moved(
        made,
        compared,
        kept.seals,
        organization=organization_key(kept.settings),
        rules_version=book.rules_version,
    )
    totals = totals_of(compared, kept)
    if moved:
        _refuse(moved, json_=json_)
    if not json_:
        print_totals(totals, compared)
    act = None
    if made.agents and agreed(f"Change {agents(totals.differ)}?", yes=yes, json_=json_):
        by = By(who, why)
        act = act_on(ledger, compared, "apply", f"the plan of {made.made_at}", by, kept)
    _tell(act, totals, json_=json_)


def agreed(question: str, *, yes: bool, json_: bool) -> bool:
    """Return whether it shall be done: as told, or as somebody at a terminal says."""
    if yes or json_ or not sys.stdin.isatty():
        return yes
    return typer.confirm(question, err=True)


def act_on(ledger: Overview, compared: Sequence[Compared], what: str, whom: str, by: By, kept: Services) -> Act:
    """Have those who differ provisioned anew, and note it."""
    from jitprov.pipeline.chain import enqueue  # noqa: PLC0415  Celery only where it is used
    from jitprov.pipeline.mending import mend  # noqa: PLC0415  with it

    differ = [each.user_id for each in compared if each.difference]
    return mend(
        ledger,
        enqueue,
        Shelf(kept.cache, kept.clock, kept.settings),
        differ,
        what=what,
        whom=f"{agents(len(differ))} of {whom}",
        who=by.name(),
        why=by.reason(),
        look_after_s=kept.settings.message_grace_s,
    )


def _tell(act: Act | None, totals: Totals, *, json_: bool) -> None:
    """Tell what was done, and what comes next."""
    if json_:
        emit_json("apply", done=act is not None, totals=asdict(totals), act=act and act_as_json(act), moved=[])
    elif act:
        out.print(escape(act.outcome), soft_wrap=True)
        err.print("Next: jitprov top; jitprov actions keeps what was done")
    elif not totals.differ:
        err.print("nobody differs: nothing to do")
    else:
        err.print("Nothing was changed. Next: the same with --yes, and --why for the log of acts")


def _plan(path: Path) -> Plan:
    try:
        with path.open("rb") as file:
            return read_plan(file.read(BYTES_MAX + 1))
    except OSError as error:
        end_with_error(f"{escape(str(path))} cannot be read ({error.strerror})", Exit.USAGE)
    except PlanUnusable as error:
        end_with_error(f"{escape(str(path))}: {escape(str(error))}", Exit.ERROR)


def _refuse(moved: Sequence[Moved], *, json_: bool) -> None:
    if json_:
        emit_json("apply", done=False, moved=[asdict(each) for each in moved])
    else:
        for each in moved[:_MOVED_SHOWN]:
            out.print(f"[bold red]moved[/] {escape(f'{each.user_id} {each.what}'.strip())}", soft_wrap=True)
        more = f"{len(moved) - _MOVED_SHOWN} more. " if len(moved) > _MOVED_SHOWN else ""
        err.print(f"{more}Nothing was changed. Next: make the plan anew, jitprov plan … --out FILE", soft_wrap=True)
    leave(Exit.DIFFERENCES)
