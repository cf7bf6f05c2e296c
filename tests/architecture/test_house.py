"""The rules of the house that no linter knows: names, sizes, queues, settings, locks, decisions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery.app.defaults import SETTING_KEYS

import celeryconfig
from jitprov.domain.provisioning import EVERY_STEP
from jitprov.pipeline.names import QUEUES, task_name
from jitprov.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jitprov"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEST_MODULES = sorted((ROOT / "tests").rglob("test_*.py"))
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))

LINES_MAX = 300
LONGER = {
    "jitprov/errors.py": "every error and its remedy, one tree",
    "jitprov/domain/provisioning.py": "a record and all its moves, read as one page",
    "jitprov/ledger/memory.py": "one port, method by method; what it keeps is in memory_store.py",
    "jitprov/ledger/redis.py": "one port, method by method; what could be split off is in codec.py and the scripts",
    "jitprov/settings.py": "one place reads the environment, and every setting says what it is for",
}
NAMES_REFUSED = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "shared", "core"}
INITS_THAT_HOLD = {
    "jitprov/__init__.py": "the version and the map",
    "jitprov/budget/__init__.py": "exports its port",
    "jitprov/ledger/__init__.py": "exports its port",
    "jitprov/cache/__init__.py": "exports its port",
    "jitprov/cli/__init__.py": "is the command",
}
UNITS = ("_s", "_ms", "_per_min", "_bytes", "_days")
# Numbers without a unit: counts, ports, ratios.
PLAIN_NUMBERS = {
    "time_scale",
    "api_headroom",
    "api_burst",
    "api_tokens",
    "breaker_failures",
    "receiver_port",
    "worker_concurrency",
    "attempts_max",
    "flower_port",
    "redis_port",
    "sandbox_port",
    "alert_failed_share",
    "alert_refused_share",
    "alert_republished",
    "otel_sample_ratio",
}


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- steps, tasks, queues ---------------------------------------------------------------------------------------


def test_every_step_has_a_task() -> None:
    """Each step of the corridor is a function and a Celery task of its name, and there is no other task of ours."""
    # Imported here: a room that cannot be imported fails this test alone.
    import jitprov.pipeline.tasks  # noqa: F401, PLC0415  registers them
    from jitprov.celery import app  # noqa: PLC0415
    from jitprov.pipeline.steps import STEPS  # noqa: PLC0415

    ours = {name for name in app.tasks if not name.startswith("celery.")}

    assert tuple(STEPS) == EVERY_STEP
    assert ours == {task_name(step) for step in EVERY_STEP}


def test_every_task_has_a_consumed_queue() -> None:
    """Each task is routed to the queue of its name, and a worker consumes exactly these, later steps first."""
    names = {task_name(step) for step in EVERY_STEP}

    assert {name: route["queue"] for name, route in celeryconfig.task_routes.items()} == {name: name for name in names}
    assert tuple(queue.name for queue in celeryconfig.task_queues) == QUEUES
    assert tuple(task_name(step) for step in reversed(EVERY_STEP)) == QUEUES
    assert celeryconfig.task_default_queue in QUEUES
    assert celeryconfig.task_create_missing_queues is False


# --- settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_setting_is_described(name: str) -> None:
    """Each setting says what it is, in a sentence."""
    description = Settings.model_fields[name].description

    assert description
    assert description.endswith((".", "?"))


@pytest.mark.parametrize(
    "name", sorted(name for name, info in Settings.model_fields.items() if info.annotation in {int, float})
)
def test_number_bears_its_unit(name: str) -> None:
    """A duration, rate or size ends in its unit; a count, port or ratio is listed as one, and bears none."""
    assert name.endswith(UNITS) != (name in PLAIN_NUMBERS)


def _celery_settings() -> Iterator[tuple[str, int, list[str]]]:
    lines = (ROOT / "celeryconfig.py").read_text().splitlines()
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if not name.startswith("_"):
                yield name, node.lineno, lines[: node.lineno - 1]


def test_every_celery_setting_has_its_reason() -> None:
    """Each setting of celeryconfig.py stands in a paragraph that has a comment above it."""
    bare = []
    for name, number, above in _celery_settings():
        paragraph = []
        for line in reversed(above):
            if not line.strip():
                break
            paragraph.append(line)
        if not any(line.startswith("#") for line in paragraph):
            bare.append(f"{name} (line {number})")

    assert bare == []


def test_every_celery_setting_exists() -> None:
    """A misspelled Celery setting would be ignored in silence."""
    also_read = {"visibility_timeout"}  # by the Redis transport, beside its own options

    assert {name for name, _, _ in _celery_settings()} - set(SETTING_KEYS) <= also_read


# --- modules ----------------------------------------------------------------------------------------------------


def test_modules_are_short() -> None:
    """A module has at most 300 lines, or a reason here; a reason that is no longer needed goes."""
    long = {_named(path) for path in MODULES if len(path.read_text().splitlines()) > LINES_MAX}

    assert long == set(LONGER)


def test_modules_are_named_for_their_duty() -> None:
    """No module or room is an attic."""
    assert [_named(path) for path in MODULES if NAMES_REFUSED & {path.stem, path.parent.name}] == []


def test_rooms_open_empty() -> None:
    """A room's `__init__` holds nothing, save the ports' and the command's."""
    holding = {_named(path) for path in MODULES if path.name == "__init__.py" and path.read_text().strip()}

    assert holding == set(INITS_THAT_HOLD)


