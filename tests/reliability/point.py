"""One crash point: one agent signs in, one process dies at one send, its supervisor starts it anew, all comes to rest.

The parts are jitprov's own commands, with timeouts, lease and grace as short as their settings allow and a broker that
gives a dead worker's messages back after 10 s in place of 300; once the agent has ended, at once.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import requests
from redis import Redis

from jitprov.domain.provisioning import Provisioning
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.names import QUEUES
from jitprov.sealing import Seals
from reliability import invariants
from reliability.invariants import Evidence, Found
from reliability.lane import CLIENT_SECRET, DATA_KEY, WEBHOOK_KEY, Forked, Lane, Late, until
from reliability.tripwire import Armed, Phase, Tripwire

PLAIN_QUEUE = "celery"
_QUIET_WITHIN_S = 75.0
_RETURNED_WITHIN_S = 6.0
# A message that comes back is in neither place for a moment.
_LOOKS_IN_A_ROW = 4
_HURRIED = "jitprov.celery:app"
# Where a worker dies the agent walks all seven steps; elsewhere the five of everyone.
_WALKS_ALL = "Seasonal_Lead"
_WALKS_FIVE = "Seasonal_Retail"


@dataclass(frozen=True, slots=True)
class Point:
    """Where somebody dies.

    Attributes:
        system: `jitprov`, or `plain`: the chain of benchmarks/plain_chains.py.
        subject: `worker` (one thread), `pool` (main process of a forking worker), `child` (its child), `receiver`,
            `reconciler`.
        phase: See `Tripwire`.
        n: At the how manieth send.
    """

    system: str
    subject: str
    phase: Phase
    n: int

    @property
    def name(self) -> str:
        """A word for files."""
        return f"{self.system}-{self.subject}-{self.phase}-{self.n:03}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of it.

    Attributes:
        point: Which.
        reached: Whether the process came so far, and died.
        sends: How much the process sent in all.
        what: What it was sending when it died.
        wrong: What did not hold, by invariant.
        lost: Whether the agent was lost.
        phone_calls: How often the phone was asked for.
        phones: How many the agent has.
        recovery_s: From the death until the agent's end, in real seconds.
        republished: How often the reconciler stepped in.
        took_s: The whole run.
        trace: All that the process sent, in order.
    """

    point: Point
    reached: bool
    sends: int
    what: str
    wrong: Mapping[str, Found] = field(default_factory=dict)
    lost: bool = False
    phone_calls: int = 0
    phones: int = 0
    recovery_s: float = 0.0
    republished: int = 0
    took_s: float = 0.0
    trace: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it for a line of JSON."""
        return asdict(self)


@dataclass(slots=True)
class Watch:
    """What is seen while it goes on: the ledger's states in the order they came, and when the end came."""

    ledger: RedisLedger
    user_id: str
    last: Provisioning | None = None
    went_back: list[str] = field(default_factory=list)
    ended_at: float | None = None

    def look(self) -> bool:
        """Look once; tell whether it ended."""
        now = self.ledger.find(self.user_id)
        if now and self.last and (now.generation, now.step.number) < (self.last.generation, self.last.step.number):
            self.went_back.append(now.provisioning_id)
        self.last = now
        if now and now.state.ended:
            self.ended_at = self.ended_at or time.time()
            return True
        self.ended_at = None
        return False


def run(lane: Lane, point: Point) -> Result:
    """Run one point."""
    began = time.monotonic()
    lane.begin_run(point.name)
    try:
        made = (_Plain if point.system == "plain" else _Ours)(lane, point).run()
    finally:
        lane.end_run()
    reached = lane.run_folder / "tripped"
    trace = (lane.run_folder / "trace").read_text().splitlines() if (lane.run_folder / "trace").exists() else []
    sent = [line.partition(" ")[2] for line in trace]
    what = sent[point.n - 1] if 0 < point.n <= len(sent) else ""
    return Result(point, reached.exists(), len(sent), what, **made, took_s=time.monotonic() - began, trace=sent)


