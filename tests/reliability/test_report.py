"""The page of reliability figures, and the file that the suites share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reliability.report import PAGE, PARTS, PUBLISHED, Row, record, render


def test_parts_are_written_side_by_side(tmp_path: Path) -> None:
    """A suite writes its own part and leaves the others' as they are."""
    into = tmp_path / "reliability.json"
    record("mutants", command="make mutants", rows=[Row("killed", "7 of 7", bar="all")], into=into)
    record("crash", command="make crash", rows=[Row("points", 5, plain=3)], untested=["Power cuts."], into=into)
    record("crash", command="make crash", rows=[Row("points", 6)], untested=["Power cuts."], into=into)

    parts = json.loads(into.read_text())
    page = render(parts)

    assert list(parts) == ["crash", "mutants"]
    assert parts["crash"]["rows"] == [{"name": "points", "ours": 6, "bar": "", "plain": ""}]
    assert "| killed | 7 of 7 | all |" in page
    assert "- Power cuts." in page
    assert page.count("Not run yet.") == len(PARTS) - 2


def test_a_part_needs_its_place(tmp_path: Path) -> None:
    """A part that the page has no place for is refused, not lost."""
    with pytest.raises(ValueError, match="no place"):
        record("weather", command="make rain", rows=[], into=tmp_path / "reliability.json")


def test_the_page_shows_what_was_published() -> None:
    """The page is what its data say; nobody edited the one without the other."""
    assert PAGE.read_text() == render(json.loads(PUBLISHED.read_text()))
