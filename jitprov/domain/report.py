"""Who was ready when, and what failed: the day in rows and in a few numbers. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import ceil
from statistics import median_low
from typing import Any

from jitprov.domain.provisioning import Provisioning, State

#: Columns of a row, in order.
COLUMNS = (
    "agent", "email", "department", "title", "user_id", "state", "step", "accepted_at", "ended_at", "took_s",
    "attempts", "retries", "code", "http_status", "correlation_id", "retry_helps", "remedy", "task_id",
    "left_out",
)  # fmt: skip
# A spreadsheet takes what begins so for a formula; names and addresses are other people's text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Share:
    """How one department, or all, did.

    Attributes:
        agents: Accepted.
        states: Of these, by state.
        first_s: Seconds from acceptance to call-ready of the quickest; None when none is ready, here and below.
        median_s: The median.
        p95_s: 95 of 100 were at most this quick.
        last_s: The slowest.
    """

    agents: int
    states: dict[State, int]
    first_s: float | None
    median_s: float | None
    p95_s: float | None
    last_s: float | None


def row_of(record: Provisioning) -> dict[str, Any]:
    """Return one agent as plain values under `COLUMNS`; times as ISO 8601 in UTC, absent values empty."""
    profile, failure = record.findings.profile, record.failure
    values = (
        profile.name if profile else "",
        profile.email if profile else "",
        profile.department if profile else "",
        profile.title if profile else "",
        record.user_id,
        record.state.value,
        record.step.value,
        record.accepted_at.isoformat(timespec="milliseconds"),
        record.ended_at.isoformat(timespec="milliseconds") if record.ended_at else "",
        round((record.ended_at - record.accepted_at).total_seconds(), 1) if record.ended_at else "",
        sum(held.attempts for held in record.steps.values()),
        record.generation - 1,
        failure.code if failure else "",
        failure.http_status or "" if failure else "",
        failure.correlation_id or "" if failure else "",
        failure.retry_helps if failure else "",
        failure.remedy.replace("jitprov retry ID", f"jitprov retry {record.task_id()}") if failure else "",
        record.task_id(),
        "; ".join(record.findings.wanted.left_out) if record.findings.wanted else "",
    )
    return dict(zip(COLUMNS, values, strict=True))


def as_cell(value: object) -> object:
    """Return a value for a spreadsheet's cell: text that would be taken for a formula is made plain text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def accepted_since(records: Iterable[Provisioning], since: datetime | None) -> list[Provisioning]:
    """Return those accepted at an instant or later; all when it is None."""
    return [record for record in records if since is None or record.accepted_at >= since]


def shares_of(records: Sequence[Provisioning]) -> dict[str, Share]:
    """Return how all did, under `all`, and each department by name; who has no profile yet counts as `not read yet`."""
    groups: defaultdict[str, list[Provisioning]] = defaultdict(list)
    for record in records:
        profile = record.findings.profile
        groups[(profile.department or "no department") if profile else "not read yet"].append(record)
    return {"all": _share(records), **{name: _share(groups[name]) for name in sorted(groups)}}


def share_as_json(share: Share) -> dict[str, Any]:
    """Return a share as plain values."""
    return asdict(share)


def _share(records: Sequence[Provisioning]) -> Share:
    took = sorted(
        (record.ended_at - record.accepted_at).total_seconds()
        for record in records
        if record.state is State.READY and record.ended_at
    )
    states = {state: number for state in State if (number := sum(1 for each in records if each.state is state))}
    if not took:
        return Share(len(records), states, None, None, None, None)
    p95_s = took[ceil(len(took) * 0.95) - 1]
    return Share(len(records), states, took[0], median_low(took), p95_s, took[-1])