class _Run:
    def __init__(self, lane: Lane, point: Point) -> None:
        self.lane, self.point = lane, point
        walks_all = point.system == "jitprov" and point.subject in {"worker", "pool", "child"}
        department = _WALKS_ALL if walks_all else _WALKS_FIVE
        (user,), (event,) = lane.control.sign_in_silently(1, departments=[department])
        self.user, self.event = user, event
        self.user_id = str(user["id"])
        self.redis = Redis.from_url(lane.redis.url)

    def wire(self, armed: Armed) -> Tripwire:
        folder = self.lane.run_folder
        return Tripwire(self.point.n, self.point.phase, armed, folder / "trace", folder / "tripped")

    def died_at(self) -> float | None:
        told = self.lane.run_folder / "tripped"
        return float(told.read_text() or 0) or None if told.exists() else None

    def queued(self, *queues: str) -> int:
        return sum(self.redis.llen(queue) for queue in queues)

    def phones_asked_for(self) -> int:
        return sum(
            entry["method"] == "POST" and str(entry["path"]).endswith("/phones")
            for entry in invariants.all_requests(self.lane.control)
        )


class _Ours(_Run):
    """jitprov's own parts: receiver, reconciler, one worker."""

    def run(self) -> dict[str, Any]:
        lane, subject = self.lane, self.point.subject
        monitor = Redis.from_url(lane.redis.url).monitor()
        monitor.__enter__()
        self._monitor = monitor
        ledger = RedisLedger.connect(lane.redis.url, "jitprov:", seals=Seals(DATA_KEY))
        watch = Watch(ledger, self.user_id)

        self.receiver = self._start_receiver(self.wire("start") if subject == "receiver" else None)
        self._deliver()
        if subject == "receiver":
            self._deliver()  # and once more: a sender may repeat what was accepted
        elif subject == "reconciler":
            until(lambda: self.queued(*QUEUES) > 0, within_s=30, what="the chain is sent")
            self.redis.delete(*QUEUES)  # the message is lost: only the reconciler can save the agent
        worker = self._start_worker(self._wire_of_worker())
        reconciler = self._start_reconciler(self.wire("start") if subject == "reconciler" else None)

        def restart() -> None:
            nonlocal worker, reconciler
            if not worker.alive():
                worker = self._start_worker(None)
            if not reconciler.alive():
                reconciler = self._start_reconciler(None)
            if not self.receiver.alive():
                self.receiver = self._start_receiver(None)

        began, still = time.monotonic(), 0
        while still < _LOOKS_IN_A_ROW and time.monotonic() - began < _QUIET_WITHIN_S:
            restart()
            rests = watch.look() and not self.queued(*QUEUES) and not self._held_back(watch)
            still = still + 1 if rests else 0
            time.sleep(0.05)
        quiet = still == _LOOKS_IN_A_ROW
        evidence = self._evidence(ledger, watch, time.monotonic() - began if quiet else None)
        wrong = invariants.judge(evidence)
        died_at = self.died_at()
        ledger.close()
        monitor.__exit__(None, None, None)
        record = watch.last
        return {
            "wrong": wrong,
            "lost": "I1" in wrong,
            "phone_calls": self.phones_asked_for(),
            "phones": len(evidence.users[self.user_id]["phones"]),
            "recovery_s": watch.ended_at - died_at if watch.ended_at and died_at else 0.0,
            "republished": record.republished if record else 0,
        }

    def _held_back(self, watch: Watch) -> bool:
        """Tell whether the broker still holds messages as taken; makes their time be over, so that they come back."""
        taken: list[Any] = self.redis.zrange("unacked_index", 0, -1)
        if not taken or time.time() - (watch.ended_at or 0) > _RETURNED_WITHIN_S:
            return False
        self.redis.zadd("unacked_index", dict.fromkeys(taken, 0), xx=True)
        return True

    def _wire_of_worker(self) -> Tripwire | None:
        armed: dict[str, Armed] = {"worker": "worker_ready", "pool": "worker_ready", "child": "child"}
        return self.wire(armed[self.point.subject]) if self.point.subject in armed else None

    def _start_worker(self, wire: Tripwire | None) -> Forked:
        pool = "prefork" if self.point.subject in {"pool", "child"} else "solo"
        return self.lane.start("jitprov", "worker", "--pool", pool, wire=wire, hurried=_HURRIED)

    def _start_reconciler(self, wire: Tripwire | None) -> Forked:
        return self.lane.start("jitprov", "reconciler", wire=wire)

    def _start_receiver(self, wire: Tripwire | None) -> Forked:
        part = self.lane.start("jitprov", "receiver", wire=wire)
        until(lambda: self._listens() or not part.alive(), within_s=30, what="the receiver listens")
        return part

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.lane.receiver_port), 1).close()
        except OSError:
            return False
        return True

    def _deliver(self) -> None:
        """Send the event as EventBridge does: again and again until it is accepted."""
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            if not self.receiver.alive():
                self.receiver = self._start_receiver(None)
            try:
                answer = requests.post(
                    f"http://127.0.0.1:{self.lane.receiver_port}/events",
                    json=self.event,
                    headers={"X-API-Key": WEBHOOK_KEY, "Connection": "close"},
                    timeout=5,
                )
            except requests.RequestException:
                time.sleep(0.1)
                continue
            if answer.status_code == 202:
                return
            if answer.status_code < 500:
                raise Late(f"the receiver answered {answer.status_code}: {answer.text[:300]}")
            time.sleep(0.1)
        raise Late("the event was not accepted")

    def _evidence(self, ledger: RedisLedger, watch: Watch, quiet_within_s: float | None) -> Evidence:
        control = self.lane.control
        # The API says 202 before a default station is set.
        until(self._station_is_set, within_s=3)
        record = watch.last
        event_id = str(self.event["detail"]["eventBody"]["id"])
        served = ledger.find(event_id)
        return Evidence(
            accepted={event_id: self.user_id},
            records=invariants.records_of(ledger),
            by_event={event_id: served.provisioning_id} if served else {},
            users={str(user["id"]): user for user in control.state()["users"]},
            oracle=control.oracle(),
            journal=invariants.all_requests(control),
            logs=self.lane.logs(),
            secrets={
                "client secret": CLIENT_SECRET.encode(),
                "webhook key": WEBHOOK_KEY.encode(),
                "data key": DATA_KEY.encode(),
                "agent's e-mail": str(self.user["email"]).encode(),
                "agent's name": str(self.user["name"]).encode(),
            },
            keys=invariants.lasting_keys(self.redis),
            held=invariants.held_outside_the_ledger(self.redis),
            queued=self.queued(*QUEUES),
            chains=invariants.chains_begun(self._pushed()),
            went_back=watch.went_back,
            acl_log=self.redis.acl_log(),
            quiet_within_s=quiet_within_s,
            # Killed between sending again and noting that it was sent again.
            extra_chains=int(self.point.subject == "reconciler" and record is not None),
        )

    def _station_is_set(self) -> bool:
        (user,) = self.lane.control.state(self.user_id)["users"]
        return bool(user["phones"]) and user["default_station_id"] == user["phones"][0]["station_id"]

    def _pushed(self) -> list[str]:
        """Return what was pushed into queues, as Redis itself saw it."""
        self.redis.echo("that-is-all")
        pushed: list[str] = []
        while True:
            seen = str(self._monitor.next_command()["command"])
            if seen == "ECHO that-is-all":
                return pushed
            verb, _, rest = seen.partition(" ")
            if verb == "LPUSH":
                pushed.append(rest.partition(" ")[2])


