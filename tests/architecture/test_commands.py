"""What every command keeps, whoever adds one: an example in its help, JSON by one door, completion by the shell."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from jitprov.cli import app

ROOT = Path(__file__).parents[2]
CLI = ROOT / "jitprov/cli"
# They run until they are stopped, and speak in log lines; or their output is a schema itself.
WITHOUT_JSON = {"up", "receiver", "worker", "reconciler", "flower", "sandbox", "rules schema"}


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Return every command with its name; a group that does something by itself is one."""
    command = command or get_command(app)
    below = getattr(command, "commands", {})
    if path and (not below or command.invoke_without_command):
        yield " ".join(path), command
    for name, each in below.items():
        yield from commands(each, (*path, name))


EVERY = dict(commands())


@pytest.mark.parametrize("name", EVERY)
def test_help_has_an_example(name: str) -> None:
    """The help of each command shows how it is called, and the example is of that command."""
    examples = re.findall(r"Example: (.*)", EVERY[name].help or "")

    assert examples
    assert all(f"jitprov {name}" in example for example in examples)


@pytest.mark.parametrize("name", EVERY)
def test_a_command_speaks_to_machines(name: str) -> None:
    """Each command that ends has --json."""
    options = {option for parameter in EVERY[name].params for option in parameter.opts}

    assert ("--json" in options) == (name not in WITHOUT_JSON)


def test_json_leaves_by_one_door() -> None:
    """JSON for machines is printed by `emit_json` alone, which puts kind and schema version into it."""
    dumping = set()
    for path in sorted(CLI.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                inside = ast.unparse(node)
                if "json.dumps" in inside or "model_dump_json" in inside:
                    dumping.add(path.name)

    assert dumping <= {"output.py", "rules.py"}  # the rules' schema is no answer of a command


def completed(line: str) -> list[str]:
    """Return what the shell would offer at the end of a line."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "_JITPROV_COMPLETE": "complete_bash",
    }
    program = "import sys; sys.argv[0] = 'jitprov'; from jitprov.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.split()


def test_the_shell_completes_commands_and_values() -> None:
    """The shell offers commands by their beginning, and codes of errors where one is asked for."""
    assert completed("jitprov re") == ["receiver", "reconciler", "retry", "report", "replay", "reconcile"]
    assert completed("jitprov retry --error skill") == ["skill_unknown"]
