"""The `jitprov` command: thin modules that parse, call and print."""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

from jitprov import __version__
from jitprov.cli import (
    acts,
    agents,
    apply,
    budget,
    checks,
    cleanup,
    demo,
    doctor,
    drift,
    forecast,
    parts,
    plan,
    quarantine,
    reconcile,
    replay,
    rules,
    saml,
    up,
    watch,
)
from jitprov.cli.output import Exit, end_with_error, say
from jitprov.errors import ConfigurationError, DependencyDown, JitprovError
from jitprov.settings import misspelt_variables, settings

app = typer.Typer(
    name="jitprov",
    help="Makes new Genesys Cloud agents call-ready the minute they first sign in.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    for name, nearest in misspelt_variables().items():
        hint = f"; did you mean {nearest}?" if nearest else ". `jitprov doctor --settings` lists all"
        say(f"[yellow]warning:[/] {escape(name)} is no setting and changes nothing{hint}")


_MODULES = (
    demo,
    up,
    parts,
    agents,
    acts,
    budget,
    watch,
    quarantine,
    replay,
    reconcile,
    doctor,
    forecast,
    rules,
    plan,
    apply,
    drift,
    cleanup,
    saml,
)
for _module in _MODULES:
    _module.register(app)


def main() -> None:
    """Run the command; every error of jitprov ends as one line and an exit code."""
    try:
        app()
    except ConfigurationError as error:
        end_with_error(escape(str(error)), Exit.CONFIGURATION)
    except DependencyDown as error:
        end_with_error(escape(str(error) + checks.aim_hint(error, settings())), Exit.DEPENDENCY_DOWN)
    except JitprovError as error:
        end_with_error(escape(str(error)), Exit.ERROR)
    except KeyboardInterrupt:
        sys.exit(130)
