"""Steps, runner, reconciler and operations together, while everything around them goes wrong in any order.

The ledger is the memory one, the clock a test's, the organization and the broker are small and treacherous. Workers
die at any call, answers get lost, messages get lost, doubled and reordered, leases run out under a worker's hands,
operators retry and cancel. Afterwards all is healed, and every agent must have come out right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from builders import an_opening
from consistency import assert_consistent
from fake_organization import FakeOrganization, a_kit
from fixed_clock import FixedClock
from jitprov.domain.agent import Phone
from jitprov.domain.outcomes import Done, Retry, RetryPolicy, Skip, Snooze
from jitprov.domain.provisioning import Provisioning, State, Step
from jitprov.errors import DependencyDown, NotYetConsistent, OutcomeUnknown, RateLimited, Refused, Unavailable
from jitprov.ledger.memory import MemoryLedger
from jitprov.pipeline import operations
from jitprov.pipeline.reconciler import InBroker, Reconciler
from jitprov.pipeline.runner import Runner

GRACE_S, LEASE_S, VISIBILITY_S, COUNTDOWN_MAX_S = 20.0, 60.0, 300.0, 120.0
POLICY = RetryPolicy(attempts_max=3, backoff_base_s=2.0, backoff_cap_s=60.0, settle_s=15.0, waited_max_s=600.0)
# A phone that was made shows in the listing only so many seconds later.
LISTING_LAG_S = 10.0
SKILLS = {"id-of-Customer_Service": 1.0, "id-of-Order_Tracking": 2.0}
AGENTS_MAX = 3
WRITES = ("patch_", "put_", "create_", "set_")
PICK = st.integers(0, 9)


class Death(BaseException):
    """A worker's end: nothing of what follows in it happens, its lease included."""


@dataclass(frozen=True)
class Message:
    """A message in the broker; not handed out before `due_s`."""

    provisioning_id: str
    generation: int
    step: Step
    task_id: str
    due_s: float = 0.0


