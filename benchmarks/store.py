"""Results as they come in, one file each, so that a run that fails costs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.judge import Score


class Store:
    """A folder of results.

    Args:
        folder: Made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clear(self) -> None:
        """Forget all results."""
        for path in self._folder.glob("*.json"):
            path.unlink()

    def keep(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a result."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.json"
        # Whole or not at all: it may be what a later run goes on from.
        path.with_suffix(".new").write_text(json.dumps(content), encoding="utf-8")
        path.with_suffix(".new").replace(path)

    def kept(self, name: str) -> dict[str, Any] | None:
        """Return a result; None when there is none."""
        try:
            content: dict[str, Any] = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content

    def score(self, name: str) -> Score | None:
        """Return a run's score; None when there is none, or one of another version of the benchmark."""
        content = self.kept(name)
        try:
            return Score.from_json(content) if content else None
        except (KeyError, TypeError):
            return None
