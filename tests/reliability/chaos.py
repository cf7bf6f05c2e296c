"""`make chaos`: a whole morning while processes are killed at random by seed and the API misbehaves in every way.

Receiver, two workers, reconciler and Redis run as `jitprov` starts them, under a supervisor that starts anew whatever
ended; a sender delivers like EventBridge. When the last process was struck all must come to rest by itself, the API as
bad as before, and the same invariants are judged as after each crash point. Seed, blows and fault rules are the same
for the same seed; which request or moment they meet is not (`reliability.weather`).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from jitprov.domain.provisioning import Provisioning, State
from jitprov.errors import DependencyDown
from jitprov.ledger.redis import RedisLedger
from jitprov.sealing import Seals
from reliability import invariants
from reliability.invariants import Evidence
from reliability.lane import CLIENT_SECRET, DATA_KEY, WEBHOOK_KEY, Forked, Lane, Late, warm_up
from reliability.report import ROOT, Row, record
from reliability.weather import Blow, api_faults, blows

FOLDER = ROOT / "build/chaos"
_DEPARTMENTS = ("Seasonal_Retail", "Seasonal_Tech_Support")
_DUPLICATED_SHARE = 0.15
# A request that had left when the 429 came; real seconds.
_IN_FLIGHT_S = 0.25
_LOOK_EVERY_S = 10.0
_POOL_GAVE_UP = "WorkerLostError('Could not start worker processes')"


@dataclass(frozen=True, slots=True)
class Size:
    """How big a run is.

    Attributes:
        agents: Who signs in.
        kills: At least so many processes are killed.
        weather_s: How long, in real seconds; the clock stands still while who is to be struck is not up yet.
        time_scale: API seconds per real second.
        stuck_after_s: For so long nothing may stand still afterwards, while all is not yet at rest.
    """

    agents: int = 2000
    kills: int = 110
    weather_s: float = 240.0
    time_scale: float = 6.0
    stuck_after_s: float = 90.0


QUICK = Size(agents=150, kills=12, weather_s=22.0, time_scale=8.0)


@dataclass
class Morning:
    """One run."""

    lane: Lane
    size: Size
    seed: int
    parts: dict[str, Forked] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    went_back: set[str] = field(default_factory=set)
    seen: dict[str, Provisioning] = field(default_factory=dict)
    up: set[int] = field(default_factory=set)
    redis_back_at: float | None = None

    def run(self) -> tuple[dict[str, Any], bool]:
        """Run it; return the figures and whether all held."""
        self.lane.begin_run("morning")
        users, events = self.lane.control.sign_in_silently(self.size.agents, departments=list(_DEPARTMENTS))
        scale = self.size.time_scale
        now_api_s = float(self.lane.control.healthz()["now_s"])
        rules = api_faults(self.seed, within_api_s=self.size.weather_s * scale)
        for rule in rules:
            if "between" in rule["match"]:
                rule["match"]["between"] = [now_api_s + each for each in rule["match"]["between"]]
        self.lane.control.faults(rules)
        self.ledger = RedisLedger.connect(self.lane.redis.url, "jitprov:", seals=Seals(DATA_KEY), timeout_s=2.0)
        for name in ("worker-0", "worker-1", "receiver", "reconciler"):
            self._start(name)
        sender = self._send(events)
        began = time.monotonic()
        self._storm(blows(self.seed, kills=self.size.kills, within_s=self.size.weather_s), began)
        calm_from = time.monotonic()
        quiet = self._calm(sender, calm_from)
        fired = {rule["id"]: rule["fired"] for rule in self.lane.control.faults()}
        evidence, told = self._evidence(users, time.monotonic() - calm_from if quiet else None)
        wrong = invariants.judge(evidence)
        return self._figures(evidence, told, fired, wrong, time.monotonic() - began), not wrong

    # --- what happens ---------------------------------------------------------------------------------------

    def _start(self, name: str) -> None:
        self.starts[name] += 1
        arguments = ["worker", "--hostname", f"{name}@%h"] if name.startswith("worker") else [name]
        self.parts[name] = self.lane.start("jitprov", *arguments)

    def _supervise(self) -> None:
        for name, part in self.parts.items():
            if not part.alive():
                self._start(name)
        if self.redis_back_at and time.monotonic() > self.redis_back_at:
            self.lane.redis.start()
            self.redis_back_at = None

    def _storm(self, planned: Sequence[Blow], began: float) -> None:
        waking: list[tuple[float, int]] = []
        looked = before = began
        weather_s = 0.0
        while planned or waking or self.redis_back_at:
            now = time.monotonic()
            for at, pid in [each for each in waking if each[0] <= now]:
                waking.remove((at, pid))
                _signal_group(pid, signal.SIGCONT)
            if planned and planned[0].at_s <= weather_s and not self._is_up(planned[0].victim):
                weather_s -= now - before
            weather_s, before = weather_s + now - before, now
            while planned and planned[0].at_s <= weather_s and self._is_up(planned[0].victim):
                blow, *planned = planned
                waking += self._strike(blow)
            self._supervise()
            if now - looked > _LOOK_EVERY_S and not self.redis_back_at:
                self._look()
                looked = time.monotonic()
            time.sleep(0.05)

    def _is_up(self, name: str) -> bool:
        """Tell whether there is anything to strike: a worker that takes messages, a receiver that listens."""
        if name == "redis":
            return self.redis_back_at is None
        part = self.parts[name]
        word = {"receiver": "receiver_listening", "reconciler": "reconciler_started"}.get(name, "worker_ready")
        if part.alive() and part.pid not in self.up and part.says(word):
            self.up.add(part.pid)
        return part.alive() and part.pid in self.up

    def _strike(self, blow: Blow) -> list[tuple[float, int]]:
        self.done[f"{blow.victim.partition('-')[0]}: {blow.how}"] += 1
        if blow.victim == "redis":
            return self._strike_redis(blow)
        pid = self.parts[blow.victim].pid
        if blow.how == "pause":
            _signal_group(pid, signal.SIGSTOP)
            return [(time.monotonic() + blow.for_s, pid)]
        if blow.how == "kill a child" and (children := _children_of(pid)):
            pid = children[int(blow.pick * len(children))]
            _signal(pid, signal.SIGKILL)
        elif blow.how == "kill the main process alone":
            _signal(pid, signal.SIGKILL)
        else:
            _signal_group(pid, signal.SIGKILL)
        return []

    def _strike_redis(self, blow: Blow) -> list[tuple[float, int]]:
        if blow.how == "kill":
            self.lane.redis.kill()
            self.redis_back_at = time.monotonic() + 0.2 + blow.pick
        elif blow.how == "pause":
            pid = self.lane.redis.pid
            if pid:
                _signal(pid, signal.SIGSTOP)
                return [(time.monotonic() + blow.for_s, pid)]
        elif not self.redis_back_at:
            with _redis(self.lane) as client:
                try:
                    client.client_kill_filter(_type="normal", skipme=True)
                except RedisError:
                    self.done["redis: cut"] -= 1
        return []

    def _send(self, events: Sequence[Mapping[str, Any]]) -> Forked:
        chance = random.Random(f"{self.seed}-sender")
        plan = []
        for event in events:
            at_s = chance.uniform(0, self.size.weather_s * 0.8)
            plan.append((at_s, event))
            if chance.random() < _DUPLICATED_SHARE:
                plan.append((at_s + chance.uniform(0, 10), event))
        plan.sort(key=lambda delivery: delivery[0])
        path = self.lane.run_folder / "plan.jsonl"
        path.write_text("".join(json.dumps({"at_s": at_s, "event": event}) + "\n" for at_s, event in plan))
        self.out = self.lane.run_folder / "sent.jsonl"
        self.out.touch()
        url = f"http://127.0.0.1:{self.lane.receiver_port}/events"
        sender = self.lane.start("reliability.sender", url, str(path), str(self.out))
        self.deliveries = len(plan)
        return sender

    # --- what is seen ---------------------------------------------------------------------------------------

    def _look(self) -> bool:
        """Look at all records; tell whether all have ended."""
        try:
            now = invariants.records_of(self.ledger)
        except DependencyDown:
            return False
        for provisioning_id, record_ in now.items():
            before = self.seen.get(provisioning_id)
            if before and (record_.generation, record_.step.number) < (before.generation, before.step.number):
                self.went_back.add(provisioning_id)
        self.seen = now
        return len(now) == self.size.agents and all(record_.state.ended for record_ in now.values())

    def _calm(self, sender: Forked, began: float) -> bool:
        client = Redis.from_url(self.lane.redis.url)
        stood: dict[State, int] = {}
        moved_at = began
        while time.monotonic() - moved_at < self.size.stuck_after_s:
            self._supervise()
            if (stands := self._count()) != stood:
                moved_at, stood = time.monotonic(), stands
            ended = sum(count for state, count in stands.items() if state.ended)
            if not sender.alive() and ended == self.size.agents and self._look():
                # All that dead workers held comes back now, and must change nothing.
                taken: list[Any] = client.zrange("unacked_index", 0, -1)
                if taken:
                    client.zadd("unacked_index", dict.fromkeys(taken, 0), xx=True)
                if not taken and not invariants.messages_left(client):
                    return True
            time.sleep(0.5)
        return False

    def _count(self) -> dict[State, int]:
        try:
            return dict(self.ledger.count())
        except DependencyDown:
            return {}

    def _evidence(
        self, users: Sequence[Mapping[str, Any]], quiet_within_s: float | None
    ) -> tuple[Evidence, list[dict[str, Any]]]:
        told = [json.loads(line) for line in self.out.read_text().splitlines()]
        users_of = {event["detail"]["eventBody"]["id"]: str(user["id"]) for user, event in self._pairs(users)}
        accepted = {each["event_id"]: users_of[each["event_id"]] for each in told if each["status"] == 202}
        by_user = {record_.user_id: record_ for record_ in self.seen.values()}
        client = Redis.from_url(self.lane.redis.url)
        control = self.lane.control
        return Evidence(
            accepted=accepted,
            records=self.seen,
            by_event={event: by_user[user].provisioning_id for event, user in accepted.items() if user in by_user},
            users={str(user["id"]): user for user in control.state()["users"]},
            oracle=control.oracle() | {"requests_inside_retry_after": len(self._inside_pauses())},
            journal=invariants.all_requests(control),
            # A pool whose child dies in its first moments gives up; the supervisor starts it anew.
            logs=self.lane.logs().replace(f"Unrecoverable error: {_POOL_GAVE_UP}", ""),
            secrets={
                "client secret": CLIENT_SECRET.encode(),
                "webhook key": WEBHOOK_KEY.encode(),
                "data key": DATA_KEY.encode(),
                **{f"agent {number}'s e-mail": str(user["email"]).encode() for number, user in enumerate(users[:100])},
            },
            keys=invariants.lasting_keys(client),
            held=invariants.held_outside_the_ledger(client),
            queued=invariants.messages_left(client),
            chains={},
            went_back=sorted(self.went_back),
            acl_log=client.acl_log(),
            quiet_within_s=quiet_within_s,
            may_fail=True,
            api_lies=True,
            # Celery tells of each lost connection with a traceback.
            noise=frozenset({"Traceback (most recent call last)"}),
        ), told

    def _pairs(self, users: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        by_id = {str(user["id"]): user for user in users}
        lines = (self.lane.run_folder / "plan.jsonl").read_text().splitlines()
        events = [json.loads(line)["event"] for line in lines]
        return [(by_id[event["detail"]["eventBody"]["entity"]["id"]], event) for event in events]

    def _inside_pauses(self) -> list[Mapping[str, Any]]:
        """Return the requests that left while a 429 bade everybody wait; those under way when it came do not count."""
        entries = invariants.all_requests(self.lane.control)
        rules = {
            rule["id"]: rule for rule in api_faults(self.seed, within_api_s=self.size.weather_s * self.size.time_scale)
        }
        pauses = []
        for entry in entries:
            if entry["status"] == 429 and str(entry["rule"]).startswith("storm"):
                answered = entry["arrived_wall_s"] + (entry["duration_ms"] or 0) / 1000
                wait_s = float(rules[entry["rule"]]["action"]["value"]) / self.size.time_scale
                pauses.append((answered + _IN_FLIGHT_S, answered + wait_s - 0.05))
        return [
            entry
            for entry in entries
            if str(entry["path"]).startswith("/api/")
            and any(begins < entry["arrived_wall_s"] < ends for begins, ends in pauses)
        ]

    # --- figures --------------------------------------------------------------------------------------------

    def _figures(
        self,
        evidence: Evidence,
        told: Sequence[Mapping[str, Any]],
        fired: Mapping[str, int],
        wrong: Mapping[str, Sequence[str]],
        took_s: float,
    ) -> dict[str, Any]:
        states = Counter(record_.state for record_ in evidence.records.values())
        met: Counter[str] = Counter()
        for each in told:
            met.update(each["met"])
        waits = sorted(
            (record_.ended_at - record_.accepted_at).total_seconds()
            for record_ in evidence.records.values()
            if record_.ended_at
        )
        return {
            "seed": self.seed,
            "agents": self.size.agents,
            "deliveries": self.deliveries,
            "accepted": len(evidence.accepted),
            "refused_for_good": sum(each["status"] not in (200, 202) for each in told),
            "sender_met": dict(met),
            "ready": states[State.READY],
            "failed": states[State.FAILED],
            "failures": dict(Counter(r.failure.code for r in evidence.records.values() if r.failure)),
            "lost": sum(text.startswith("lost") for text in wrong.get("I1", ())),
            "phones_other_than_one": sum(len(user["phones"]) != 1 for user in evidence.users.values()),
            "phones_asked_for": sum(
                entry["method"] == "POST" and str(entry["path"]).endswith("/phones") for entry in evidence.journal
            ),
            "requests": len(evidence.journal),
            "worst_window": evidence.oracle["worst_window"],
            "windows_over": evidence.oracle["windows_over"],
            "limit": evidence.oracle["limit"],
            "answers_429": evidence.oracle["answers_429"],
            "inside_pauses": evidence.oracle["requests_inside_retry_after"],
            "blows": dict(sorted(self.done.items())),
            "kills": sum(count for what, count in self.done.items() if "kill" in what),
            "starts": dict(self.starts),
            "api_faults": dict(fired),
            "republished": sum(record_.republished for record_ in evidence.records.values()),
            "to_ready_s": [waits[len(waits) // 2], waits[int(len(waits) * 0.99)], waits[-1]] if waits else [],
            "rest_after_s": evidence.quiet_within_s,
            "took_s": took_s,
            "wrong": {name: list(found)[:20] for name, found in wrong.items()},
        }


def _redis(lane: Lane) -> Redis:
    return Redis.from_url(lane.redis.url, socket_timeout=1)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        _signal(pid, number)


def _children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def rows_of(told: Mapping[str, Any]) -> list[Row]:
    """Return the rows of the page."""
    agents = told["agents"]
    p50, p99, worst = told["to_ready_s"]
    return [
        Row("agents signing in", agents),
        Row("deliveries, duplicates included", told["deliveries"]),
        Row("events accepted", told["accepted"], bar=f"{agents:,}"),
        Row("processes killed", told["kills"], bar="100 or more"),
        *(Row(f"— {what}", count) for what, count in told["blows"].items()),
        Row("API faults", sum(told["api_faults"].values())),
        *(Row(f"— {what}", count) for what, count in _storms_together(told["api_faults"]).items()),
        Row("ready", told["ready"]),
        Row("failed visibly", told["failed"]),
        Row("lost", told["lost"], bar="0"),
        Row("agents with other than one phone", told["phones_other_than_one"], bar="0 of those ready"),
        Row("requests", told["requests"]),
        Row(f"worst window of 60 s, of {told['limit']} allowed", told["worst_window"], bar=f"≤ {told['limit']}"),
        Row("requests that left during a pause", told["inside_pauses"], bar="0"),
        Row("messages sent again by the reconciler", told["republished"]),
        Row("from accepted to ended, p50 / p99 / max, s", f"{p50:.1f} / {p99:.1f} / {worst:.1f}"),
        Row("from the last blow to rest, s", round(told["rest_after_s"] or -1, 1)),
        Row("invariants that did not hold", ", ".join(told["wrong"]) or "none", bar="none"),
    ]


def _storms_together(faults: Mapping[str, int]) -> dict[str, int]:
    together: Counter[str] = Counter()
    for what, count in faults.items():
        together["429 storm" if what.startswith("storm") else what] += count
    return dict(together)


UNTESTED = [
    "Two machines: all processes share one clock and one loopback, so a network that parts workers is not tried.",
    "An API that applies one request twice by itself: nothing that a client does keeps one phone there.",
]


def main(size: Size, *, seed: int, published: bool) -> bool:
    """Run a morning; tell whether all held."""
    print(f"chaos: seed {seed}, {size.agents} agents, {size.kills} kills", flush=True)
    warm_up()
    shutil.rmtree(FOLDER, ignore_errors=True)
    settings = {
        "JITPROV_WORKER_CONCURRENCY": "4",
        "JITPROV_LEASE_S": "8",
        "JITPROV_MESSAGE_GRACE_S": "3",
        "JITPROV_RECONCILE_EVERY_S": "1",
        "JITPROV_LOG_LEVEL": "INFO",
    }
    options = {"seed": seed, "unique_phone_names": False}
    with Lane(FOLDER / "lane", options, settings, time_scale=size.time_scale) as lane:
        try:
            told, held = Morning(lane, size, seed).run()
        except Late as late:
            print(f"chaos: {late}")
            return False
    (FOLDER / "figures.json").write_text(json.dumps(told, indent=1))
    for row in rows_of(told):
        print(f"{row.name:50} {row.ours!s:>20}  {row.bar}")
    for name, found in told["wrong"].items():
        print(f"{name}: {'; '.join(found[:5])}")
    print(f'chaos: {told["took_s"]:.0f} s; the same again: make chaos CHAOS_ARGS="--seed {seed}"')
    if published:
        record(
            "chaos", command=f"make chaos CHAOS_ARGS='--seed {seed}'", rows=rows_of(told), untested=UNTESTED, seed=seed
        )
    return held and told["refused_for_good"] == 0
