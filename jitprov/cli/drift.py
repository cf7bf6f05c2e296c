"""`drift`: who is not as the rules want, and whose roles the identity provider does not assert; `--fix` mends it."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from jitprov.cli import scope
from jitprov.cli.apply import act_on, agreed
from jitprov.cli.noted import By, act_as_json
from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.cli.plan import as_json, comparison_of, print_compared, print_totals, totals_of
from jitprov.cli.rules import File, chosen_book
from jitprov.cli.wanted import OfDepartment, Who, Why, Yes
from jitprov.desk.words import agents
from jitprov.domain.asserted_roles import RoleFinding
from jitprov.domain.report import as_cell
from jitprov.identity.assignments import BYTES_MAX, AssignmentsUnreadable, read_assignments
from jitprov.pipeline.comparison import changes_with_reasons
from jitprov.pipeline.drift import Asserted, Drift, role_findings
from jitprov.settings import settings
from jitprov.wiring import make_overview, make_services

_COLUMNS = ("user_id", "name", "department", "what", "thing", "how", "before", "after", "rule", "line", "text")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operations")(drift)


def drift(
    department: OfDepartment = "",
    expected: Annotated[
        Path | None,
        typer.Option(
            "--expected",
            help="CSV or JSON export of role assignments from the identity provider, in place of `expected_roles`.",
            show_default=False,
        ),
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough", help="Also ask what only single agents tell: utilization, and the divisions of roles."
        ),
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Have those who differ provisioned anew; shows it, and does it with --yes.")
    ] = False,
    yes: Yes = False,
    why: Why = "",
    who: Who = "",
    file: File = None,
    csv_: Annotated[
        Path | None, typer.Option("--csv", help="Write one row per finding to this file; - for standard output.")
    ] = None,
    json_: Json = False,
) -> None:
    """Compare all active agents with the rules, and their roles with what the identity provider asserts.

    Exit code 4 when something differs. Costs about 20 calls of the shared budget for 1,000 agents, and with --thorough
    up to two more for each whose rules name utilization or roles.

    --fix mends what the rules want through the same corridor and budget; roles that go are for the identity provider.

    Example: jitprov drift --department Seasonal_Retail --csv drift.csv, then jitprov drift --fix --yes
    """
    if fix and file:
        end_with_error("--fix follows the rules of the workers: leave --file out, or put the file in force", Exit.USAGE)
    asserted = _asserted(expected) if expected else None
    book = chosen_book(file)
    kept = make_services(settings())
    ledger = make_overview(kept.settings)
    if department:
        listed = scope.of_department(kept.holdings, ledger, book, department)
    else:
        listed = list(kept.holdings.active_users())
    compared = comparison_of(kept, book).compare(listed, thorough=thorough)
    found = Drift(compared, role_findings(compared, book, asserted), kept.holdings.calls_made)
    unseen = sorted({what for each in compared for what in each.difference.unseen})
    if csv_:
        _write(csv_, _rows(found))
    totals = totals_of(compared, kept)
    if not json_ and csv_ != Path("-"):
        _print(found, unseen)
        print_totals(totals, compared)
    act = None
    if fix and found.differing and agreed(f"Change {agents(totals.differ)}?", yes=yes, json_=json_):
        whom = f"{agents(len(compared))} looked at{f' of department {department}' if department else ''}"
        act = act_on(ledger, compared, "fix", whom, By(who, why), kept)
    if json_:
        emit_json(
            "drift",
            done=act is not None,
            act=act and act_as_json(act),
            totals=asdict(totals),
            rules_version=book.rules_version,
            counts=found.counts(),
            calls=found.calls,
            calls_per_1000_agents=found.calls_per_1000,
            unseen=unseen,
            agents=[as_json(each) for each in compared if each.difference or each.error or each in found.doubled],
            roles=[asdict(finding) for finding in found.roles],
        )
    elif act:
        out.print(escape(act.outcome), soft_wrap=True)
        err.print("Next: jitprov top, then jitprov drift again")
    elif found.differing:
        err.print(f"Nothing was changed. Next: jitprov drift --fix{' --yes' if fix else ''}", soft_wrap=True)
    if found:
        leave(Exit.DIFFERENCES)


def _asserted(path: Path) -> Asserted:
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
        return read_assignments(raw, path.name)
    except OSError as error:
        end_with_error(f"{escape(str(path))} cannot be read ({error.strerror})", Exit.USAGE)
    except AssignmentsUnreadable as error:
        end_with_error(escape(str(error)), Exit.ERROR)


def _print(found: Drift, unseen: Sequence[str]) -> None:
    for each in found.compared:
        print_compared(each, quiet=True)
    for each in found.doubled:
        name = escape(each.listed.profile.name or each.user_id)
        held = len(each.actual.phones or ()) if each.actual else 0
        out.print(
            f"[bold red]![/] {name} has {held} WebRTC phones: jitprov goes by the first; delete the others by hand",
            soft_wrap=True,
        )
    for finding in found.roles:
        out.print(f"[bold red]{finding.verdict}[/] {escape(finding.text)}", soft_wrap=True)
    if not found:
        out.print(f"[green]{agents(len(found.compared))}, all as the rules want[/]")
    if unseen:
        err.print(f"not looked at: {', '.join(unseen)}; --thorough asks each agent", soft_wrap=True)
    err.print(f"{found.calls} calls to find out")


def _rows(found: Drift) -> list[dict[str, object]]:
    rows = []
    profiles = {each.user_id: each.listed.profile for each in found.compared}
    for each, change, reason in changes_with_reasons(found.compared):
        rows.append(
            _row(each.user_id, profiles[each.user_id].name, profiles[each.user_id].department)
            | {"what": change.what, "thing": change.name, "how": change.how}
            | {"before": change.before, "after": change.after, "rule": reason.rule, "line": reason.line or ""}
        )
    for each in found.unjudged:
        text = f"{each.error.message}. {each.error.remedy}" if each.error else ""
        rows.append(_row(each.user_id, profiles[each.user_id].name, profiles[each.user_id].department) | {"text": text})
    return rows + [_role_row(finding, profiles[finding.user_id].department) for finding in found.roles]


def _row(user_id: str, name: str, department: str) -> dict[str, object]:
    empty: dict[str, object] = dict.fromkeys(_COLUMNS, "")
    return empty | {"user_id": user_id, "name": name, "department": department}


def _role_row(finding: RoleFinding, department: str) -> dict[str, object]:
    row = _row(finding.user_id, "", department) | {"what": "role", "thing": finding.role, "how": str(finding.verdict)}
    return row | {"text": finding.text}


def _write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    try:
        sink = sys.stdout if path == Path("-") else path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        end_with_error(f"{escape(str(path))} cannot be written ({error.strerror})", Exit.USAGE)
    writer = csv.DictWriter(sink, _COLUMNS)
    writer.writeheader()
    writer.writerows({name: as_cell(value) for name, value in row.items()} for row in rows)
    if sink is not sys.stdout:
        sink.close()
