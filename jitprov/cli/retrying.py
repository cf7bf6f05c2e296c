"""`retry`: one agent by any id, or all that match a filter, always after a preview."""

from __future__ import annotations

import getpass
import re
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

import typer
from rich.markup import escape

from jitprov.cli.output import Exit, Json, emit_json, end_with_error, leave, out, say
from jitprov.domain.provisioning import State, Step
from jitprov.domain.view import describe
from jitprov.ledger.overview import Act, Filter, Overview
from jitprov.pipeline.operations import Verdict
from jitprov.pipeline.operations import retry as retry_one
from jitprov.pipeline.retry_all import Preview, Retrying, preview
from jitprov.settings import Settings, settings
from jitprov.wiring import make_budget, make_cache, make_overview

_AGO = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel="Agents")(retry)


def retry(  # noqa: PLR0913, PLR0917  each is an option
    any_id: Annotated[
        str | None,
        typer.Argument(
            help="Task id of any step, provisioning, user or event id, or e-mail address.", show_default=False
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed.")] = False,
    step: Annotated[Step | None, typer.Option(help="All that failed at this step.")] = None,
    error: Annotated[str, typer.Option(help="All that failed with this code, such as skill_unknown.")] = "",
    department: Annotated[str, typer.Option(help="All that failed of this department.")] = "",
    since: Annotated[str, typer.Option(help="Accepted since then: 30m, 2h, 1d, or an instant with its zone.")] = "",
    why: Annotated[str, typer.Option(help="The reason, for the log of acts.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json_: Json = False,
) -> None:
    """Resume failed agents at the failed step and finish the rest; harmless for any other.

    One by any id, copied from Flower perhaps, or all that match a filter, after a preview. Done steps are not run
    again, there is never a second phone, and the calls come from the same budget.

    \b
    Example: jitprov retry 92d2d43f-b8ba-4273-81a2-5f30ff150014
    Example: jitprov retry --error skill_unknown --why "mended rules.yaml"
    """
    chosen = settings()
    ledger = make_overview(chosen)
    wants_many = failed or step or error or department or since
    if any_id and wants_many:
        end_with_error("name an id or a filter, not both", Exit.USAGE)
    if any_id:
        _retry_one(ledger, chosen, any_id, why, json_=json_)
    elif wants_many:
        wanted = Filter((State.FAILED,), step, error, department, since=_instant(since, ledger) if since else None)
        _retry_all(ledger, chosen, wanted, why, yes=yes, json_=json_)
    else:
        end_with_error("name whom: an id, or --failed, --step, --error, --department, --since", Exit.USAGE)


def _retry_one(ledger: Overview, chosen: Settings, any_id: str, why: str, *, json_: bool) -> None:
    from jitprov.pipeline.chain import enqueue_again  # noqa: PLC0415  Celery only where it is used

    settle_s = chosen.settle_s / chosen.time_scale
    answer = retry_one(ledger, enqueue_again, any_id, grace_s=chosen.message_grace_s, settle_s=settle_s)
    if answer.record:
        whom = answer.record.provisioning_id
        ledger.note(Act(uuid4().hex, ledger.ping(), _who(), "retry", whom, why, answer.text))
    if json_:
        record = describe(answer.record) if answer.record else None
        emit_json("answer", verdict=answer.verdict, text=answer.text, provisioning=record)
    elif answer.verdict is Verdict.UNKNOWN:
        end_with_error(escape(answer.text), Exit.ERROR)
    else:
        out.print(escape(answer.text), soft_wrap=True)
    if answer.verdict in {Verdict.UNKNOWN, Verdict.REFUSED}:
        leave(Exit.ERROR)


def _retry_all(ledger: Overview, chosen: Settings, wanted: Filter, why: str, *, yes: bool, json_: bool) -> None:
    from jitprov.desk.pace import pace_of  # noqa: PLC0415  only what a preview needs
    from jitprov.pipeline.chain import enqueue_again  # noqa: PLC0415  Celery only where it is used

    meter = make_budget(chosen).state()
    pace = pace_of(chosen, make_cache(chosen))().at(meter.limit_per_min)
    seen = preview(ledger, wanted, pace, paused_s=meter.paused_s)
    if not json_:
        _show(seen)
    if not seen.agents:
        if json_:
            emit_json("retry", preview=_plain(seen), act=None)
        return
    if not yes and (json_ or not sys.stdin.isatty()):
        if json_:
            emit_json("retry", preview=_plain(seen), act=None)
        say("nothing was done; the same with --yes does it")
        return
    if not yes and not typer.confirm(f"Retry {seen.agents}?", err=True):
        leave(Exit.ERROR)
    retrying = Retrying(ledger, enqueue_again, chosen.message_grace_s, chosen.settle_s / chosen.time_scale)
    act = retrying.begin(wanted, who=_who(), why=why)
    done = retrying.go_on(act, wanted, told=lambda now: None if json_ else say(escape(now.outcome)))
    if json_:
        emit_json("retry", preview=_plain(seen), act=asdict(done))
    else:
        out.print(escape(done.outcome))
        say("Next: jitprov list, or the board")


def _show(seen: Preview) -> None:
    minutes = (seen.last_at - seen.at) / timedelta(minutes=1)
    if not seen.agents:
        out.print("nobody matches")
        return
    out.print(
        f"{seen.agents} agents, {seen.calls} calls, {minutes:.1f} min until the last is ready, those under way included"
    )
    for cause in seen.causes:
        helps = "" if cause.retry_helps else " [bold red]fails again unless mended:[/]"
        remedy = cause.remedy.replace("jitprov retry ID", f"jitprov retry --error {cause.code}")
        text = f"{cause.count} agents at {cause.step}: {cause.code}: {cause.message}"
        say(f"{escape(text)};{helps} {escape(remedy)}")


def _plain(seen: Preview) -> dict[str, object]:
    content = asdict(seen)
    return {name: content[name] for name in ("agents", "calls", "last_at", "causes")} | {"hopeless": seen.hopeless}


def _instant(text: str, ledger: Overview) -> datetime:
    if ago := _AGO.fullmatch(text):
        return ledger.ping() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    at = None
    with suppress(ValueError):
        at = datetime.fromisoformat(text)
    if at is None or at.tzinfo is None:
        end_with_error("--since: 30m, 2h, 1d, or an instant with its zone such as 2026-11-23T09:00:00Z", Exit.USAGE)
    return at.astimezone(UTC)


def _who() -> str:
    try:
        return f"{getpass.getuser()}, command line"
    except (KeyError, OSError):  # a container's user without a name
        return "command line"
