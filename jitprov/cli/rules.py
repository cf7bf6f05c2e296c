"""`rules …`: try the rules file before an agent does. Reads; changes nothing anywhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from jitprov.cli.output import Exit, Json, emit_json, end_with_error, err, leave, out
from jitprov.domain.ids import is_uuid
from jitprov.errors import NoRuleMatched
from jitprov.genesys.naming import unknown_names
from jitprov.rules.engine import RuleBook
from jitprov.rules.given import KINDS
from jitprov.rules.loader import load_rules
from jitprov.rules.model import Rules
from jitprov.settings import settings
from jitprov.wiring import make_services

_app = typer.Typer(help="The rules: their schema, their tests, who gets what and why.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option("--file", help="A rules file; the one of the settings when unset.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _app.command("schema")(print_schema)
    _app.command("test")(run_tests)
    _app.command("check")(check)
    _app.command("explain")(explain)
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


def check(file: File = None, json_: Json = False) -> None:
    """Ask the organization whether everything exists that the rules name. Exit code 4 when something does not.

    Costs one call of the shared budget for each kind of thing that the rules name, per page.

    Example: jitprov rules check --file rules.yaml
    """
    book = chosen_book(file)
    kept = make_services(settings())
    unknown = list(unknown_names(book, kept.catalogue, kept.belongings))
    named = {kind: len(book.named(kind)) for kind in KINDS}
    if json_:
        told = [asdict(each) for each in unknown]
        emit_json("rules_check", rules_version=book.rules_version, named=named, unknown=told)
    else:
        for each in unknown:
            out.print(f"[bold red]unknown[/]  line {each.line}: {escape(each.message)}", soft_wrap=True)
        counted = ", ".join(f"{count} {kind}" for kind, count in named.items() if count)
        out.print(f"{counted or 'nothing'} named, {len(unknown)} unknown; rules version {book.rules_version}")
    if unknown:
        leave(Exit.DIFFERENCES)


def explain(
    any_id: Annotated[str, typer.Argument(metavar="USER", help="User id, or any id or address that jitprov knows.")],
    file: File = None,
    json_: Json = False,
) -> None:
    """Say what an agent gets and which rule gives what, from the profile as it is now.

    Exit code 4 when no rule covers the agent. Costs one call.

    Example: jitprov rules explain robin@example.test
    """
    book = chosen_book(file)
    kept = make_services(settings())
    record = kept.ledger.find(any_id)
    user_id = record.user_id if record else any_id.strip().lower()
    if not is_uuid(user_id):
        end_with_error("nobody is known by this id; give the Genesys user id", Exit.ERROR)
    profile = kept.genesys.get_user(user_id)
    try:
        told = book.explain(profile)
    except NoRuleMatched as error:
        asked = book.passed_over(profile)
        if json_:
            words: dict[str, Any] = {"rules": [], "cause": error.message, "remedy": error.remedy}
            passed = [asdict(each) for each in asked]
            emit_json("rules_explain", user_id=user_id, rules_version=book.rules_version, **words, passed_over=passed)
        else:
            out.print(f"[bold red]{escape(error.message)}[/]. {escape(error.remedy)}", soft_wrap=True)
            for each in asked:
                asks = ", ".join(f"{part} {' or '.join(map(repr, may))}" for part, may in each.asks.items())
                out.print(f"    {escape(each.rule)} asks for {escape(asks)}", soft_wrap=True)
        leave(Exit.DIFFERENCES)
    if json_:
        gifts = [asdict(gift) for gift in told.gifts]
        names = {"rules": told.wanted.rules, "overruled": told.overruled}
        emit_json("rules_explain", user_id=user_id, rules_version=book.rules_version, gifts=gifts, **names)
        return
    table = Table("what", "", "by", box=None, pad_edge=False, header_style="bold")
    for gift in told.gifts:
        table.add_row(gift.what, escape(gift.name), escape(gift.by))
    out.print(table)
    if told.overruled:
        later = ", ".join(map(escape, told.overruled))
        out.print(f"also cover this agent, and come too late (match: first): {later}", soft_wrap=True)
    err.print(f"rules version {book.rules_version}")


def chosen_book(file: Path | None) -> RuleBook:
    """Return the rules of a file, or those of the settings.

    Raises:
        ConfigurationError: The file cannot be read, or is wrong.
    """
    return load_rules(file or settings().rules_file)
