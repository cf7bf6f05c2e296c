"""What the commands print and how they end: results on stdout, all else on stderr, `--json` for machines."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

SCHEMA = 1

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]

# What is read by `grep` or kept in a file is not a screen: there no name may be cut to fit 80 columns.
_PIPED_COLUMNS = 200
_PIPED = None if sys.stdout.isatty() else _PIPED_COLUMNS

out = Console(highlight=False, width=_PIPED)
err = Console(stderr=True, highlight=False)


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    DIFFERENCES = 4
    CONFIGURATION = 5
    DEPENDENCY_DOWN = 6


def emit_json(kind: str, **content: Any) -> None:
    """Print one JSON object with its kind and schema version."""
    print(json.dumps({"schema": SCHEMA, "kind": kind, **content}, default=_plain, indent=2))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return str(value)


def say(text: str) -> None:
    """Tell a person something that is not the result."""
    err.print(text, soft_wrap=True)


def leave(code: Exit) -> NoReturn:
    """End the command."""
    raise typer.Exit(int(code))


def end_with_error(text: str, code: Exit) -> NoReturn:
    """Print an error and end the process."""
    err.print(f"[bold red]error:[/] {text}", soft_wrap=True)
    sys.exit(int(code))
