"""`rules …`: try the rules file before an agent does. Reads; changes nothing anywhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from jitprov.cli.output import Exit, Json, emit_json, err, leave, out
from jitprov.rules.engine import RuleBook
from jitprov.rules.loader import load_rules
from jitprov.rules.model import Rules
from jitprov.settings import settings

_app = typer.Typer(help="The rules: their schema, their tests, who gets what and why.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option("--file", help="A rules file; the one of the settings when unset.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _app.command("schema")(print_schema)
    _app.command("test")(run_tests)
    app.add_typer(_app, name="rules", rich_help_panel="Operations")


def print_schema() -> None:
    """Print the JSON Schema of rules.yaml, for editors.

    Example: jitprov rules schema > rules.schema.json, and in rules.yaml, as the first line:
    # yaml-language-server: $schema=rules.schema.json
    """
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "rules.yaml of jitprov"}
    print(json.dumps(schema | Rules.model_json_schema(), indent=2))


def run_tests(file: File = None, json_: Json = False) -> None:
    """Run the tests that stand in the rules file. Exit code 4 when one gets something else than it expects.

    Example: jitprov rules test --file rules.yaml
    """
    book = chosen_book(file)
    results = [(example.name, book.try_example(example)) for example in book.examples]
    failed = sum(bool(found) for _, found in results)
    if json_:
        told = [{"name": name, "differences": [asdict(each) for each in found]} for name, found in results]
        emit_json("rules_test", rules_version=book.rules_version, tests=told, failed=failed)
    else:
        for name, found in results:
            out.print(f"{'[bold red]failed[/]' if found else '[green]ok[/]'}  {escape(name)}", soft_wrap=True)
            for each in found:
                said = f"    {each.what}: expected {each.expected}, got {each.got}"
                out.print(escape(said), soft_wrap=True)
        out.print(f"{len(results)} tests, {failed} failed; rules version {book.rules_version}")
        if not results:
            err.print("The file has no tests yet: add `tests:` with profile and expect; see `jitprov rules schema`.")
    if failed:
        leave(Exit.DIFFERENCES)


def chosen_book(file: Path | None) -> RuleBook:
    """Return the rules of a file, or those of the settings.

    Raises:
        ConfigurationError: The file cannot be read, or is wrong.
    """
    return load_rules(file or settings().rules_file)
