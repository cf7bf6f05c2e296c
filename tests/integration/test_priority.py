"""Priorities with real parts: who came last may be ready first, and nobody begun is left standing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from builders import an_opening
from jitprov.domain.ids import task_id_of
from jitprov.domain.provisioning import ENTRANCE, State
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.names import task_name
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import read_settings
from jitprov.wiring import make_budget
from own_redis import OwnRedis, wait_until
from running import PROJECT, RealParts

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SLOTS = 2
TEAM_OF = {"high": "Seasonal_Tech_Support", "normal": "Seasonal_Retail", "low": "Payroll"}
RULES = """
version: 1
rules:
  - name: Support
    when: {{department: Seasonal_Tech_Support}}
    skills: {{Basic_Troubleshooting: 1.0}}
    {high}
  - name: Retail
    when: {{department: Seasonal_Retail}}
    skills: {{Customer_Service: 1.0}}
  - name: Payroll
    when: {{department: Payroll}}
    skills: {{Customer_Service: 1.0}}
    {low}
"""
RANKED = RULES.format(high="priority: high", low="priority: low")
UNRANKED = RULES.format(high="", low="")


class Morning:
    """People of three teams sign in, one team after the other, before any worker runs."""

    def __init__(self, parts: RealParts) -> None:
        self._parts = parts
        self.team: dict[str, str] = {}
        self.ledger: RedisLedger = parts.ledger()
        self.control = parts.sandbox.control
        self.redis_url = parts.redis.url

    def sign_in(self, priority: str, count: int) -> list[str]:
        users, _ = self.control.sign_in_silently(count, departments=[TEAM_OF[priority]])
        user_ids = [str(user["id"]) for user in users]
        self.ledger.accept([an_opening(user_id=user_id) for user_id in user_ids], look_after_s=0.5)
        self.team |= dict.fromkeys(user_ids, priority)
        return user_ids

    def let_through(self, rules: str, *, pause_s: float = 0.0) -> None:
        """Let everybody through: the reconciler sends the messages that nobody has sent, then a worker starts.

        Args:
            rules: The rules file.
            pause_s: How long people pause the budget once the first agent is begun; a slot is waited for a second then.
        """
        file = self._parts.folder / "rules.yaml"
        file.write_text(rules)
        self._parts.settings["JITPROV_RULES_FILE"] = str(file)
        self._parts.settings["JITPROV_WORKER_CONCURRENCY"] = str(SLOTS)
        # The first miss is noted at the first look, the message sent at the second.
        self._parts.start("reconciler", until="reconciled")
        if pause_s:
            self._parts.settings |= {"JITPROV_BUDGET_WAIT_MAX_S": "1", "JITPROV_API_LIMIT_PER_MIN": "60"}
        self._parts.worker()
        if pause_s:
            # At a fifth of the pace, and held from here: a fast machine would be through before a command has begun.
            with closing(make_budget(read_settings(**self._parts.own_settings()))) as budget:
                wait_until(lambda: bool(self.order_of("PATCH", "/routingskills/bulk")), within_s=60)
                budget.hold(reason="lunch")
                time.sleep(pause_s)
                budget.resume()
        wait_until(lambda: self.ledger.count()[State.READY] == len(self.team), within_s=120)

    def python(self, code: str, *told: str) -> str:
        """Run code as one of jitprov's parts; return what it printed."""
        environment = self._parts.environment()
        done = subprocess.run(
            [sys.executable, "-c", code, *told],
            env=environment,
            cwd=PROJECT,
            check=True,
            timeout=60,
            stdout=subprocess.PIPE,
        )
        return done.stdout.decode()

    def logs(self) -> str:
        """Return what the parts have said."""
        return self._parts.logs()

    def order_of(self, method: str, ending: str) -> list[str]:
        """Return whose turn it was, call by call."""
        journal: list[dict[str, Any]] = self.control.journal(limit=10_000)
        return [
            str(call["user_id"]) for call in journal if call["method"] == method and str(call["path"]).endswith(ending)
        ]

    def overtakers(self, order: list[str]) -> int:
        """Return how many stand before the last one of a team that should go first, summed over the teams."""
        ranks = [list(TEAM_OF).index(self.team[user_id]) for user_id in order]
        last = {rank: place for place, rank in enumerate(ranks)}
        return sum(rank > first for first, end in last.items() for rank in ranks[:end])


