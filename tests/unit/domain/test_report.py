"""The day in rows and numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders import NINE_AM, a_failure, a_profile, a_provisioning
from jitprov.domain.provisioning import Findings, Provisioning, State
from jitprov.domain.report import COLUMNS, accepted_since, as_cell, row_of, share_as_json, shares_of


def ready_after(seconds: float, department: str = "Seasonal_Retail") -> Provisioning:
    return a_provisioning(
        state=State.READY,
        ended_at=NINE_AM + timedelta(seconds=seconds),
        findings=Findings(profile=a_profile(department=department)),
    )


def test_a_row_tells_what_the_operator_needs() -> None:
    """A failed agent's row names cause, status, trace and the command with its own task id."""
    failed = a_provisioning(
        state=State.FAILED,
        ended_at=NINE_AM + timedelta(seconds=7.25),
        failure=a_failure(remedy="Mend it, then: jitprov retry ID"),
        findings=Findings(profile=a_profile()),
    )
    row = row_of(failed)

    assert tuple(row) == COLUMNS
    assert (row["agent"], row["department"], row["state"]) == ("Robin Example", "Seasonal_Retail", "failed")
    assert (row["code"], row["http_status"], row["correlation_id"]) == ("unavailable", 503, "c0ffee")
    assert row["remedy"] == f"Mend it, then: jitprov retry {failed.task_id()}"
    assert row["took_s"] == pytest.approx(7.2, abs=0.1)


def test_a_row_of_whom_nothing_is_known_is_empty_not_wrong() -> None:
    """An agent whose profile was not read yet has a row all the same."""
    row = row_of(a_provisioning())

    assert (row["agent"], row["ended_at"], row["took_s"], row["code"]) == ("", "", "", "")
    assert row["accepted_at"] == "2026-11-23T09:00:00.000+00:00"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_is_never_a_formula(text: str) -> None:
    """Text that a spreadsheet would compute is made plain; all else stays as it is."""
    assert as_cell(text) == f"'{text}"
    assert (as_cell("Robin"), as_cell(7.5), as_cell(True)) == ("Robin", 7.5, True)


def test_shares_count_by_department_and_time_only_the_ready() -> None:
    """First, median, 95 % and last are those of ready agents; each department has its own."""
    records = [ready_after(seconds) for seconds in range(1, 101)]
    records += [ready_after(500, "Seasonal_Tech_Support"), a_provisioning(), a_provisioning(state=State.FAILED)]
    shares = shares_of(records)

    assert list(shares) == ["all", "Seasonal_Retail", "Seasonal_Tech_Support", "not read yet"]
    retail = shares["Seasonal_Retail"]
    assert (retail.agents, retail.first_s, retail.median_s, retail.p95_s, retail.last_s) == (100, 1, 50, 95, 100)
    assert shares["all"].states == {State.ACCEPTED: 1, State.READY: 101, State.FAILED: 1}
    assert shares["all"].last_s == 500
    assert share_as_json(shares["not read yet"])["median_s"] is None


def test_since_takes_who_was_accepted_then_or_later() -> None:
    """The instant itself belongs to the report."""
    before, at = a_provisioning(accepted_at=NINE_AM - timedelta(seconds=1)), a_provisioning()

    assert accepted_since([before, at], NINE_AM) == [at]
    assert accepted_since([before, at], None) == [before, at]