class _Plain(_Run):
    """A plain chain: no ledger, so it is published once, and that counts as accepted."""

    def run(self) -> dict[str, Any]:
        publisher = self.lane.start("benchmarks.plain_chains", self.user_id)
        until(lambda: self.queued(PLAIN_QUEUE) > 0, within_s=30, what="the chain is sent")
        publisher.kill()
        worker = self._start_worker(self.wire("worker_ready"))
        began, still_since = time.monotonic(), None
        while time.monotonic() - began < _QUIET_WITHIN_S:
            if not worker.alive():
                worker = self._start_worker(None)
                still_since = None
            busy = self.queued(PLAIN_QUEUE) or self.redis.hlen("unacked")
            if busy or not worker.says("ready."):
                still_since = None
            elif still_since is None:
                still_since = time.monotonic()
            elif time.monotonic() - still_since > 0.6:
                break
            time.sleep(0.05)
        until(self._is_ready, within_s=1)
        (user,) = self.lane.control.state(self.user_id)["users"]
        return {
            "lost": not self._is_ready(),
            "phone_calls": self.phones_asked_for(),
            "phones": len(user["phones"]),
        }

    def _is_ready(self) -> bool:
        (user,) = self.lane.control.state(self.user_id)["users"]
        skills = {skill["name"]: skill["proficiency"] for skill in user["skills"]}
        stations = {phone["station_id"] for phone in user["phones"]}
        return bool(skills == invariants.SKILLS["Seasonal_Retail"] and user["default_station_id"] in stations)

    def _start_worker(self, wire: Tripwire | None) -> Forked:
        return self.lane.start(
            "celery", *("-A", "benchmarks.plain_chains", "worker", "--pool", "solo", "--loglevel", "INFO"),
            wire=wire, hurried="benchmarks.plain_chains:app",
        )  # fmt: skip
