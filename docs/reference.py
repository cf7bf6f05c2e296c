"""Writes docs/reference.md from the code itself: commands, settings, metrics, error codes. `make reference`.

A test holds the page against this, so it can't go stale.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from typer.main import get_command

from jitprov.alerts.assembly import facts_of
from jitprov.alerts.gauges import AlertGauges
from jitprov.budget.gauges import BudgetGauges
from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.cache.memory import MemoryCache
from jitprov.cli import app
from jitprov.errors import Final, NotNow, StepError, TryAgain
from jitprov.ledger.memory_overview import MemoryOverview
from jitprov.receiver.app import create_app
from jitprov.settings import PREFIX, Settings
from jitprov.wiring import RealClock

PAGE = Path(__file__).with_name("reference.md")
_HEAD = """# Reference

Written by `make reference` from the code; do not edit. `jitprov COMMAND --help` says the same in the terminal.
"""
_ENDS = {NotNow: "waits, spends no attempt", TryAgain: "tries again with backoff", Final: "ends it; a human mends"}


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *_commands(), "", *_settings(), "", *_metrics(), "", *_codes(), ""])


def _commands() -> Iterator[str]:
    yield "## Commands"
    for name, command in _below(get_command(app), ()):
        said = (command.help or "").split("\n\n")
        example = re.search(r"Example: (.*)", command.help or "")
        yield f"\n### `jitprov {name}`\n\n{_plain(said[0])}"
        if example:
            yield f"\n    {example[1]}"
        options = [parameter for parameter in command.params if parameter.name != "help"]
        if options:
            yield "\n| option or argument | what it is |\n|---|---|"
            for each in options:
                shown = ", ".join(each.opts) if each.param_type_name == "option" else each.name.upper()
                yield f"| `{shown}` | {_plain(getattr(each, 'help', None) or '')} |"


def _below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if path and not children:
        yield " ".join(path), command
    for name, each in sorted(children.items()):
        yield from _below(each, (*path, name))


def _settings() -> Iterator[str]:
    yield "## Settings\n\n| variable | default | what it is |\n|---|---|---|"
    for name, info in Settings.model_fields.items():
        default = "" if isinstance(info.default, SecretStr) or info.default in {None, ""} else f"`{info.default}`"
        yield f"| `{PREFIX}{name.upper()}` | {_plain(default)} | {_plain(info.description or '')} |"


def _metrics() -> Iterator[str]:
    yield "## Metrics\n\nAt `/metrics` of the receiver, in Prometheus' text format; no label is an id or a name.\n"
    yield "| metric | kind | labels | what it is |\n|---|---|---|---|"
    for family in text_string_to_metric_families(asyncio.run(_shown())):
        if family.name.endswith("_created"):  # when counting began: of no use to a reader
            continue
        values: dict[str, dict[str, None]] = {}
        for sample in family.samples:
            for label, value in sample.labels.items():
                values.setdefault(label, {})[value] = None
        values.pop("le", None)  # a histogram's own
        labels = "; ".join(f"`{label}`: {', '.join(each)}" for label, each in values.items())
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield f"| `{name}` | {family.type} | {labels} | {_plain(family.documentation)} |"


async def _shown() -> str:
    """Return what a receiver shows before its first event."""
    settings = Settings.model_construct(webhook_key=SecretStr("r" * 32))
    clock = RealClock()
    ledger, cache = MemoryOverview(clock.now), MemoryCache(time.monotonic)
    budget = MemoryBudget(BudgetRate.of(settings.api_limit_per_min, headroom=settings.api_headroom), time.monotonic)
    facts = facts_of(settings, ledger, budget, cache)
    collectors = [BudgetGauges(budget), AlertGauges(ledger, cache, facts.now)]
    receiver = create_app(settings, ledger, lambda _: None, collectors=collectors)
    async with receiver.router.lifespan_context(receiver):
        text: bytes = receiver.state.measures.text()
    return text.decode()


def _codes() -> Iterator[str]:
    yield "## Error codes\n\n| code | what happened | what becomes of the step | what to do |\n|---|---|---|---|"
    for kind in sorted(_kinds(StepError), key=lambda each: each.code):
        family = next((base for base in _ENDS if issubclass(kind, base)), None)
        if family is None or kind in _ENDS:
            continue
        said = _plain((kind.__doc__ or "").split("\n\n")[0])
        yield f"| `{kind.code}` | {said} | {_ENDS[family]} | {_plain(kind.default_remedy)} |"


def _kinds(kind: type[StepError]) -> Iterator[type[StepError]]:
    for each in kind.__subclasses__():
        if each.__module__ == StepError.__module__:
            yield each
        yield from _kinds(each)


def _plain(text: str) -> str:
    return re.sub(r"\[/?[a-z ]*\]", "", " ".join(text.split())).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
