"""Whom a command means: an id, or a filter; the options that both forms share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape

from jitprov.cli.output import Exit, end_with_error
from jitprov.domain.provisioning import State, Step
from jitprov.domain.skills import nearest_names
from jitprov.errors import StepError
from jitprov.ledger.overview import Filter

_AGO = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

AnyId = Annotated[
    str,
    typer.Argument(help="Task id of any step, provisioning, user or event id, or e-mail address.", show_default=False),
]
AnyIdOrNone = Annotated[
    str | None,
    typer.Argument(help="Task id of any step, provisioning, user or event id, or e-mail address.", show_default=False),
]
AtStep = Annotated[Step | None, typer.Option("--step", help="Only at this step.")]


def _codes(begun: str) -> list[str]:
    """Return the codes that begin so, for the shell's completion."""
    kinds, codes = [StepError], set[str]()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if not kind.__subclasses__():
            codes.add(kind.code)
    return sorted(code for code in codes if code.startswith(begun))


WithError = Annotated[
    str,
    typer.Option(
        "--error", help="Only with this code, such as skill_unknown.", show_default=False, autocompletion=_codes
    ),
]
OfDepartment = Annotated[
    str, typer.Option("--department", help="Only of this department; the whole name, case aside.", show_default=False)
]
Since = Annotated[
    str,
    typer.Option(
        "--since", help="Only who was accepted since: 30m, 2h, 1d, or an instant with its zone.", show_default=False
    ),
]
Failed = Annotated[bool, typer.Option("--failed", help="Those that failed.")]
Cancelled = Annotated[bool, typer.Option("--cancelled", help="Those that were cancelled.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it; a filter without this only shows what it would do.")]
Why = Annotated[str, typer.Option("--why", help="Your reason, for the log of acts.", show_default=False)]
Who = Annotated[str, typer.Option("--who", help="Your name, for the log of acts; your user's when unset.")]


def wanted_of(
    states: Sequence[State] = (),
    *,
    step: Step | None = None,
    error: str = "",
    department: str = "",
    text: str = "",
    since: str = "",
    ping: Callable[[], datetime],
) -> Filter:
    """Return the filter of these options.

    Args:
        states: In one of these; all when none is named.
        step: See `Filter`, here and below.
        error: The same; a code that does not exist ends the command with those that are spelt alike.
        department: The same.
        text: The same.
        since: As typed; a wrong one ends the command.
        ping: Returns the ledger's clock, from which `30m` counts; asked only for that.
    """
    if error and error not in (known := _codes("")):
        near = ", ".join(nearest_names(error, known))
        hint = f"nearest: {near}" if near else "jitprov list tells which occur"
        end_with_error(f"--error: there is no code {escape(error)}; {hint}", Exit.USAGE)
    return Filter(tuple(states), step, error, department, text, instant_of(since, ping) if since else None)


def instant_of(text: str, ping: Callable[[], datetime], *, option: str = "--since") -> datetime:
    """Return what `--since` or its like says; a wrong one ends the command.

    Args:
        text: As typed: `30m`, `2h`, `1d`, or an instant with its zone.
        ping: Returns the ledger's clock, from which `30m` counts; asked only for that.
        option: Its name, for the error.
    """
    if ago := _AGO.fullmatch(text):
        return ping() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    at = None
    with suppress(ValueError):
        at = datetime.fromisoformat(text)
    if at is None or at.tzinfo is None:
        end_with_error(f"{option}: 30m, 2h, 1d, or an instant with its zone such as 2026-11-23T09:00:00Z", Exit.USAGE)
    return at.astimezone(UTC)
