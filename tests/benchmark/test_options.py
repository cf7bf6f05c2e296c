"""What each option costs: the sharing that the published table rests on, with a few agents."""

from __future__ import annotations

import pytest

from benchmarks.options import measure
from benchmarks.report import option_table, page_parts


@pytest.mark.integration
def test_options_are_counted_and_shared() -> None:
    """Six agents share what can be shared, each makes the calls of their own steps, and gets what the rules give."""
    calls = measure(6, ("skills_and_phone", "phone_off", "all"))["options"]["calls_per_agent"]

    # One read of profiles for all; and for `all` one call each for division, role, group and queue.
    assert calls == {
        "skills_and_phone": round(3 + 1 / 6, 3),
        "phone_off": round(1 + 1 / 6, 3),
        "all": round(5 + 5 / 6, 3),
    }


def test_the_table_says_what_each_takes_beside_the_usual() -> None:
    """Each option stands beside skills and phone; what was not measured fills nothing."""
    held = {"agents": 6, "calls_per_agent": {"skills_and_phone": 3.01, "queues": 3.02, "phone_off": 1.01}}

    assert option_table(held).row_count == 3
    assert "| queues | 3.02 | +0.01 |" in page_parts([], [], {}, held)["options"]
    assert "options" not in page_parts([], [], {})
    assert option_table(None).row_count == 0
