"""A world in one thread: receiver, workers, reconciler and operator as processes that stop before each of their calls.

Every call to the ledger, the broker or the API is a point at which the process can be left standing, struck by a fault,
or killed, before the call or after it; meanwhile others go on, and time passes. Real are the steps, the runner, the
reconciler, the operations, the memory ledger and the meter; the broker and the organization are small and treacherous.
Nothing here is random: who goes on, and what strikes, is decided from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from greenlet import getcurrent, greenlet

from builders import a_profile
from fake_organization import FakeOrganization, a_kit
from fixed_clock import FixedClock
from jitprov.budget import Permit
from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.domain.agent import Phone
from jitprov.domain.events import Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.outcomes import Done, Outcome, Retry, RetryPolicy, Skip, Snooze
from jitprov.domain.provisioning import Findings, Provisioning, Step
from jitprov.errors import DependencyDown, NotYetConsistent, OutcomeUnknown, RateLimited, Refused, Unavailable
from jitprov.genesys.last_moment import LastMoment
from jitprov.genesys.slot import pause_all, take_slot
from jitprov.ledger.book import BookMemory, Remembered
from jitprov.ledger.memory import MemoryLedger
from jitprov.ledger.memory_store import MemoryStore
from jitprov.pipeline import operations
from jitprov.pipeline.kit import Kit
from jitprov.pipeline.reconciler import InBroker, Reconciler
from jitprov.pipeline.runner import Runner
from jitprov.pipeline.steps import STEPS

GRACE_S, LEASE_S, VISIBILITY_S, COUNTDOWN_MAX_S, LEDGER_AWAY_S = 20.0, 60.0, 300.0, 120.0, 5.0
# Longest life of a request: connect and read timeout. A lease is longer than this and settle_s together (settings.py).
REQUEST_S = 13.0
LEAVE_WITHIN_S = (LEASE_S - REQUEST_S - 15.0) / 2
POLICY = RetryPolicy(attempts_max=3, backoff_base_s=2.0, backoff_cap_s=60.0, settle_s=15.0, waited_max_s=600.0)
STATION_WAIT_MAX_S = 300.0
# A phone that was made shows in the listing only so many seconds later.
LISTING_LAG_S = 10.0
LIMIT_PER_MIN = 40
SKILLS = {"id-of-Customer_Service": 1.0, "id-of-Order_Tracking": 2.0}
HAD = {"id-of-Billing": 4.0}

# What may strike a call, by whom it is for. All but the first word of the API's are what the real client makes of it.
FAULTS: dict[str, tuple[str, ...]] = {
    "ledger": ("die before", "die after", "away", "lose the answer", "twice"),
    "broker": ("die before", "die after", "away", "lose the answer", "twice"),
    "api": (
        "die before",
        "die after",
        "lose the answer",
        "refuse to answer",
        "limit",
        "not yet",
        "meter away",
        "defect before",
        "defect after",
        "forbid",
    ),
    "wait": ("die before",),
    "lease": ("die before",),
}


class Death(BaseException):
    """A process' end: nothing of what follows in it happens."""


@dataclass(frozen=True)
class Message:
    """A message in the broker; not handed out before `due_s`."""

    provisioning_id: str
    generation: int
    step: Step
    task_id: str
    due_s: float = 0.0


class Broker:
    """Holds messages: queued, or taken and not acknowledged. Nothing stops them from getting lost."""

    def __init__(self) -> None:
        self.queued: list[Message] = []
        self.taken: list[Message] = []

    def look(self) -> InBroker:
        return InBroker(
            frozenset(message.task_id for message in self.queued), frozenset(message.task_id for message in self.taken)
        )

    def send(self, record: Provisioning, step: Step | None = None) -> None:
        step = step or record.step
        self.queued.append(Message(record.provisioning_id, record.generation, step, record.task_id(step)))


