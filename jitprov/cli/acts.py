"""What an operator does to agents, one or all that match: `retry`, `cancel`; and the log of it: `actions`.

An id is acted on at once: naming it is the decision, and both acts are harmless for any. A filter is previewed, and
acted on with --yes. Each act is noted with who, when and why, where the board notes its own.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from jitprov.cli.noted import By, Shown, act_as_json, act_on_many, act_on_one
from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, out
from jitprov.cli.wanted import (
    AnyIdOrNone,
    AtStep,
    Cancelled,
    Failed,
    OfDepartment,
    Since,
    Who,
    Why,
    WithError,
    Yes,
    wanted_of,
)
from jitprov.desk.pace import pace_of
from jitprov.desk.words import agents, number, span
from jitprov.domain.provisioning import State
from jitprov.ledger.overview import Filter, Overview
from jitprov.pipeline.outlook import Pace
from jitprov.settings import Settings, settings
from jitprov.wiring import make_budget, make_cache, make_overview


def register(app: typer.Typer) -> None:
    """Add these commands."""
    panel = "Agents"
    app.command(rich_help_panel=panel)(retry)
    app.command(rich_help_panel=panel)(cancel)
    app.command(rich_help_panel=panel)(actions)


def retry(
    any_id: AnyIdOrNone = None,
    failed: Failed = False,
    cancelled: Cancelled = False,
    step: AtStep = None,
    error: WithError = "",
    department: OfDepartment = "",
    since: Since = "",
    yes: Yes = False,
    why: Why = "",
    who: Who = "",
    json_: Json = False,
) -> None:
    """Resume failed agents at the step where they failed, one by any id or all that match; harmless for any other.

    The id may be that of the failed task, copied from Flower. Done steps are not run again, there is never a second
    phone, and the API budget paces the rest. A filter shows the agents, calls and minutes it means; --yes does it.

    Example: jitprov retry --error skill_unknown --why "Holiday was misspelt" --yes
    """
    from jitprov.pipeline import operations  # noqa: PLC0415  with Celery, which is slow to load
    from jitprov.pipeline.chain import enqueue_again  # noqa: PLC0415  Celery only where it is used
    from jitprov.pipeline.retry_all import Retrying, retried_by  # noqa: PLC0415

    states = [state for state, named in ((State.FAILED, failed), (State.CANCELLED, cancelled)) if named]
    chosen, by = settings(), By(who, why)
    ledger, grace_s, settle_s = make_overview(chosen), chosen.message_grace_s, chosen.settle_s / chosen.time_scale
    given = wanted_of(states, step=step, error=error, department=department, since=since, ping=ledger.ping)
    wanted = _asked(any_id, given)
    if any_id:
        answer = operations.retry(ledger, enqueue_again, any_id, grace_s=grace_s, settle_s=settle_s)
        act_on_one(ledger, "retry", answer, by, json_=json_)
        return
    wanted = retried_by(wanted)
    retrying = Retrying(ledger, enqueue_again, grace_s, settle_s)
    act_on_many(retrying, wanted, _preview_retry(ledger, wanted, chosen), by, yes=yes, json_=json_)


def _preview_retry(ledger: Overview, wanted: Filter, chosen: Settings) -> Shown:
    from jitprov.pipeline.retry_all import preview  # noqa: PLC0415

    meter = make_budget(chosen).state()
    seen = preview(ledger, wanted, _pace(chosen).at(meter.limit_per_min), paused_s=meter.paused_s)
    last_s = (seen.last_at - seen.at).total_seconds() if seen.agents else 0.0
    told = {
        "filter": wanted.told(),
        "agents": seen.agents,
        "calls": seen.calls,
        "minutes": round(last_s / 60, 1),
        "last_at": seen.last_at,
        "hopeless": seen.hopeless,
        "causes": [asdict(cause) for cause in seen.causes],
    }
    sentence = f"{agents(seen.agents)} ({wanted.told()})"
    if seen.agents:
        sentence += (
            f": about {number(seen.calls)} API calls; the last of them and of those under way is ready in about "
            f"{span(last_s)}"
        )
    return Shown("retry", seen.agents, told, sentence, seen.causes)


def cancel(
    any_id: AnyIdOrNone = None,
    failed: Failed = False,
    step: AtStep = None,
    error: WithError = "",
    department: OfDepartment = "",
    since: Since = "",
    yes: Yes = False,
    why: Why = "",
    who: Who = "",
    json_: Json = False,
) -> None:
    """End agents' provisionings on purpose, one by any id or all that match; what was made stays made.

    A filter means those under way, with --failed those that failed; it shows how many; --yes does it.

    Example: jitprov cancel --department Seasonal_Retail --why "wrong file from HR" --yes
    """
    from jitprov.pipeline import operations  # noqa: PLC0415
    from jitprov.pipeline.cancel_all import cancelled_by, cancelling  # noqa: PLC0415

    states = [State.FAILED] if failed else []
    chosen, by = settings(), By(who, why)
    ledger, grace_s = make_overview(chosen), chosen.message_grace_s
    given = wanted_of(states, step=step, error=error, department=department, since=since, ping=ledger.ping)
    wanted = _asked(any_id, given)
    if any_id:
        act_on_one(ledger, "cancel", operations.cancel(ledger, any_id, grace_s=grace_s), by, json_=json_)
        return
    wanted = cancelled_by(wanted)
    shown = _preview_cancel(ledger, wanted, chosen)
    act_on_many(cancelling(ledger, grace_s=grace_s), wanted, shown, by, yes=yes, json_=json_)


def _preview_cancel(ledger: Overview, wanted: Filter, chosen: Settings) -> Shown:
    from jitprov.pipeline.cancel_all import preview_cancel  # noqa: PLC0415

    seen = preview_cancel(ledger, wanted, _pace(chosen))
    steps = {str(step): count for step, count in seen.steps.items()}
    told = {"filter": wanted.told(), "agents": seen.agents, "calls": seen.calls, "steps": steps}
    sentence = f"{agents(seen.agents)} ({wanted.told()})"
    if seen.agents:
        where = ", ".join(f"{count} at {step}" for step, count in steps.items())
        sentence += f": {where}; about {number(seen.calls)} API calls are spared; what was made stays made"
    return Shown("cancel", seen.agents, told, sentence)


def _pace(chosen: Settings) -> Pace:
    return pace_of(chosen, make_cache(chosen))()


def _asked(any_id: str | None, wanted: Filter) -> Filter:
    """Return the filter; end the command when nobody is named, or an id beside a filter."""
    if any_id and wanted != Filter():
        end_with_error("name an id or a filter, not both", Exit.USAGE)
    if not any_id and wanted == Filter():
        end_with_error(
            "name whom: an id, or --failed, --step, --error, --department, --since. Try: jitprov list",
            Exit.USAGE,
        )
    return wanted


def actions(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many.")] = 20, json_: Json = False
) -> None:
    """What operators did on board and command line, newest first: who, when, what, to whom, why, and what became of it.

    Example: jitprov actions --limit 50
    """
    acts = make_overview(settings()).acts(limit=limit)
    if json_:
        emit_json("actions", actions=[act_as_json(act) for act in acts])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("at (UTC)", no_wrap=True)
    for column in ("who", "what", "whom", "why", "what became of it"):
        table.add_column(column, overflow="fold")
    for act in acts:
        became = act.outcome if act.finished else f"{act.outcome} …"
        told = (escape(each) for each in (act.who, act.what, act.whom, act.why, became))
        table.add_row(f"{act.at:%Y-%m-%d %H:%M:%S}", *told)
    out.print(table)
    if not acts:
        err.print("nobody has done anything yet")
