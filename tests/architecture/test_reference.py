"""The reference page is the code's own word."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_up_to_date() -> None:
    """docs/reference.md is what `make reference` writes now."""
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == runpy.run_path(str(DOCS / "reference.py"))["page"]()


def test_the_runbook_names_codes_that_exist() -> None:
    """Each error code that the hour-by-hour page names is one that the reference explains."""
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    named = {"skill_unknown", "no_rule_matched", "station_late"}
    text = (DOCS / "operating.md").read_text(encoding="utf-8")

    assert all(f"`{code}`" in text and f"| `{code}` |" in reference for code in named)
