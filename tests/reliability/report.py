"""What the reliability suites found: each writes its part of build/reliability.json, and one page shows them all.

    record("mutants", command="make mutants", rows=[Row("killed", "7 of 7", bar="all")])
    python -m reliability report

`record` is all that a suite needs. `report` lays the parts of build/reliability.json over those published before, in
docs/reliability.json, and writes both files of docs/. So a suite that was not run again keeps its last figures, each
part says with which command and when it was run, and a part that was never run is shown as such.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/reliability.json"
PUBLISHED = ROOT / "docs/reliability.json"
PAGE = ROOT / "docs/reliability.md"

# Every part that the page has a place for, in its order: key → heading.
PARTS: dict[str, str] = {
    "crash": "Killed at every point",
    "crash_joined": "Killed at every point of the two steps that join on demand",
    "chaos": "Killed at random, under a broken API",
    "faults": "Redis and the machine at fault",
    "simulation": "Simulated histories",
    "mutants": "Promises switched off on purpose",
    "corpus": "Bad input",
    "operator keys": "Who may enter the operator API",
    "canaries": "Secrets searched for",
    "acl_denials": "Refused by Redis",
    "schema": "Requests made up from the contract",
}

_HEAD = """# What was broken on purpose, and what held

Written by `python -m reliability report` from docs/reliability.json; do not edit. Each part comes from a run of the
command it names. *Plain Celery* is benchmarks/plain_chains.py, a chain with late acknowledgement as guides show it,
under the same faults: it shows that the faults bite. The front door under load is in [benchmark.md](benchmark.md).
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: What was counted, with its unit.
        ours: Of jitprov.
        bar: What it must be; empty when there is none.
        plain: Of the plain Celery baseline under the same faults; empty where there is no such run.
    """

    name: str
    ours: str | float
    bar: str = ""
    plain: str | float = ""


def record(
    part: str, *, command: str, rows: Iterable[Row], untested: Sequence[str] = (), into: Path = BUILD, **more: Any
) -> None:
    """Write one part, in place of what stood there; the others stay. Safe beside other suites.

    Args:
        part: A key of `PARTS`.
        command: What was run, as one would type it.
        rows: The figures.
        untested: What this suite could not test here, a sentence each.
        into: The file.
        more: Anything else worth keeping beside it, not shown on the page.
    """
    if part not in PARTS:
        msg = f"reliability report: {part!r} has no place on the page; add it to PARTS"
        raise ValueError(msg)
    entry = {
        "command": command,
        "commit": _commit(),
        "run_at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "rows": [asdict(row) for row in rows],
        "untested": list(untested),
        **more,
    }
    into.parent.mkdir(exist_ok=True)
    with (into.parent / f".{into.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _write(into, _read(into) | {part: entry})


def publish() -> None:
    """Lay what was run here over what was published, and write the page."""
    parts = _read(PUBLISHED) | _read(BUILD)
    _write(PUBLISHED, parts)
    PAGE.write_text(render(parts))


def render(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page."""
    sections = [_section(heading, parts.get(part)) for part, heading in PARTS.items()]
    untested = [f"- {sentence}" for part in PARTS for sentence in parts.get(part, {}).get("untested", [])]
    if untested:
        sections.append("\n".join(["## Not tested", "", *untested, ""]))
    return "\n".join([_HEAD, *sections])


def _section(heading: str, part: Mapping[str, Any] | None) -> str:
    if part is None:
        return f"## {heading}\n\nNot run yet.\n"
    shown = ["ours", "bar", "plain"]
    titles = {"ours": "jitprov", "bar": "must be", "plain": "plain Celery"}
    columns = [name for name in shown if any(row[name] != "" for row in part["rows"])]
    table = [
        f"| | {' | '.join(titles[name] for name in columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(f"| {row['name']} | {' | '.join(_shown(row[name]) for name in columns)} |" for row in part["rows"]),
    ]
    how = f"`{part['command']}`, {part['run_at'][:10]}, commit {part['commit']}, {part['machine']}."
    return "\n".join([f"## {heading}", "", how, "", *table, ""])


def _shown(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _write(path: Path, parts: Mapping[str, Any]) -> None:
    ordered = {part: parts[part] for part in PARTS if part in parts}
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    beside.replace(path)


def _commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"
