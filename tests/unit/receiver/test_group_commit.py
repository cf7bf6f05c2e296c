"""Openings on their way into the ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builders import an_opening
from jitprov.errors import DependencyDown
from jitprov.receiver.group_commit import GroupCommit
from switched_ledger import SwitchedLedger


@pytest.fixture
def ledger() -> Iterator[SwitchedLedger]:
    ledger = SwitchedLedger()
    yield ledger
    ledger.go_on.set()


def test_merges_requests(ledger: SwitchedLedger) -> None:
    """Fifty requests that wait share one write, each with its own answer."""
    commit = GroupCommit(ledger, 20.0)
    ledger.go_on.clear()
    commit.submit([an_opening()])
    ledger.called.wait(10)
    openings = [an_opening() for _ in range(50)]
    futures = [commit.submit([opening]) for opening in openings]
    ledger.go_on.set()

    answered = [future.result(10)[0].user_id for future in futures]
    assert answered == [opening.user_id for opening in openings]
    assert ledger.batches == [1, 50]
    assert commit.close()


def test_tells_only_of_new_ones(ledger: SwitchedLedger) -> None:
    """Only provisionings that the write made are told of, not those that were there."""
    told: list[str] = []
    commit = GroupCommit(ledger, 20.0, told.extend)
    opening = an_opening()
    again = an_opening(user_id=opening.user_id)

    accepted = commit.submit([opening, again]).result(10)

    assert [acceptance.duplicate for acceptance in accepted] == [False, True]
    assert told == [opening.provisioning_id]
    assert commit.close()


def test_late_write_is_told(ledger: SwitchedLedger) -> None:
    """A write that outlives its request is told of all the same: its sender's retry will be a duplicate."""
    told: list[str] = []
    commit = GroupCommit(ledger, 20.0, told.extend)
    ledger.go_on.clear()
    opening = an_opening()
    future = commit.submit([opening])
    ledger.called.wait(10)

    assert not future.cancel()
    ledger.go_on.set()
    assert commit.close()
    assert told == [opening.provisioning_id]


def test_ledger_away(ledger: SwitchedLedger) -> None:
    """While the ledger is away the future says so and nobody is told of anything."""
    told: list[str] = []
    commit = GroupCommit(ledger, 20.0, told.extend)
    ledger.away = True

    with pytest.raises(DependencyDown):
        commit.submit([an_opening()]).result(10)
    assert told == []
    assert commit.alive
    assert commit.close()