@pytest.mark.parametrize("room", ["budget", "ledger", "cache"])
def test_a_port_exports_nothing_else(room: str) -> None:
    """Who imports the room gets the port and no implementation, so no driver."""
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text())
    sources = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}

    assert sources == {f"jitprov.{room}.port"}


def test_every_module_says_where_it_stands() -> None:
    """Each module that holds anything opens with its place in the corridor."""
    silent = [_named(path) for path in MODULES if path.read_text().strip() and not _docstring_of(path)]

    assert silent == []


def _docstring_of(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text()))


# --- tests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEST_MODULES, ids=_named)
def test_every_test_says_what_must_hold(path: Path) -> None:
    """Each test carries its sentence."""
    silent = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert silent == []


def test_unit_tests_mirror_the_rooms() -> None:
    """Each folder of tests/unit is a room, so a reader finds a module's tests by its path."""
    folders = {
        path.parent.relative_to(ROOT / "tests/unit") for path in TEST_MODULES if (ROOT / "tests/unit") in path.parents
    }

    assert [str(folder) for folder in sorted(folders) if not (PACKAGE / folder).is_dir()] == []


# --- locks and decisions ----------------------------------------------------------------------------------------


def _pins(lock: str) -> dict[str, str]:
    """Return package → version of a lock file; fail when a line is anything but a pin with hashes."""
    pins = {}
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name = r"([a-z0-9][a-z0-9._-]*)(?:\[[a-z0-9,-]+\])?"
        found = re.fullmatch(name + r"==(\S+)( ; [^-]+?)?((?: +--hash=sha256:[0-9a-f]{64})+)\s*", line)
        assert found, f"{lock}: not a pin with hashes: {line[:80]}"
        pins[found[1]] = found[2]
    return pins


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_pins_with_hashes(lock: str) -> None:
    """Each line of a lock is one version with its hashes; no address, no index, no machine's path."""
    pins = _pins(lock)

    assert len(pins) > 30
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host", (ROOT / lock).read_text())


def test_locks_agree() -> None:
    """What is tested is what is deployed: the development lock holds the other at the same versions."""
    run, dev = _pins("requirements.lock"), _pins("requirements-dev.lock")

    assert {name: dev.get(name) for name in run} == run


def test_decisions_are_numbered_and_whole() -> None:
    """No two decisions share a number (one that is missing is being written), and each has all its parts."""
    numbers = [path.name[:5] for path in DECISIONS]
    assert all(re.fullmatch(r"\d{4}-", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)
    for path in DECISIONS:
        text = path.read_text()
        headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
        assert text.startswith(f"# {path.name[:4]} "), path.name
        assert headings == ["Status", "Context", "Decision", "Consequences", "Rejected"], path.name


def test_cited_decisions_exist() -> None:
    """A decision that code or configuration names can be read."""
    files = [
        *MODULES,
        *ROOT.glob("*.py"),
        ROOT / "pyproject.toml",
        ROOT / "docker-compose.yml",
        *ROOT.glob("deploy/*.conf"),
    ]
    cited = {
        number for path in files for number in re.findall(r"(?:docs/decisions/|\bdecision )(\d{4})\b", path.read_text())
    }

    assert cited
    assert sorted(cited - {path.name[:4] for path in DECISIONS}) == []
