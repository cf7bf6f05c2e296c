"""Where the code of others comes from: all of it named with hashes, listed, and audited or said not to be."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
MAKEFILE = (ROOT / "Makefile").read_text()


def load(path: Path) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = load(ROOT / "deploy/audit.py")


def entries(lock: str) -> dict[str, str]:
    """Return what a lock names: name → all that is said of it."""
    text = re.sub(r"^\s*#.*$", "", (ROOT / lock).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return {line.split("==")[0].split("[")[0]: line for line in text.splitlines() if line.strip()}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_version_and_hash(lock: str) -> None:
    """Each line of a lock names one version and its hashes, and no place to fetch it from."""
    named = entries(lock)

    assert len(named) > 50
    assert [
        line for line in named.values() if not re.search(r"^[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:", line)
    ] == []
    assert not re.search(r"(?i)index-url|find-links|https?://|@ file|-e ", (ROOT / lock).read_text())


def test_every_install_is_by_hash_and_wheel() -> None:
    """Make installs from the locks alone, with hashes and as wheels, and this project without anything else."""
    installs = [line for line in MAKEFILE.splitlines() if "PIP_INSTALL)" in line]

    assert [line.split(":= ")[1] for line in installs] == [
        "$(PIP_INSTALL) --require-hashes --no-deps --only-binary :all: -r",
        "$(PIP_INSTALL) --no-deps --no-build-isolation -e .",
    ]


@pytest.mark.parametrize(
    ("returned", "out", "err", "code", "told"),
    [
        (0, {"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, "", 0, "no vulnerability is known"),
        (1, {"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1"}]}]}, "", 1, "a 1: PYSEC-1"),
        (0, {"dependencies": [{"name": "a", "skip_reason": "not found"}]}, "", 2, "NOT AUDITED"),
        (0, {"dependencies": []}, "", 2, "NOT AUDITED"),
        (1, {"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, "", 2, "NOT AUDITED"),
        (1, None, "ERROR: a: Dependency not found on PyPI and could not be audited", 2, "could not be audited"),
        (0, None, "", 2, "NOT AUDITED"),
    ],
)
def test_only_having_looked_counts(returned: int, out: object, err: str, code: int, told: str) -> None:
    """No finding passes only when every package was looked up; whatever else happens fails, and says so."""
    found = audit.judge(returned, json.dumps(out) if out else "", err)

    assert found[0] == code
    assert told in found[1]


def test_an_audit_that_cannot_look_fails(tmp_path: Path) -> None:
    """Where no vulnerability data can be reached the real tool's silence is no pass: the audit fails and says so."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy/audit.py"), "requirements.lock"],
        env={**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "NOT AUDITED" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_list_of_parts_is_whole(tmp_path: Path) -> None:
    """The CycloneDX file names every package of the lock with its version and hashes, and holds no time or chance."""
    [command] = re.findall(r"-m (cyclonedx_py requirements .*?) -o ", MAKEFILE.replace("\\\n", " "))
    path = tmp_path / "sbom.json"
    # Checking it against CycloneDX's schema takes most of the time, and `make sbom` does it.
    own = [sys.executable, "-W", "ignore", "-m", *command.split(), "--no-validate", "-o", str(path)]
    subprocess.run(own, cwd=ROOT, check=True)
    content = json.loads(path.read_text())
    parts = {part["name"]: part for part in content["components"]}

    assert "--output-reproducible" in own
    assert (content["bomFormat"], content["metadata"]["component"]["name"]) == ("CycloneDX", "jitprov")
    assert set(parts) == set(entries("requirements.lock"))
    assert all(part["version"] and part["externalReferences"][0]["hashes"] for part in parts.values())