class Process:
    """Something that runs until its next call, and then waits to be let on.

    Attributes:
        kind: What it is.
        at: The call that it stands before, as `whom.what`; empty when it has ended.
        since_s: Since when.
        wakes_s: Not before then.
        message: What a worker works on.
    """

    def __init__(self, kind: str, work: Callable[[], Any], ended: Callable[[Any], None]) -> None:
        self.kind = kind
        self.at = ""
        self.since_s = self.wakes_s = 0.0
        self.past: list[str] = []
        self.message: Message | None = None
        self._ended = ended
        self.greenlet = greenlet(lambda _: work())

    @property
    def alive(self) -> bool:
        return not self.greenlet.dead

    def go_on(self, now_s: float, fault: str = "") -> None:
        """Let it make the call that it stands before, struck by a fault or not, and run to the next."""
        self.past.append(f"{self.at} {fault}")
        try:
            told = self.greenlet.switch(fault)
        except Death:
            told = Death
        if self.alive:
            self.at, self.wakes_s = told
            self.since_s = now_s
        else:
            self.at = ""
            self._ended(told)

    def kill(self) -> None:
        """End it where it stands: its call is not made."""
        with suppress(Death):
            self.greenlet.throw(Death)
        self.at = ""
        self._ended(Death)


class FileInMemory(BookMemory):
    """What JITPROV_LEDGER_MEMORY does."""

    def __init__(self) -> None:
        super().__init__()
        self._held: Remembered | None = None

    def recall(self) -> Remembered | None:
        return self._held

    def keep(self, book: Remembered) -> None:
        self._held = book

    def keep_as(self, other: FileInMemory) -> None:
        self._held = other._held


class Stopping:
    """A stand-in that stops before each method of what it stands for."""

    def __init__(self, world: World, whom: str, real: Any) -> None:
        self._world, self._whom, self._real = world, whom, real

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        return lambda *args, **kwargs: self._world.call(f"{self._whom}.{name}", lambda: method(*args, **kwargs))


