"""How a command acts: on one at once, on many after a preview; told to people and machines, noted with who and why."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import typer
from rich.markup import escape

from jitprov.cli.causes import print_causes
from jitprov.cli.output import Exit, emit_json, end_with_error, err, leave, out
from jitprov.domain.view import describe
from jitprov.ledger.overview import Act, Cause, Filter, Overview
from jitprov.pipeline.operations import Answer, Verdict

_WORDS_MAX = 200


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, and why.

    Attributes:
        who: As given; empty for the user of this machine.
        why: For the log of acts.
    """

    who: str
    why: str

    def name(self) -> str:
        """Return who it is for the log."""
        return _printable(self.who) or f"{_user()} (command line)"

    def reason(self) -> str:
        """Return why for the log."""
        return _printable(self.why)


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable()).strip()[:_WORDS_MAX]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "somebody"


@dataclass(frozen=True, slots=True)
class Shown:
    """What an act on all that match would do.

    Attributes:
        what: The act's word.
        agents: How many.
        told: The same for machines.
        sentence: The same for people.
        causes: Why they failed, where that matters.
    """

    what: str
    agents: int
    told: Mapping[str, Any]
    sentence: str
    causes: Sequence[Cause] = ()


class Many(Protocol):
    """What acts on all that match."""

    def begin(self, wanted: Filter, *, who: str, why: str = "") -> Act:
        """See `AllThatMatch.begin`."""
        ...

    def go_on(self, act: Act, wanted: Filter) -> Act:
        """See `AllThatMatch.go_on`."""
        ...


def act_on_one(ledger: Overview, what: str, answer: Answer, by: By, *, json_: bool) -> None:
    """Note and tell what became of one; exit code 1 for an unknown id and a refusal."""
    if answer.record is not None:
        whom = answer.record.provisioning_id
        ledger.note(Act(uuid4().hex, ledger.ping(), by.name(), what, whom, by.reason(), answer.text))
    if json_:
        record = describe(answer.record) if answer.record else None
        emit_json("answer", verdict=answer.verdict, text=answer.text, provisioning=record)
    elif answer.verdict is Verdict.UNKNOWN:
        end_with_error(escape(answer.text), Exit.ERROR)
    else:
        out.print(escape(answer.text), soft_wrap=True)
    if answer.verdict in {Verdict.UNKNOWN, Verdict.REFUSED}:
        leave(Exit.ERROR)


def act_on_many(many: Many, wanted: Filter, shown: Shown, by: By, *, yes: bool, json_: bool) -> None:
    """Show what it would do, and do it with `yes`, or when somebody at a terminal says so."""
    act = None
    if not json_:
        # A preview is the result of a command without --yes, and else what happens on the way.
        (err if yes else out).print(escape(shown.sentence), soft_wrap=True)
        if shown.agents and not yes:
            print_causes(shown.causes, hint=False)
    if shown.agents and not yes and not json_ and sys.stdin.isatty():
        yes = typer.confirm(f"{shown.what.capitalize()} {shown.agents}?", err=True)
    if yes and shown.agents:
        act = many.go_on(many.begin(wanted, who=by.name(), why=by.reason()), wanted)
    if json_:
        emit_json(shown.what, done=act is not None, preview=shown.told, act=act and act_as_json(act))
    elif act:
        out.print(escape(act.outcome), soft_wrap=True)
        err.print("Next: jitprov top, or jitprov actions")
    elif not shown.agents:
        err.print("nobody matches. Next: jitprov list")
    else:
        err.print("Nothing was changed. Next: the same with --yes, and --why for the log of acts")


def act_as_json(act: Act) -> dict[str, Any]:
    """Return an act as plain values."""
    names = ("act_id", "at", "who", "what", "whom", "why", "outcome", "finished")
    return {name: getattr(act, name) for name in names}
