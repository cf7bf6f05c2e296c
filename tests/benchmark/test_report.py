"""What goes into files and pages: exactly the promised keys, only between the markers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.bars import FIGURES, figures_of
from benchmarks.report import fill, write_figures
from benchmarks.store import Store


def test_the_figures_file_has_exactly_the_promised_keys(tmp_path: Path) -> None:
    """build/bench.json holds every figure by name, measured or not, what each option costs, and the baselines."""
    path = tmp_path / "bench.json"
    write_figures(path, figures_of({}, {}), {})

    assert set(json.loads(path.read_text())) == {*FIGURES, "options", "baselines"}


def test_only_what_stands_between_markers_is_replaced(tmp_path: Path) -> None:
    """A page keeps its words; a marker that it lacks is no error; filling it again changes nothing."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench:bars -->\nold\n<!-- /bench:bars -->\nafter\n")

    assert fill(page, {"bars": "| new |", "contenders": "elsewhere"})
    assert page.read_text() == "before\n<!-- bench:bars -->\n| new |\n<!-- /bench:bars -->\nafter\n"
    assert not fill(page, {"bars": "| new |"})


def test_a_marker_without_an_end_is_told(tmp_path: Path) -> None:
    """A page whose marker never ends is left alone, and named."""
    page = tmp_path / "page.md"
    page.write_text("<!-- bench:bars -->\nold\n")

    with pytest.raises(ValueError, match="bench:bars"):
        fill(page, {"bars": "new"})
    assert page.read_text() == "<!-- bench:bars -->\nold\n"


def test_a_result_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """A file cut off, or of another version, is measured again instead of ending the benchmark."""
    store = Store(tmp_path)
    store.keep("old", {"name": "of another version"})
    (tmp_path / "cut.json").write_text("{")

    assert store.kept("cut") is None
    assert store.score("old") is None
    assert store.score("never made") is None