class SlowClock:
    """The clock of a process: waiting in it is a stop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.monotonic_s, self.wall_s = world.clock.monotonic_s, world.clock.wall_s

    def wait(self, api_s: float) -> None:
        if api_s > 0:
            self._world.sleep(api_s)


class Organization(FakeOrganization):
    """The organization behind the meter, as the transport reaches it: slot, then hold, then the request."""

    def __init__(self, world: World, *, line_id_is_station_id: bool) -> None:
        super().__init__(line_id_is_station_id=line_id_is_station_id, clock=world.slow_clock)
        self._world = world
        self._patience: Any = SimpleNamespace(time_scale=1.0, budget_wait_max_s=20.0)
        self._slot_taken = False
        self.requests_s: list[float] = []
        self.meddle = self._through_the_meter

    def create_phone(
        self, user_id: str, name: str, setup: object, *, about_to_send: Callable[[], None] = lambda: None
    ) -> Phone:
        last_moment = LastMoment(self._world.slow_clock, LEAVE_WITHIN_S)

        def hold() -> None:
            last_moment.held()
            about_to_send()

        self._take_slot(hold)
        self._world.call("lease.held", lambda: None)  # here it can stand still, and nothing has left yet
        last_moment.pass_through()
        last_moment.over()
        self._slot_taken = True
        return super().create_phone(user_id, name, setup)

    def _take_slot(self, about_to_send: Callable[[], None] = lambda: None) -> None:
        take_slot(self._world.budget, self._world.slow_clock, self._patience, about_to_send)

    def _through_the_meter(self, name: str, apply: Callable[[], Any]) -> Any:
        if not self._slot_taken:
            self._take_slot()
        self._slot_taken = False
        # It leaves now; what stands at this call is an answer on its way.
        self.requests_s.append(self._world.clock.monotonic_s())
        try:
            return self._world.call(f"api.{name}", apply)
        except RateLimited as error:
            pause_all(self._world.budget, Permit(0.0, 0.0), error.wait_s, "429")
            raise


class World:
    """Everything there is, and what may be done to it.

    Args:
        line_id_is_station_id: How stations are named in this organization.
        station_source: What the settings say of that.
    """

    def __init__(self, *, line_id_is_station_id: bool = True, station_source: str = "auto") -> None:
        self.clock = FixedClock()
        self.slow_clock = SlowClock(self)
        self.store = MemoryStore(self.clock.now)
        self.file = FileInMemory()
        self.ledger = self._ledger()
        self.broker = Broker()
        rate = BudgetRate.of(LIMIT_PER_MIN, headroom=0.1)
        self.budget = MemoryBudget(rate, self.clock.monotonic_s)
        self.organization = Organization(self, line_id_is_station_id=line_id_is_station_id)
        self.organization.phones_hidden = self._is_hidden
        self._kit = a_kit(self.organization, station_source=station_source)
        self.processes: list[Process] = []
        self.made_at_s: dict[str, float] = {}
        self.answered: set[str] = set()
        self.lost_at_s: float | None = None
        self.ran_beyond_bounds: list[str] = []
        self._count = 0

    def _ledger(self) -> MemoryLedger:
        return MemoryLedger(self.clock.now, self.store, self.file)

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_s()

    def next_id(self) -> str:
        """Return an id; the same in every run of the same history."""
        self._count += 1
        return str(UUID(int=self._count << 64, version=4))

    def stand_where(self, other: World) -> None:
        """Take over what another world, with the same agents and no process, has come to."""
        store, held = self.store, other.store
        store.entries = {key: replace(entry) for key, entry in held.entries.items()}
        store.events, store.users, store.emails = dict(held.events), dict(held.users), dict(held.emails)
        store.book_found = held.book_found
        self.file.keep_as(other.file)
        for user_id, agent in self.organization.agents.items():
            agent.skills.update(other.organization.agents[user_id].skills)
        self.broker.queued = list(other.broker.queued)
        self.clock.advance(other.now_s)
        for _ in other.organization.requests_s:
            self.budget.reserve(wait_max_s=60.0)
        self._count = other._count

    # --- calls ----------------------------------------------------------------------------------------------
    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        """Make a call of whatever runs now; stops before it unless nobody's process does it."""
        process = getcurrent()
        if process.parent is None:
            return apply()
        fault: str = process.parent.switch((name, 0.0))
        whom = name.partition(".")[0]
        self._strike_before(name, fault)
        if whom == "api" and self._too_late(process):
            raise _uncertain(name)
        found = apply()
        for agent in self.organization.agents.values():
            for phone in agent.phones:
                self._is_hidden(phone)  # notes when it was made
        if fault == "twice":
            found = apply()
        self._strike_after(name, fault)
        return found

    def sleep(self, seconds: float) -> None:
        """Stop whatever runs now for so long."""
        process = getcurrent()
        if process.parent is None:
            self.clock.advance(seconds)
        elif process.parent.switch(("wait", self.now_s + seconds)) == "die before":
            raise Death

    def _too_late(self, current: greenlet) -> bool:
        # A request that was left standing for longer than its timeout was given up, and reached nobody.
        return any(
            process.since_s + REQUEST_S < self.now_s for process in self.processes if process.greenlet is current
        )

    @staticmethod
    def _strike_before(name: str, fault: str) -> None:
        errors: dict[str, BaseException] = {
            "die before": Death(),
            "away": DependencyDown("it does not answer"),
            "refuse to answer": _uncertain(name),
            "limit": RateLimited("429", wait_s=30.0),
            "not yet": NotYetConsistent("404"),
            "meter away": DependencyDown("the meter does not answer"),
            "defect before": ValueError("before"),
            "forbid": Refused("403"),
        }
        if fault in errors:
            raise errors[fault]

    @staticmethod
    def _strike_after(name: str, fault: str) -> None:
        if fault == "die after":
            raise Death
        if fault == "lose the answer":
            raise _uncertain(name)
        if fault == "defect after":
            raise ValueError("after")

    def _is_hidden(self, phone: Phone) -> bool:
        return self.now_s < self.made_at_s.setdefault(phone.phone_id, self.now_s) + LISTING_LAG_S

    # --- processes ------------------------------------------------------------------------------------------
    def start(self, kind: str, work: Callable[[], Any], ended: Callable[[Any], None] = lambda _: None) -> Process:
        """Start a process; it stands before its first call afterwards."""

        def end(told: Any) -> None:
            self.processes.remove(process)
            ended(told)

        process = Process(kind, work, end)
        self.processes.append(process)
        process.go_on(self.now_s)
        return process

    def let_on(self, process: Process, fault: str = "") -> None:
        """Let a process make its call; one that sleeps is waited for."""
        self.clock.advance(max(process.wakes_s - self.now_s, 0.0))
        fits = fault in FAULTS[process.at.partition(".")[0]]
        process.go_on(self.now_s, fault if fits else "")

    def finish(self, process: Process) -> None:
        """Let a process run to its end."""
        while process.alive:
            self.let_on(process)

    def new_agent(self) -> str:
        """Let somebody sign in; return the user id."""
        agent = self.organization.add(a_profile(user_id=self.next_id()))
        agent.skills.update(HAD)
        return agent.profile.user_id

    def deliver(self, *user_ids: str, event_id: str = "") -> Process:
        """Start the receiver on one delivery, as its writer handles it: write, answer, then publish what is new."""
        ledger = Stopping(self, "ledger", self._ledger())
        openings = [
            Opening(provisioning_id_from(UUID(self.next_id())), event_id or self.next_id(), user_id)
            for user_id in user_ids
        ]

        def work() -> None:
            accepted = ledger.accept(openings, look_after_s=GRACE_S)
            self.answered.update(opening.event_id for opening in openings)
            for acceptance in accepted:
                if not acceptance.duplicate:
                    record = self.ledger.get(acceptance.provisioning_id)
                    assert record is not None
                    self.send(record)

        def safely() -> None:
            with suppress(DependencyDown):
                work()

        return self.start("receiver", safely)

    def send(self, record: Provisioning) -> None:
        self.call("broker.send", lambda: self.broker.send(record))

    def take(self, message: Message) -> Process:
        """Hand a message to a worker."""
        self.broker.queued.remove(message)
        self.broker.taken.append(message)
        runner = Runner(
            ledger=Stopping(self, "ledger", self._ledger()),  # type: ignore[arg-type]  # every method of it
            clock=self.slow_clock,
            kit=self._kit,
            policy=POLICY,
            station_wait_max_s=STATION_WAIT_MAX_S,
            chance=lambda: 0.5,
            lease_s=LEASE_S,
            grace_s=GRACE_S,
            steps={step: partial(self._run_step, run) for step, run in STEPS.items()},
        )
        token = self.next_id()

        def work() -> Outcome | None:
            try:
                return runner.run(message.provisioning_id, message.step, message.generation, token=token)
            except DependencyDown:
                return None

        worker = self.start("worker", work, lambda told: self._acknowledge(message, told))
        worker.message = message
        return worker

    def _run_step(self, run: Callable[[Provisioning, Kit], Findings], record: Provisioning, kit: Kit) -> Findings:
        if record.steps[record.step].attempts > POLICY.attempts_max:
            self.ran_beyond_bounds.append(record.task_id())
        return run(record, kit)

    def take_a_copy(self, message: Message) -> Process:
        """Hand a message to one more worker, as after a redelivery."""
        self.broker.queued.append(message)
        return self.take(message)

    def _acknowledge(self, message: Message, told: Any) -> None:
        """Do what Celery does with the outcome; whoever died leaves its message unacknowledged."""
        with suppress(ValueError):
            self.broker.taken.remove(message)
        match told:
            case Done() | Skip(chain_goes_on=True):
                following = message.step.following
                record = self.ledger.get(message.provisioning_id)
                if following and record:
                    self.broker.send(replace(record, generation=message.generation), following)
            case Snooze(wait_s) | Retry(wait_s) if wait_s <= COUNTDOWN_MAX_S:
                self.broker.queued.append(replace(message, due_s=self.now_s + wait_s))
            case None:
                self.broker.queued.append(replace(message, due_s=self.now_s + LEDGER_AWAY_S))
            case told if told is Death:
                self.broker.queued.append(replace(message, due_s=self.now_s + VISIBILITY_S))
            case _:
                pass  # the message ends here

    def reconcile(self) -> Process:
        """Start one look of the reconciler."""
        ledger: Any = Stopping(self, "ledger", self._ledger())
        broker = Stopping(self, "broker", self.broker)
        reconciler = Reconciler(ledger, broker.look, broker.send, grace_s=GRACE_S)

        def work() -> None:
            with suppress(DependencyDown):
                reconciler.look()

        return self.start("reconciler", work)

    def operate(self, provisioning_id: str, *wishes: str) -> Process:
        """Start an operator's commands on one provisioning."""
        ledger: Any = Stopping(self, "ledger", self._ledger())

        def work() -> None:
            for wish in wishes:
                with suppress(DependencyDown):
                    if wish == "cancel":
                        operations.cancel(ledger, provisioning_id, grace_s=GRACE_S)
                    else:
                        operations.retry(ledger, self.send, provisioning_id, grace_s=GRACE_S)

        return self.start("operator", work)

    def lose_the_store(self) -> None:
        """Lose the ledger and the broker, which are one server; the meter is left, see `acknowledge`."""
        self.store.empty()
        self.broker.queued.clear()
        self.broker.taken.clear()
        self.answered.clear()
        self.lost_at_s = self.now_s

    def acknowledge(self) -> None:
        """Do what `jitprov doctor --acknowledge-empty` does."""
        self._ledger().acknowledge_loss(opens_in_s=LEASE_S, looks_for_s=30 * 86_400.0)
        self.lost_at_s = None

    # --- what there is --------------------------------------------------------------------------------------
    def due(self) -> list[Message]:
        """Return the messages that a worker would get now."""
        return [message for message in self.broker.queued if message.due_s <= self.now_s]

    def records(self) -> list[Provisioning]:
        return self.ledger.page(limit=100)

    def settle(self, *, within_s: float) -> None:
        """Let everybody work, look and wait until nothing is left to do."""
        began_s = self.now_s
        while self.processes or any(not record.state.ended for record in self.records()):
            assert self.now_s - began_s < within_s, "it does not end"
            for process in list(self.processes):
                if process.alive:
                    self.finish(process)
            for message in self.due():
                if message in self.broker.queued:
                    self.finish(self.take(message))
            self.finish(self.reconcile())
            self.clock.advance(10)

    def fingerprint(self) -> int:
        """Return the same number for worlds that go on in the same way."""
        now = self.clock.now()
        entries = [
            (
                entry.record.provisioning_id,
                entry.record.state,
                entry.record.step,
                entry.record.generation,
                entry.record.steps[entry.record.step].attempts,
                entry.record.cancel_asked,
                entry.tries,
                bool(entry.lease and entry.lease_until and entry.lease_until > now),
                entry.record.not_before and (entry.record.not_before - now).total_seconds(),
                entry.due_at and (entry.due_at - now).total_seconds(),
            )
            for entry in self.store.entries.values()
        ]
        agents = [
            ([self._is_hidden(phone) for phone in agent.phones], agent.default_station != "", len(agent.skills))
            for agent in self.organization.agents.values()
        ]
        messages = sorted(
            (message.task_id, max(message.due_s - self.now_s, 0.0), held)
            for held, messages in enumerate((self.broker.queued, self.broker.taken))
            for message in messages
        )
        standing = [(process.kind, tuple(process.past), self.now_s - process.since_s) for process in self.processes]
        return hash(repr((entries, agents, messages, standing)))


def _uncertain(name: str) -> Exception:
    if not name.startswith("api."):
        return DependencyDown("the answer was lost")
    return OutcomeUnknown("silence") if name == "api.create_phone" else Unavailable("silence")
