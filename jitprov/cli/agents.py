"""Agents: `list`, `show`, `send`."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from jitprov.cli.causes import fix_of, print_causes
from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.cli.wanted import AnyId, AtStep, Failed, OfDepartment, Since, WithError, wanted_of
from jitprov.domain.events import Kind
from jitprov.domain.ids import is_uuid
from jitprov.domain.provisioning import COMES_AFTER, Provisioning, State, StepRecord, StepState
from jitprov.domain.view import describe
from jitprov.errors import ConfigurationError
from jitprov.ledger.overview import Filter, Overview
from jitprov.settings import settings
from jitprov.wiring import make_ledger, make_overview

_WIDE_COLUMNS = 110
_KINDS = {
    Kind.CHANGE: "by difference: something of the agent changed",
    Kind.RETURN: "by difference: the agent was restored",
    Kind.CLEANUP: "takes away what jitprov gave: jitprov cleanup",
    Kind.UNDO: "gives back what was taken: jitprov cleanup --undo",
}
_COLOURS = {State.READY: "green", State.FAILED: "bold red", State.WAITING: "yellow", State.RUNNING: "cyan"}


def register(app: typer.Typer) -> None:
    """Add these commands."""
    panel = "Agents"
    app.command("list", rich_help_panel=panel)(list_agents)
    app.command(rich_help_panel=panel)(show)
    app.command(rich_help_panel=panel)(send)


def _coloured(state: State) -> str:
    return f"[{_COLOURS.get(state, 'default')}]{state}[/]"


def _why(record: Provisioning) -> str:
    if record.failure:
        return record.failure.code
    if record.state is State.WAITING:
        return f"waits: {record.waiting_for}"
    return ""


def list_agents(
    state: Annotated[list[State] | None, typer.Option("--state", "-s", help="Only in this state; repeatable.")] = None,
    failed: Failed = False,
    step: AtStep = None,
    error: WithError = "",
    department: OfDepartment = "",
    text: Annotated[str, typer.Option(help="Words in name, address or user id.", show_default=False)] = "",
    since: Since = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most this many.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Leave out the first.")] = 0,
    json_: Json = False,
) -> None:
    """Agents by state, step, error, department or words, and failures by cause, with the fix.

    Who is not ready comes before who is; among both, who was accepted first.

    Example: jitprov list --failed --department Seasonal_Retail
    """
    ledger = make_overview(settings())
    states = dict.fromkeys([*(state or ()), *([State.FAILED] if failed else [])])
    wanted = wanted_of(
        list(states), step=step, error=error, department=department, text=text, since=since, ping=ledger.ping
    )
    counts = ledger.count()
    records = _not_ready_first(ledger, wanted, offset + limit)[offset:]
    meant = replace(wanted, states=(State.FAILED,))
    causes = ledger.causes(meant) if counts[State.FAILED] and State.FAILED in (wanted.states or State) else ()
    if json_:
        told = [asdict(cause) | {"fix": fix_of(cause, causes)} for cause in causes]
        emit_json("list", counts=counts, provisionings=[describe(record) for record in records], causes=told)
        return
    if records:
        out.print(_list_table(records))
    elif any(counts.values()):
        err.print("nobody matches")
    if len(records) == limit:
        err.print(f"{limit} shown; more with --offset {offset + limit}")
    err.print("  ".join(f"{_coloured(held)} {number}" for held, number in counts.items() if number) or "no agents yet")
    if causes:
        print_causes(causes)
        err.print("Next: jitprov show ID; or retry all with one cause, as named above")


def _not_ready_first(ledger: Overview, wanted: Filter, limit: int) -> list[Provisioning]:
    states = wanted.states or tuple(State)
    found: list[Provisioning] = []
    for part in (
        [state for state in states if state is not State.READY],
        [State.READY] if State.READY in states else [],
    ):
        if part and len(found) < limit:
            found += ledger.search(replace(wanted, states=tuple(part)), limit=limit - len(found)).records
    return found


def _list_table(records: Sequence[Provisioning]) -> Table:
    # The id that `show` and `retry` take stays whole; the cause is a word, `show` has the sentence. A narrow screen
    # keeps who, which id and why, and goes without step and instant.
    wide = out.width >= _WIDE_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in (("state", 9), ("step", 14), ("accepted", 8), ("task id", 36)):
        if wide or column in {"state", "task id"}:
            table.add_column(column, no_wrap=True, min_width=width)
    table.add_column("why", overflow="fold", min_width=12)
    table.add_column("agent", overflow="ellipsis", no_wrap=True)
    for record in records:
        profile = record.findings.profile
        table.add_row(
            _coloured(record.state),
            *((record.step, f"{record.accepted_at:%H:%M:%S}") if wide else ()),
            record.task_id(),
            escape(_why(record)),
            escape(profile.name) if profile else "",
        )
    return table


def show(any_id: AnyId, json_: Json = False) -> None:
    """One agent: its steps, also those to come, with attempts, times, errors and remedies.

    Example: jitprov show robin@example.test
    """
    record = make_ledger(settings()).find(any_id)
    if record is None:
        end_with_error(f"nothing is known by {escape(any_id)}. Try: jitprov list", Exit.ERROR)
    if json_:
        emit_json("provisioning", provisioning=describe(record))
        return
    _print_record(record)


def _met(held: StepRecord) -> str:
    if held.failure is None:
        return ""
    status = f" (HTTP {held.failure.http_status})" if held.failure.http_status else ""
    # What a step met on a way that ended well is history, not an error.
    met = "met on the way: " if held.state is StepState.DONE else ""
    return f"{met}{held.failure.code}{status}"


def _print_record(record: Provisioning) -> None:
    profile = record.findings.profile
    who = (
        f"{profile.name} <{profile.email}>, {profile.department or 'no department'}"
        if profile
        else "profile not read yet"
    )
    out.print(f"{_coloured(record.state)}  {escape(who)}")
    out.print(f"user {record.user_id}  provisioning {record.provisioning_id}  event {record.event_id}", soft_wrap=True)
    times = f"accepted {record.accepted_at:%Y-%m-%d %H:%M:%S} UTC"
    if record.ended_at:
        times += f", {record.state} {(record.ended_at - record.accepted_at).total_seconds():.1f} s later"
    out.print(f"{times}, run {record.generation}, republished {record.republished} times", soft_wrap=True)
    _print_place(record)
    # As in `list`: the id stays whole, and a narrow screen keeps the reason and goes without the figures.
    wide = out.width >= _WIDE_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("step", "state", *(("attempts", "took") if wide else ()), "task id"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it met", overflow="fold")
    for step in record.corridor:
        held = record.steps[step]
        took = f"{(held.ended_at - held.began_at).total_seconds():.1f} s" if held.ended_at and held.began_at else ""
        figures = (str(held.attempts), took) if wide else ()
        table.add_row(step, held.state, *figures, record.task_id(step), _met(held))
    out.print(table)
    wanted = record.findings.wanted
    if wanted:
        skills = ", ".join(f"{skill.name} {skill.proficiency:g}" for skill in wanted.skills) or "none"
        by = ", ".join(map(escape, wanted.rules)) or "defaults"
        version = f" (rules version {wanted.rules_version})" if wanted.rules_version else ""
        out.print(f"rules {by}{version}: skills {escape(skills)}", soft_wrap=True)
        for each in wanted.left_out:
            out.print(f"[yellow]left out[/] {escape(each)}", soft_wrap=True)
    if record.state is State.WAITING and record.not_before:
        out.print(f"waits for {record.waiting_for} until {record.not_before:%H:%M:%S} UTC")
    if record.failure:
        out.print(f"[bold red]{escape(record.failure.told(record.task_id()))}[/]", soft_wrap=True)
        helps = "retrying may help" if record.failure.retry_helps else "retrying helps only after it is mended"
        err.print(f"{helps}. Next: jitprov retry {record.task_id()}", soft_wrap=True)


def _print_place(record: Provisioning) -> None:
    """Say what it is for, and how it stands to others of the same agent."""
    if record.kind is not Kind.NEW:
        out.print(_KINDS[record.kind])
    if record.superseded_by:
        out.print(f"a later one took over: {record.superseded_by}")
    if record.after and record.waiting_for == COMES_AFTER:
        out.print(f"waits for {record.after} to end")
    if record.findings.taken:
        taken = ", ".join(f"{count} {name}" for name, count in record.findings.taken.counted().items())
        out.print(f"taken away: {taken}")


def send(
    user_id: Annotated[str | None, typer.Argument(help="Genesys user id; sends the reduced event shape.")] = None,
    file: Annotated[Path | None, typer.Option(help="A JSON file with an event, or an array of them.")] = None,
    url: Annotated[str, typer.Option(help="The receiver; this machine's when unset.")] = "",
    json_: Json = False,
) -> None:
    """Post an event to the receiver, as EventBridge would, with the webhook key of the settings.

    Example: jitprov send 92d2d43f-b8ba-4273-81a2-5f30ff1596b6
    """
    chosen = settings()
    if file:
        try:
            body = file.read_bytes()
        except OSError as error:
            end_with_error(f"{escape(str(file))} cannot be read ({error.strerror})", Exit.USAGE)
    elif user_id and is_uuid(user_id.lower()):
        body = json.dumps({"detail": {"action": "Create", "entity": {"id": user_id.lower()}}}).encode()
    else:
        end_with_error("name a Genesys user id (a UUID), or --file with an event", Exit.USAGE)
    if not chosen.webhook_keys:
        msg = "no webhook key: set JITPROV_WEBHOOK_KEY as the receiver has it"
        raise ConfigurationError(msg)
    target = url or f"http://{chosen.receiver_host}:{chosen.receiver_port}/events"
    status, answer = _post(target, body, {chosen.webhook_header: chosen.webhook_keys[0]})
    if json_:
        emit_json("sent", status=status, answer=answer)
    else:
        out.print(f"{status} {escape(json.dumps(answer))}", soft_wrap=True)
        if status == HTTPStatus.ACCEPTED and user_id:
            err.print(f"Next: jitprov show {user_id.lower()}")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        leave(Exit.DEPENDENCY_DOWN)
    if status >= HTTPStatus.BAD_REQUEST:
        leave(Exit.ERROR)


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    if not url.startswith(("http://", "https://")):
        end_with_error("--url: an http:// or https:// address", Exit.USAGE)
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})  # noqa: S310  checked above
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, _read(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _read(error.read())
    except OSError:
        end_with_error(f"the receiver at {escape(url)} does not answer. Is it up? jitprov doctor", Exit.DEPENDENCY_DOWN)


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # something else answers there
        return text.decode(errors="replace")