class Broker:
    """Holds messages, and nothing stops them from getting lost."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.away = False

    def look(self) -> InBroker:
        if self.away:
            raise DependencyDown("the broker does not answer")
        return InBroker(frozenset(message.task_id for message in self.messages), frozenset())

    def enqueue(self, record: Provisioning) -> None:
        self.send(record, record.step)

    def send(self, record: Provisioning, step: Step) -> None:
        if self.away:
            raise DependencyDown("the broker did not take it")
        self.messages.append(Message(record.provisioning_id, record.generation, step, record.task_id(step)))


# What is most dangerous is named more often.
FAULTS = (
    *3 * ("lose the answer",),
    *2 * ("die after",),
    "die before",
    "refuse to answer",
    "limit",
    "not yet",
    "meter away",
    "defect before",
    "defect after",
    "forbid",
    "stall before",
    "stall after",
)
# What the agent that was just struck meets next, at once.
AFTERMATHS = ("", "deliver", "deliver", "limit and deliver", "operator and deliver")


class Corridor(RuleBasedStateMachine):
    """The machine; every rule is something that may happen at any moment."""

    @initialize(line_id_is_station_id=st.booleans(), source=st.sampled_from(["auto", "auto", "right"]))
    def begin(self, line_id_is_station_id: bool, source: str) -> None:
        logging.disable(logging.CRITICAL)
        self.clock = FixedClock()
        self.ledger = MemoryLedger(self.clock.now)
        self.broker = Broker()
        self.organization = FakeOrganization(line_id_is_station_id=line_id_is_station_id)
        self.organization.meddle = self.meddle
        self.organization.phones_hidden = self.is_hidden
        self.made_at_s: dict[str, float] = {}
        self.ids: list[str] = []
        self.last: dict[str, Provisioning] = {}
        self.fault: tuple[str, str] | None = None
        self.deliveries = 0
        told = "line_id" if line_id_is_station_id else "lookup"
        self.runner = Runner(
            ledger=self.ledger,
            clock=self.clock,
            kit=a_kit(self.organization, station_source=told if source == "right" else "auto"),
            policy=POLICY,
            station_wait_max_s=300.0,
            chance=lambda: 0.5,
            lease_s=LEASE_S,
            grace_s=GRACE_S,
        )
        self.reconciler = Reconciler(self.ledger, self.broker.look, self.broker.enqueue, grace_s=GRACE_S)
        self.accept(enqueued=True, twice=False)

    # --- the organization's temper --------------------------------------------------------------------------
    def is_hidden(self, phone: Phone) -> bool:
        made_at_s = self.made_at_s.setdefault(phone.phone_id, self.clock.monotonic_s())
        return self.clock.monotonic_s() < made_at_s + LISTING_LAG_S

    def meddle(self, name: str, apply: Callable[[], Any]) -> Any:
        """Let the planned fault strike at the planned call."""
        where, fault = self.fault or ("", "")
        if where not in {"any call", "a write" if name.startswith(WRITES) else "a look"}:
            return self.applied(apply)
        self.fault = None
        uncertain = OutcomeUnknown if name == "create_phone" else Unavailable
        # Between `hold` and a create nothing may stall for a whole lease: that much is asked of the machine.
        if fault == "stall before" and name != "create_phone":
            self.stall()
        self.raise_if(
            fault,
            {
                "die before": Death(),
                "refuse to answer": uncertain("503"),
                "limit": RateLimited("429", wait_s=30.0),
                "not yet": NotYetConsistent("404"),
                "meter away": DependencyDown("the meter does not answer"),
                "defect before": ValueError("before"),
                "forbid": Refused("403"),
            },
        )
        found = self.applied(apply)
        if fault == "stall after":
            self.stall()
        self.raise_if(
            fault, {"die after": Death(), "lose the answer": uncertain("silence"), "defect after": ValueError("after")}
        )
        return found

    @staticmethod
    def raise_if(fault: str, errors: dict[str, BaseException]) -> None:
        if fault in errors:
            raise errors[fault]

    def applied(self, apply: Callable[[], Any]) -> Any:
        found = apply()
        for agent in self.organization.agents.values():
            for phone in agent.phones:
                self.is_hidden(phone)  # notes when it was made
        return found

    def stall(self) -> None:
        """The worker sleeps beyond its lease; meanwhile the reconciler and other workers are at work."""
        self.clock.advance(LEASE_S + 1)
        if not self.broker.away:
            self.reconciler.look()
        for _ in range(3):
            self.deliver_one(0, None)

    # --- workers --------------------------------------------------------------------------------------------
    def deliver_one(self, pick: int, fault: tuple[str, str] | None) -> str:
        """Hand one due message to a worker; return whose it was, or nothing."""
        now_s = self.clock.monotonic_s()
        due = [message for message in self.broker.messages if message.due_s <= now_s]
        if not due:
            return ""
        message = due[pick % len(due)]
        self.broker.messages.remove(message)
        self.work(message, fault)
        return message.provisioning_id

    def deliver_next_of(self, provisioning_id: str, fault: tuple[str, str] | None) -> None:
        """Hand the next message of one agent to a worker, the moment it is due."""
        of_agent = [message for message in self.broker.messages if message.provisioning_id == provisioning_id]
        if of_agent:
            message = min(of_agent, key=lambda message: message.due_s)
            self.clock.advance(max(message.due_s - self.clock.monotonic_s(), 0.0))
            self.broker.messages.remove(message)
            self.work(message, fault)

    def work(self, message: Message, fault: tuple[str, str] | None) -> None:
        self.deliveries += 1
        self.fault = fault
        try:
            outcome = self.runner.run(
                message.provisioning_id, message.step, message.generation, token=f"delivery {self.deliveries}"
            )
        except Death:
            # Not acknowledged: the broker hands it out again after its visibility timeout.
            self.broker.messages.append(replace(message, due_s=self.clock.monotonic_s() + VISIBILITY_S))
            return
        finally:
            self.fault = None
        match outcome:
            case Done() | Skip(chain_goes_on=True):
                following = message.step.following
                record = self.ledger.get(message.provisioning_id)
                if following and record and not self.broker.away:
                    self.broker.send(replace(record, generation=message.generation), following)
            case Snooze(wait_s) | Retry(wait_s) if wait_s <= COUNTDOWN_MAX_S:
                self.broker.messages.append(replace(message, due_s=self.clock.monotonic_s() + wait_s))
            case _:
                pass  # the message ends here

    # --- what may happen ------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.ids) < AGENTS_MAX)
    @rule(enqueued=st.booleans(), twice=st.booleans())
    def accept(self, enqueued: bool, twice: bool) -> None:
        agent = self.organization.add()
        agent.skills["id-of-Billing"] = 4.0
        opening = an_opening(user_id=agent.profile.user_id)
        again = replace(opening, provisioning_id=an_opening().provisioning_id)
        self.ledger.accept([opening, again] if twice else [opening], look_after_s=GRACE_S)
        self.ids.append(opening.provisioning_id)
        record = self.ledger.get(opening.provisioning_id)
        assert record is not None
        if enqueued:
            self.broker.enqueue(record)

    @rule(pick=PICK)
    def deliver(self, pick: int) -> None:
        self.wait_for_a_message()
        self.deliver_one(pick, None)

    @precondition(lambda self: any(record.step.number < Step.CREATE_PHONE.number for record in self.records()))
    @rule()
    def come_to_the_phone(self) -> None:
        """Let all go well until somebody's phone is due: there most is at stake."""
        for _ in range(12):
            if any(record.step is Step.CREATE_PHONE for record in self.records()):
                break
            self.wait_for_a_message()
            self.deliver_one(0, None)

    @rule(
        pick=PICK,
        where=st.sampled_from(["any call", "a write", "a write", "a look"]),
        fault=st.sampled_from(FAULTS),
        broker=st.sampled_from(["there", "there", "away"]),
        then=st.sampled_from(AFTERMATHS),
    )
    def deliver_badly(self, pick: int, where: str, fault: str, broker: str, then: str) -> None:
        self.wait_for_a_message()
        self.broker.away = broker == "away"
        worked_on = self.deliver_one(pick, (where, fault))
        self.broker.away = False
        if worked_on and then:
            if "operator" in then:
                operations.cancel(self.ledger, worked_on, grace_s=GRACE_S)
                operations.retry(self.ledger, self.broker.enqueue, worked_on, grace_s=GRACE_S)
            if "limit" in then:
                self.deliver_next_of(worked_on, ("any call", "limit"))
            self.deliver_next_of(worked_on, None)

    @precondition(lambda self: self.broker.messages)
    @rule(
        pick=PICK, mishap=st.sampled_from(["too soon", "double", "double", "lose", "die before the claim", "reverse"])
    )
    def mistreat_a_message(self, pick: int, mishap: str) -> None:
        messages = self.broker.messages
        message = messages[pick % len(messages)]
        if mishap == "double":
            messages.append(message)
        elif mishap == "reverse":
            messages.reverse()
        else:
            messages.remove(message)
            if mishap == "too soon":
                self.work(message, None)
            elif mishap == "die before the claim":
                messages.append(replace(message, due_s=self.clock.monotonic_s() + VISIBILITY_S))

    @rule(seconds=st.sampled_from([1.0, 5.0, 20.0, 61.0, 310.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([0.0, 2.0, 22.0, 61.0]))
    def reconcile(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.reconciler.look()

    @rule(what=st.sampled_from(["station", "skill"]), well=st.booleans())
    def change_the_organization(self, what: str, well: bool) -> None:
        if what == "station":
            self.organization.stations_late = not well
        elif well:
            self.organization.known_skills["Order_Tracking"] = "id-of-Order_Tracking"
        else:
            self.organization.known_skills.pop("Order_Tracking", None)

    @precondition(lambda self: self.ids)
    @rule(
        pick=PICK,
        wishes=st.sampled_from(["retry", "retry", "cancel", "cancel and retry"]),
        broker=st.sampled_from(["there", "there", "away"]),
    )
    def operate(self, pick: int, wishes: str, broker: str) -> None:
        meant = self.ids[pick % len(self.ids)]
        self.broker.away = broker == "away"
        if "cancel" in wishes:
            operations.cancel(self.ledger, meant, grace_s=GRACE_S)
        if "retry" in wishes:
            operations.retry(self.ledger, self.broker.enqueue, meant, grace_s=GRACE_S)
        self.broker.away = False

    def wait_for_a_message(self) -> None:
        """Let time pass until a message is due; where there is none, let the reconciler look twice."""
        if not self.broker.messages:
            for _ in range(2):
                self.clock.advance(GRACE_S)
                self.reconciler.look()
        if self.broker.messages:
            due_s = min(message.due_s for message in self.broker.messages)
            self.clock.advance(max(due_s - self.clock.monotonic_s(), 0.0))

    # --- what must hold at any moment -----------------------------------------------------------------------
    def records(self) -> list[Provisioning]:
        return self.ledger.get_many(self.ids)

    @invariant()
    def nobody_has_two_phones(self) -> None:
        for agent in self.organization.agents.values():
            assert len(agent.phones) <= 1

    @invariant()
    def nobody_has_a_skill_too_many(self) -> None:
        for agent in self.organization.agents.values():
            assert agent.skills.items() <= {**SKILLS, "id-of-Billing": 4.0}.items()

    @invariant()
    def nobody_sits_at_anothers_station(self) -> None:
        for agent in self.organization.agents.values():
            own = {"", *map(self.organization.station_of, agent.phones)}
            assert agent.default_station in own

    @invariant()
    def records_are_consistent_and_never_go_back(self) -> None:
        for record in self.records():
            assert_consistent(record)
            before = self.last.get(record.provisioning_id, record)
            assert (record.step.number, record.generation) >= (before.step.number, before.generation)
            assert before.state is not State.READY or record.state is State.READY
            self.last[record.provisioning_id] = record

    @invariant()
    def whoever_is_ready_is_call_ready(self) -> None:
        for record in self.records():
            if record.state is State.READY:
                self.assert_call_ready(record)

    def assert_call_ready(self, record: Provisioning) -> None:
        agent = self.organization.agents[record.user_id]
        assert agent.skills == {**SKILLS, "id-of-Billing": 4.0}
        assert len(agent.phones) == 1
        assert agent.default_station == self.organization.station_of(agent.phones[0]) == record.findings.station_id

    # --- the end --------------------------------------------------------------------------------------------
    def teardown(self) -> None:
        try:
            if hasattr(self, "ledger"):
                self.heal_and_settle()
        finally:
            logging.disable(logging.NOTSET)

    def heal_and_settle(self) -> None:
        self.organization.stations_late = False
        self.organization.known_skills["Order_Tracking"] = "id-of-Order_Tracking"
        self.settle()
        for record in self.records():
            assert record.state.ended
            operations.retry(self.ledger, self.broker.enqueue, record.provisioning_id, grace_s=GRACE_S)
        self.settle()
        for record in self.records():
            assert record.state is State.READY
            self.assert_call_ready(record)

    def settle(self) -> None:
        """Work, reconcile and let time pass until nothing is left to do."""
        for _ in range(300):
            for _ in range(len(self.broker.messages)):
                self.deliver_one(0, None)
            if all(record.state.ended for record in self.records()):
                break
            self.reconciler.look()
            self.clock.advance(10)
        assert [record.state for record in self.records() if not record.state.ended] == []
        self.records_are_consistent_and_never_go_back()
        self.nobody_has_two_phones()


TestCorridor = Corridor.TestCase
TestCorridor.settings = settings(
    max_examples=400,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