@pytest.fixture
def morning(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Morning]:
    options = SandboxOptions(time_scale=20, line_id_is_station_id=True)
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as parts:
        made = Morning(parts)
        yield made
        made.ledger.close()


def test_who_came_last_is_ready_first(morning: Morning) -> None:
    """Of a low, a normal and a high team that came in this order the high one is begun first and the low one last.

    What a slot takes up while the last profiles are being read is finished first: that many may be before their time.
    One whose first attempt failed keeps its place: it comes again before the others of its team have begun.
    """
    low, normal, high = (morning.sign_in(priority, 8) for priority in ("low", "normal", "high"))
    fails = {"match": {"method": "PATCH", "user": normal[0]}, "action": {"kind": "status", "code": 503}, "times": 1}
    morning.control.faults([fails])

    morning.let_through(RANKED)

    begun = morning.order_of("PATCH", "/routingskills/bulk")
    assert sorted(begun) == sorted([*low, *normal, *high, normal[0]])
    assert morning.overtakers(begun) <= SLOTS
    ready = sorted(morning.ledger.page(limit=100), key=lambda record: record.ended_at or record.updated_at)
    assert morning.overtakers([record.user_id for record in ready]) <= 3 * SLOTS
    last_begun = max(begun.index(user_id) for user_id in normal)
    assert begun.index(normal[0], begun.index(normal[0]) + 1) < last_begun


def test_without_priorities_agents_go_as_they_come(morning: Morning) -> None:
    """While no rule has a priority nobody overtakes, but for what the slots do side by side."""
    came = [user_id for priority in ("low", "normal", "high") for user_id in morning.sign_in(priority, 5)]

    morning.let_through(UNRANKED)

    begun = morning.order_of("PATCH", "/routingskills/bulk")
    assert sorted(begun) == sorted(came)
    assert all(abs(came.index(user_id) - place) <= 2 * SLOTS for place, user_id in enumerate(begun))


def test_the_order_outlasts_a_long_pause(morning: Morning) -> None:
    """After a pause far longer than a slot is waited for, no team has overtaken another, and no attempt was spent."""
    for priority in ("low", "normal", "high"):
        morning.sign_in(priority, 5)

    morning.let_through(RANKED, pause_s=6.0)

    assert morning.overtakers(morning.order_of("PATCH", "/routingskills/bulk")) <= 2 * SLOTS
    records = list(morning.ledger.page(limit=100))
    assert {held.attempts for record in records for held in record.steps.values() if held.ended_at} == {1}
    assert morning.logs().count('"code": "calls_held_up"') >= SLOTS


def test_what_waits_for_its_turn_is_seen_in_the_broker(morning: Morning) -> None:
    """A message with a priority lies in a list of its own, which the look into the broker finds amid rubbish."""
    (user_id,) = morning.sign_in("low", 1)
    record = morning.ledger.find(user_id)
    assert record is not None

    with Redis.from_url(morning.redis_url) as client:
        client.lpush(task_name(ENTRANCE), "no message", "[]", "{}")
        client.hset("unacked", "tag", "[7]")

    told = morning.python(
        "import sys; from jitprov.domain.provisioning import ENTRANCE; from jitprov.pipeline import chain; "
        "chain.enqueue(sys.argv[1], first=ENTRANCE, priority='low'); print(*chain.look_into_broker().queued)",
        record.provisioning_id,
    )

    assert told.split() == [task_id_of(record.provisioning_id, 1, ENTRANCE.number)]
    with Redis.from_url(morning.redis_url) as client:
        assert client.llen(f"{task_name(ENTRANCE)}\x06\x169") == 1
