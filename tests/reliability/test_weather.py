"""The plan of a chaos run: the same seed plans the same, and enough of it."""

from __future__ import annotations

from collections import Counter

from jitprov.sandbox.faults import FaultBook
from reliability.weather import api_faults, blows


def test_the_same_seed_plans_the_same() -> None:
    """A run is told by its seed."""
    assert blows(7, kills=110, within_s=200) == blows(7, kills=110, within_s=200)
    assert api_faults(7, within_api_s=1200) == api_faults(7, within_api_s=1200)
    assert blows(7, kills=110, within_s=200) != blows(8, kills=110, within_s=200)


def test_everybody_is_struck() -> None:
    """Each process is killed, and paused processes and cut connections come beside the kills that were asked for."""
    planned = blows(7, kills=110, within_s=200)

    assert sum(blow.how.startswith("kill") for blow in planned) == 110
    killed = Counter(blow.victim for blow in planned if blow.how.startswith("kill"))
    assert set(killed) == {"worker-0", "worker-1", "receiver", "reconciler", "redis"}
    assert {blow.how for blow in planned} >= {"pause", "cut", "kill a child", "kill the main process alone"}
    assert planned == sorted(planned, key=lambda blow: blow.at_s)


def test_the_sandbox_understands_the_rules() -> None:
    """Every fault that is planned is one that the sandbox can do."""
    book = FaultBook(seed=1)

    book.put([*api_faults(7, within_api_s=1200)])

    assert {rule.kind for rule in book.rules} >= {
        "retry_after", "status", "reset", "truncate", "bad_json", "wrong_type", "html200", "hang", "expire_token",
    }  # fmt: skip
