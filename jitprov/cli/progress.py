"""Where the agents stand at this moment, as numbers and as a picture for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jitprov.budget import Budget, BudgetState
from jitprov.domain.forecast import Allowance, time_left
from jitprov.domain.provisioning import CORRIDOR, State
from jitprov.domain.rehearsal import Stations
from jitprov.ledger import Ledger
from jitprov.settings import Settings


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where the agents stand.

    Attributes:
        expected: Agents that are to come, ready ones included.
        counts: Agents by state.
        waiting_for: Agents that wait, by reason.
        calls_left: API calls that the accepted ones still need.
        budget: The meter.
        time_left_s: Real seconds until the last accepted one is ready; None before anything is known.
    """

    expected: int
    counts: Mapping[State, int]
    waiting_for: Mapping[str, int]
    calls_left: int
    budget: BudgetState
    time_left_s: float | None

    @property
    def ended(self) -> int:
        """Agents that are ready, failed or cancelled."""
        return sum(self.counts[state] for state in State if state.ended)


def take_snapshot(ledger: Ledger, budget: Budget, chosen: Settings, *, expected: int) -> Snapshot:
    """Read ledger and meter once.

    Args:
        ledger: The truth.
        budget: The meter.
        chosen: The settings of the workers.
        expected: Agents that are to come.
    """
    counts = ledger.count()
    open_ones = ledger.page([state for state in State if not state.ended], limit=expected)
    waiting = Counter(record.waiting_for or "" for record in open_ones if record.state is State.WAITING)
    meter = budget.state()
    left = time_left(
        open_ones,
        ledger.ping(),
        allowance_of(chosen, limit_per_min=meter.limit_per_min),
        Stations(wait_s=chosen.station_first_look_s),  # looked up: errs on the long side
        paused_s=meter.paused_s * chosen.time_scale,
    )
    left_s = left.last_s / chosen.time_scale if counts else None
    return Snapshot(expected, counts, dict(waiting), left.calls, meter, left_s)


def allowance_of(chosen: Settings, *, limit_per_min: int = 0, tokens: int = 1) -> Allowance:
    """Return what the settings allow.

    Args:
        chosen: The settings.
        limit_per_min: Instead of theirs, when not 0.
        tokens: Tokens in use.
    """
    return Allowance(
        limit_per_min=limit_per_min or chosen.api_limit_per_min,
        headroom=chosen.api_headroom,
        tokens=tokens,
        burst=chosen.api_burst,
        slots=chosen.worker_concurrency,
        time_scale=chosen.time_scale,
    )


def draw(now: Snapshot, *, elapsed_s: float | None = None) -> RenderableType:
    """Return the picture: a bar of agents by state, the budget, and what waits for what.

    Args:
        now: What was read.
        elapsed_s: Real seconds since the first sign-in, where it is known.
    """
    ready, failed = now.counts[State.READY], now.counts[State.FAILED]
    arrived = sum(now.counts.values())
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", width=10)
    table.add_column()
    table.add_row("agents", ProgressBar(total=max(now.expected, 1), completed=ready, width=50))
    table.add_row(
        "",
        Text.assemble(
            f"arrived {arrived}/{now.expected}   ",
            (f"running {now.counts[State.RUNNING]}", "cyan"),
            f"   accepted {now.counts[State.ACCEPTED]}   ",
            (f"waiting {now.counts[State.WAITING]}", "yellow"),
            "   ",
            (f"ready {ready}", "green"),
            "   ",
            (f"failed {failed}", "bold red" if failed else "dim"),
        ),
    )
    meter = now.budget
    table.add_row("budget", ProgressBar(total=meter.limit_per_min, completed=meter.spent_last_min, width=50))
    paused = f"   paused {meter.paused_s:.0f} s: {meter.pause_reason}" if meter.paused_s else ""
    table.add_row(
        "",
        f"{meter.spent_last_min} of {meter.limit_per_min} calls in the last API minute, "
        f"{meter.spent_total} in all{paused}",
    )
    why = (
        ", ".join(f"{reason} {number}" for reason, number in now.waiting_for.items())
        or "nobody waits for anything but the budget"
    )
    table.add_row("waits", why)
    since = f"{elapsed_s:.0f} s since the first sign-in   " if elapsed_s is not None else ""
    left = f"about {now.time_left_s:.0f} s left" if now.time_left_s is not None else ""
    return Group(table, Text(since + left, style="dim"))


def steps_line() -> str:
    """Return the corridor in one line."""
    return " → ".join(CORRIDOR)
