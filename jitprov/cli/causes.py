"""Failures by cause, each with what mends it and the command that follows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from jitprov.cli.output import err, out
from jitprov.desk.words import agents
from jitprov.ledger.overview import Cause

_SHOWN = 10
_ANY_ID = "jitprov retry ID"


def fix_of(cause: Cause, causes: Sequence[Cause]) -> str:
    """Return the remedy with the command for all whom the cause befell, and no other."""
    command = f"jitprov retry --error {cause.code}"
    if any(other.code == cause.code and other.step != cause.step for other in causes):
        command += f" --step {cause.step}"
    if _ANY_ID in cause.remedy:
        return cause.remedy.replace(_ANY_ID, command)
    return f"{cause.remedy.rstrip('.')}; then: {command}" if cause.remedy else command


def print_causes(causes: Sequence[Cause], *, hint: bool = True) -> None:
    """Print the most frequent causes, one a line, with their fix where `hint`."""
    for cause in causes[:_SHOWN]:
        fix = f" [dim]→[/] {escape(fix_of(cause, causes))}" if hint else ""
        mended = "" if cause.retry_helps or hint else "  [yellow]fails again unless it is mended first[/]"
        counted = f"[bold red]{agents(cause.count)}[/]"
        out.print(f"{counted}: {escape(cause.message.rstrip('.'))} ({cause.code}){fix}{mended}", soft_wrap=True)
    if len(causes) > _SHOWN:
        err.print(f"and {len(causes) - _SHOWN} more causes; all with --json")
