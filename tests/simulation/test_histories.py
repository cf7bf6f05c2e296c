"""Histories made up by hypothesis: whatever goes on, strikes, gets lost or comes twice, in any order.

After each move what must hold at any moment, at the end of each history what must hold once all is healed. The short
form runs with the tests; `make simulate` runs more of it, seed by seed.
"""

from __future__ import annotations

import logging
import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consistency import assert_consistent
from jitprov.domain.provisioning import Provisioning, State, Step
from simulation.world import FAULTS, HAD, LIMIT_PER_MIN, SKILLS, Process, World

AGENTS_MAX, PROCESSES_MAX = 3, 4
# Healed, everybody ends within so many seconds: the longest waits of one step, a redelivery, and the looks between.
ENDED_WITHIN_S = 3_000.0
PICK = st.integers(0, 9)
# What is most dangerous is named more often.
MISHAPS = [*FAULTS["api"], *FAULTS["ledger"], *3 * ["lose the answer"], *2 * ["die after"]]


class History(RuleBasedStateMachine):
    """The machine; every rule is something that may happen at any moment."""

    @initialize(line_id_is_station_id=st.booleans(), source=st.sampled_from(["auto", "auto", "right"]))
    def begin(self, line_id_is_station_id: bool, source: str) -> None:
        logging.disable(logging.CRITICAL)
        told = "line_id" if line_id_is_station_id else "lookup"
        self.world = World(
            line_id_is_station_id=line_id_is_station_id, station_source=told if source == "right" else "auto"
        )
        self.users: list[str] = []
        self.last: dict[str, Provisioning] = {}
        self.somebody_signs_in(now=True)

    # --- the sender -----------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.users) < AGENTS_MAX)
    @rule(now=st.booleans())
    def somebody_signs_in(self, now: bool) -> None:
        self.users.append(self.world.new_agent())
        receiver = self.world.deliver(self.users[-1])
        if now:
            self.world.finish(receiver)

    @rule(pick=PICK, times=st.integers(1, 2))
    def an_event_comes_again(self, pick: int, times: int) -> None:
        """Another event of a known user, or two in one delivery; the receiver goes on when it is let."""
        self.world.deliver(*times * [self.users[pick % len(self.users)]])

    # --- whoever runs ---------------------------------------------------------------------------------------
    @precondition(lambda self: self.world.due() and len(self.world.processes) < PROCESSES_MAX)
    @rule(pick=PICK)
    def a_worker_takes_a_message(self, pick: int) -> None:
        due = self.world.due()
        self.world.take(due[pick % len(due)])

    @precondition(lambda self: len(self.world.processes) < PROCESSES_MAX)
    @rule()
    def the_reconciler_looks(self) -> None:
        self.world.reconcile()

    @precondition(lambda self: self.world.records() and len(self.world.processes) < PROCESSES_MAX)
    @rule(
        pick=PICK,
        wishes=st.sampled_from([("retry",), ("retry",), ("cancel",), ("cancel", "retry"), ("cancel", "retry")]),
        now=st.booleans(),
    )
    def the_operator_wishes(self, pick: int, wishes: tuple[str, ...], now: bool) -> None:
        records = self.world.records()
        operator = self.world.operate(records[pick % len(records)].provisioning_id, *wishes)
        if now:
            self.world.finish(operator)

    def _picked(self, pick: int) -> Process:
        return self.world.processes[pick % len(self.world.processes)]

    @precondition(lambda self: self.world.processes)
    @rule(pick=PICK, calls=st.integers(1, 6))
    def one_goes_on(self, pick: int, calls: int) -> None:
        self._let_on(self._picked(pick), calls)

    @precondition(lambda self: self.world.processes)
    @rule(pick=PICK)
    def one_goes_on_to_its_end(self, pick: int) -> None:
        self.world.finish(self._picked(pick))

    @precondition(lambda self: self.world.processes)
    @rule(pick=PICK, mishap=st.sampled_from(MISHAPS))
    def one_is_struck(self, pick: int, mishap: str) -> None:
        self.world.let_on(self._picked(pick), mishap)

    @precondition(lambda self: any(process.at == "api.create_phone" for process in self.world.processes))
    @rule(mishap=st.sampled_from(MISHAPS), delay_s=st.sampled_from([0.0, 0.0, 5.0, 14.0, 61.0]), again=st.booleans())
    def a_create_is_struck(self, mishap: str, delay_s: float, again: bool) -> None:
        """What there is most at stake in; the next attempt may begin the moment it is due."""
        process = next(process for process in self.world.processes if process.at == "api.create_phone")
        self.world.clock.advance(delay_s)
        self.world.let_on(process, mishap)
        message = process.message
        if again and message and not process.alive:
            for queued in [each for each in self.world.broker.queued if each.task_id == message.task_id][:1]:
                self.world.clock.advance(max(queued.due_s - self.world.now_s, 0.0))
                self.world.finish(self.world.take(queued))

    @rule()
    def everything_is_restarted(self) -> None:
        for process in list(self.world.processes):
            process.kill()

    # --- where most is at stake -----------------------------------------------------------------------------
    @precondition(lambda self: any(record.step.number < Step.CREATE_PHONE.number for record in self.world.records()))
    @rule()
    def all_goes_well_until_a_phone_is_due(self) -> None:
        for _ in range(16):
            if any(record.step is Step.CREATE_PHONE for record in self.world.records()):
                break
            self._work_a_little()

    @precondition(lambda self: any(message.step is Step.CREATE_PHONE for message in self.world.broker.queued))
    @rule(calls=st.integers(0, 6))
    def a_phone_is_begun(self, calls: int) -> None:
        message = next(message for message in self.world.broker.queued if message.step is Step.CREATE_PHONE)
        self.world.clock.advance(max(message.due_s - self.world.now_s, 0.0))
        self._let_on(self.world.take(message), calls)

    @precondition(lambda self: self._at_a_phone())
    @rule(pick=PICK, overslept_s=st.sampled_from([0.0, 0.0, 14.0, 61.0, 61.0]), calls=st.integers(0, 12))
    def a_rival_comes(self, pick: int, overslept_s: float, calls: int) -> None:
        """A second worker gets the same message, at once or when the first has stood still for a while."""
        at_a_phone = self._at_a_phone()
        message = at_a_phone[pick % len(at_a_phone)].message
        assert message
        self.world.clock.advance(overslept_s)
        self._let_on(self.world.take_a_copy(message), calls)

    def _at_a_phone(self) -> list[Process]:
        return [
            process for process in self.world.processes if process.message and process.message.step is Step.CREATE_PHONE
        ]

    def _let_on(self, process: Process, calls: int) -> None:
        for _ in range(calls):
            if process.alive:
                self.world.let_on(process)

    # --- the broker, time, the organization -----------------------------------------------------------------
    @precondition(lambda self: self.world.broker.queued)
    @rule(pick=PICK, mishap=st.sampled_from(["double", "double", "lose", "too soon", "reverse", "die unbegun"]))
    def a_message_is_mistreated(self, pick: int, mishap: str) -> None:
        broker, world = self.world.broker, self.world
        message = broker.queued[pick % len(broker.queued)]
        match mishap:
            case "double":
                broker.queued.append(message)
            case "lose":
                broker.queued.remove(message)
            case "too soon":
                world.take(message)
            case "reverse":
                broker.queued.reverse()
            case _:
                world.take(message).kill()

    @rule(seconds=st.sampled_from([1.0, 5.0, 14.0, 20.0, 61.0, 310.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @precondition(lambda self: not self.world.due())
    @rule()
    def time_passes_until_a_message_is_due(self) -> None:
        self._wait_for_a_message()

    @rule(what=st.sampled_from(["station", "skill"]), well=st.booleans())
    def the_organization_changes(self, what: str, well: bool) -> None:
        organization = self.world.organization
        if what == "station":
            organization.stations_late = not well
        elif well:
            organization.known_skills["Order_Tracking"] = "id-of-Order_Tracking"
        else:
            organization.known_skills.pop("Order_Tracking", None)

    @precondition(lambda self: len(self.last) > 1)
    @rule(noticed=st.booleans())
    def redis_comes_back_empty(self, noticed: bool) -> None:
        self.world.lose_the_store()
        self.last.clear()
        if noticed:
            self.world.finish(self.world.reconcile())

    @precondition(lambda self: self.world.lost_at_s is not None)
    @rule()
    def the_loss_is_acknowledged(self) -> None:
        self.world.acknowledge()

    def _wait_for_a_message(self) -> None:
        world = self.world
        if not world.broker.queued:
            for _ in range(2):
                world.clock.advance(20)
                world.finish(world.reconcile())
        if world.broker.queued:
            due_s = min(message.due_s for message in world.broker.queued)
            world.clock.advance(max(due_s - world.now_s, 0.0))

    def _work_a_little(self) -> None:
        if not self.world.due():
            self._wait_for_a_message()
        if due := self.world.due():
            self.world.finish(self.world.take(due[0]))

    # --- what must hold at any moment -----------------------------------------------------------------------
    @invariant()
    def nobody_has_two_phones(self) -> None:
        assert [len(agent.phones) for agent in self.world.organization.agents.values() if len(agent.phones) > 1] == []

    @invariant()
    def nobody_has_a_skill_too_many(self) -> None:
        for agent in self.world.organization.agents.values():
            assert agent.skills.items() <= {**SKILLS, **HAD}.items()

    @invariant()
    def nobody_sits_at_anothers_station(self) -> None:
        organization = self.world.organization
        for agent in organization.agents.values():
            assert agent.default_station in {"", *map(organization.station_of, agent.phones)}

    @invariant()
    def what_was_answered_is_known(self) -> None:
        assert [event_id for event_id in self.world.answered if self.world.ledger.find(event_id) is None] == []

    @invariant()
    def nobody_is_provisioned_twice(self) -> None:
        users = [record.user_id for record in self.world.records()]
        assert len(users) == len(set(users))

    @invariant()
    def records_are_consistent_and_never_go_back(self) -> None:
        for record in self.world.records():
            assert_consistent(record)
            before = self.last.get(record.provisioning_id, record)
            assert (record.step.number, record.generation) >= (before.step.number, before.generation)
            assert record.generation >= before.generation
            assert before.state is not State.READY or record.state is State.READY
            self.last[record.provisioning_id] = record

    @invariant()
    def every_failure_is_in_view(self) -> None:
        ledger, failed = self.world.ledger, {r.provisioning_id for r in self.world.records() if r.state is State.FAILED}
        assert {record.provisioning_id for record in ledger.page((State.FAILED,))} == failed
        assert ledger.count()[State.FAILED] == len(failed)

    @invariant()
    def no_step_runs_beyond_its_bounds(self) -> None:
        assert self.world.ran_beyond_bounds == []

    @invariant()
    def no_minute_holds_more_calls_than_allowed(self) -> None:
        now_s = self.world.now_s
        assert sum(sent_s > now_s - 60.0 for sent_s in self.world.organization.requests_s) <= LIMIT_PER_MIN

    @invariant()
    def whoever_is_ready_is_call_ready(self) -> None:
        for record in self.world.records():
            if record.state is State.READY:
                self._assert_call_ready(record)

    def _assert_call_ready(self, record: Provisioning) -> None:
        organization = self.world.organization
        agent = organization.agents[record.user_id]
        assert agent.skills == {**SKILLS, **HAD}
        assert len(agent.phones) == 1
        assert agent.default_station == organization.station_of(agent.phones[0]) == record.findings.station_id

    # --- the end --------------------------------------------------------------------------------------------
    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self._heal_and_settle()
        finally:
            logging.disable(logging.NOTSET)

    def _heal_and_settle(self) -> None:
        world = self.world
        world.organization.stations_late = False
        world.organization.known_skills["Order_Tracking"] = "id-of-Order_Tracking"
        if world.lost_at_s is not None:
            world.acknowledge()
        world.clock.advance(61)  # the door opens
        for user_id in self.users:
            world.finish(world.deliver(user_id))
        world.settle(within_s=ENDED_WITHIN_S)
        for record in world.records():
            world.finish(world.operate(record.provisioning_id, "retry"))
        world.settle(within_s=ENDED_WITHIN_S)
        self.nobody_has_two_phones()
        assert {record.user_id for record in world.records() if record.state is State.READY} == set(self.users)
        self.whoever_is_ready_is_call_ready()


# With a protection switched off on purpose (make mutants), that it fails is enough; how, nobody reads.
_PHASES = [Phase.explicit, Phase.generate, *([] if os.environ.get("SHRINKING") == "0" else [Phase.shrink])]

SHORT = settings(
    phases=_PHASES,
    max_examples=200,
    stateful_step_count=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

TestHistories = History.TestCase
TestHistories.settings = SHORT
