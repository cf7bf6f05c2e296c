"""A copy of the tree in which one protection at a time is switched off. The tree itself is never touched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mutants.mutations import Mutation

ROOT = Path(__file__).parents[2]
WITHIN_S = 300.0
_COPIED = ("jitprov", "tests", "benchmarks", "docs", "deploy")
_PASSED, _FAILED = 0, 1


class AnchorGone(Exception):  # noqa: N818  it is named for what happened
    """A protection is no longer where its mutation looks for it."""


@dataclass(frozen=True)
class Run:
    """What a run of tests told.

    Attributes:
        caught: A test failed.
        by: The first such test; or why there is none.
    """

    caught: bool
    by: str


class Scratch:
    """The copy.

    Args:
        folder: Empty; where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in _COPIED:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ROOT.iterdir():
            if file.is_file():
                shutil.copy2(file, folder / file.name)

    def test(self, tests: Sequence[str]) -> Run:
        """Run tests in the copy.

        Raises:
            RuntimeError: Nothing could be told: no test ran, or pytest itself broke.
        """
        paths = f"{self._folder}{os.pathsep}{self._folder / 'tests'}"
        # A time-out of a test is a test that failed; histories need no shrinking to be told.
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-rfE",
            *tests,
        ]
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "SHRINKING": "0"}
        try:
            done = subprocess.run(
                command,
                cwd=self._folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Run(caught=True, by=f"no end within {WITHIN_S:.0f} s")
        told = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, flags=re.MULTILINE)
        if done.returncode not in (_PASSED, _FAILED) or (done.returncode == _FAILED and told is None):
            raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-500:]}")
        return Run(done.returncode == _FAILED, told[1] if told else "nothing")

    @contextmanager
    def without(self, mutation: Mutation) -> Iterator[None]:
        """Switch one protection off inside a `with` block.

        Raises:
            AnchorGone: It is not there, or there more than once.
        """
        file = self._folder / mutation.file
        text = file.read_text()
        if text.count(mutation.anchor) != 1:
            raise AnchorGone(f"{mutation.name}: {mutation.file} holds its anchor {text.count(mutation.anchor)} times")
        file.write_text(text.replace(mutation.anchor, mutation.instead))
        try:
            yield
        finally:
            file.write_text(text)


@contextmanager
def scratch() -> Iterator[Scratch]:
    """Make the copy, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        yield Scratch(Path(folder))
