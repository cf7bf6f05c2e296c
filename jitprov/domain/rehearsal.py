"""The corridor gone through in thought: who gets which slot of the meter, call by call. Pure: no clock, no chance.

It follows the pipeline as it is built. Slots of workers take messages, later steps first, at the entrance by priority,
and first come first served within a step. Each call gets the meter's next slot in the order in which it is asked for.
What is the same for all is read once while those who need it wait in place. An agent whose station is late gives its
worker free. Two thousand agents take some 40 ms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Literal

from jitprov.domain.agent import Priority
from jitprov.domain.provisioning import CORRIDOR, ENTRANCE, Step

USERS_PER_READ = 100
_SETUP_CALLS = 2  # default site, phone base
_EFFECT_S = 2.0  # until an assignment is looked at
_PLACE = {step: place for place, step in enumerate(CORRIDOR)}
# Where messages wait, in the order in which workers look there: later steps first, then those whose agents are not
# begun and have a priority that is not the highest (docs/decisions/0022).
_LATER_FIRST: tuple[tuple[Step, Priority | None], ...] = tuple((step, None) for step in reversed(CORRIDOR))
_QUEUES = (*_LATER_FIRST, (ENTRANCE, "normal"), (ENTRANCE, "low"))


@dataclass(frozen=True, slots=True)
class Stations:
    """How stations are found in an organization.

    Attributes:
        source: Where their ids come from.
        known: Whether an earlier agent has found that out.
        wait_s: How long a station that is not known to be there is given to appear, in API seconds.
    """

    source: Literal["line_id", "lookup"] = "lookup"
    known: bool = True
    wait_s: float = 6.0


@dataclass(frozen=True, slots=True)
class Stage:
    """What the agents find when they come. Times are API seconds, instants count from now.

    Attributes:
        stations: How stations are found.
        interval_s: Between two slots of one token.
        burst: Slots that may be taken ahead of the even pace after idling.
        tokens: Tokens that take turns, each at its own pace.
        opens_s: Until the first message is in a worker's hands, or a pause is over.
        slots: Messages that all workers together work on at a time, at least 1.
        call_s: From a slot to the moment the next step asks for its own: the API's answer and the hand-over.
        warm: Whether the token, and what is the same for all agents, has been read already.
    """

    stations: Stations
    interval_s: float
    burst: int = 0
    tokens: int = 1
    opens_s: float = 0.0
    slots: int = 8
    call_s: float = 0.0
    warm: bool = False


@dataclass(slots=True)
class Walk:
    """One agent's way, from the step that it stands before.

    Attributes:
        step: The step that comes next.
        due_s: When it may go on.
        read: Its profile is known.
        skilled: It has its skills: no call for them.
        phoned: It has a phone, or needs none: no call for it.
        stationed: It needs no station: no call for it.
        waited: Its station was given the time to appear.
        priority: With which it waits, or will wait, for its turn at the entrance; None when it is begun or has none.
        ready_s: When it is ready: what the rehearsal finds.
    """

    step: Step = CORRIDOR[0]
    due_s: float = 0.0
    read: bool = False
    skilled: bool = False
    phoned: bool = False
    stationed: bool = False
    waited: bool = False
    priority: Priority | None = None
    ready_s: float = 0.0


@dataclass(slots=True)
class _Flight:
    """A read that one makes for all: who needs it meanwhile waits in place, in a worker's slot."""

    done: bool = False
    under_way: bool = False
    held: list[_Way] = field(default_factory=list)


# A step at work: yields None to make a call, or a flight to wait for its end; returns when it wants to come back.
_Way = Generator[_Flight | None, None, float | None]
_ENDED = object()


class Rehearsal:
    """Plays it through, once.

    Args:
        stage: What the agents find.
        walks: Who come, in the order in which they came.
    """

    def __init__(self, stage: Stage, walks: Sequence[Walk]) -> None:
        self.calls = 0
        self._stage = stage
        self._now_s = stage.opens_s
        self._burst_s = stage.burst * stage.interval_s
        self._evens = [stage.opens_s] * stage.tokens
        self._idle = stage.slots
        self._queues: dict[tuple[Step, Priority | None], deque[Walk]] = {queue: deque() for queue in _QUEUES}
        self._later: list[tuple[float, int, Walk]] = []
        self._order = count()
        self._calling: deque[tuple[float, _Way]] = deque()
        self._unread = deque(walk for walk in walks if walk.step is Step.FETCH_PROFILE)
        self._profiles = _Flight()
        self._token, self._skills, self._setup = (_Flight(done=stage.warm) for _ in range(3))
        self._trial = _Flight()
        self._trier: Walk | None = None
        self._source_known = stage.stations.known
        self._steps: Mapping[Step, Callable[[Walk], _Way]] = {
            Step.FETCH_PROFILE: self._fetch_profile,
            Step.RESOLVE_SKILLS: self._resolve_skills,
            Step.PATCH_SKILLS: self._patch_skills,
            Step.CREATE_PHONE: self._create_phone,
            Step.ASSIGN_STATION: self._assign_station,
        }
        for walk in walks:
            self._come_back(walk, max(walk.due_s, stage.opens_s))

    def play(self) -> None:
        """Let everybody through; each walk is told its `ready_s`, and `calls` are counted."""
        while True:
            while self._idle and (walk := self._most_urgent()) is not None:
                self._idle -= 1
                self._go_on(self._work(walk))
            if self._calling and not (self._later and self._later[0][0] < self._calling[0][0]):
                self._now_s, way = self._calling.popleft()
                self._go_on(way)
            elif self._later:
                self._now_s = self._later[0][0]
                while self._later and self._later[0][0] <= self._now_s:
                    walk = heappop(self._later)[-1]
                    self._queue(walk)
            else:
                return

    def _most_urgent(self) -> Walk | None:
        for queue in self._queues.values():
            if queue:
                return queue.popleft()
        return None

    def _queue(self, walk: Walk) -> None:
        self._queues.get((walk.step, walk.priority), self._queues[walk.step, None]).append(walk)

    def _come_back(self, walk: Walk, at_s: float) -> None:
        heappush(self._later, (at_s, next(self._order), walk))

    def _go_on(self, way: _Way) -> None:
        """Let a worker's slot work until it must wait, or is free again."""
        wish = next(way, _ENDED)
        if wish is _ENDED:
            self._idle += 1
        elif isinstance(wish, _Flight):
            wish.held.append(way)
        else:
            self._call(way)

    def _call(self, way: _Way) -> None:
        # By the rule of budget.rate; of several tokens the one whose slot comes first.
        lane = min(range(len(self._evens)), key=self._evens.__getitem__)
        slot_s = max(self._now_s, self._evens[lane] - self._burst_s)
        self._evens[lane] = max(self._evens[lane], slot_s) + self._stage.interval_s
        self._calling.append((slot_s + self._stage.call_s, way))
        self.calls += 1

    def _land(self, flight: _Flight) -> None:
        flight.under_way = False
        held, flight.held = flight.held, []
        for way in held:
            self._go_on(way)

    def _work(self, walk: Walk) -> _Way:
        """Do the step that the agent stands before, as pipeline.steps does it."""
        if not self._token.done:
            yield from self._once(self._token, 1)
        back_in_s = yield from self._steps[walk.step](walk)
        if back_in_s is not None:
            self._come_back(walk, self._now_s + back_in_s)
            return None
        place = _PLACE[walk.step] + 1
        if place == len(CORRIDOR):
            walk.ready_s = self._now_s
        else:
            walk.step = CORRIDOR[place]
            self._queue(walk)
        return None

    def _once(self, flight: _Flight, calls: int) -> _Way:
        if flight.under_way:
            yield flight
        elif not flight.done:
            flight.under_way = True
            for _ in range(calls):
                yield None
            flight.done = True
            self._land(flight)
        return None

    def _fetch_profile(self, walk: Walk) -> _Way:
        while not walk.read:
            if self._profiles.under_way:
                yield self._profiles
                continue
            self._profiles.under_way = True
            yield None
            walk.read = True
            others = USERS_PER_READ - 1
            while self._unread and others:
                other = self._unread.popleft()
                others -= not other.read
                other.read = True
            self._land(self._profiles)
        return None

    def _resolve_skills(self, _: Walk) -> _Way:
        return self._once(self._skills, 1)

    def _patch_skills(self, walk: Walk) -> _Way:
        if not walk.skilled:
            yield None
        return None

    def _create_phone(self, walk: Walk) -> _Way:
        if not walk.phoned:
            yield from self._once(self._setup, _SETUP_CALLS)
            yield None
        return None

    def _assign_station(self, walk: Walk) -> _Way:
        by_line_id = self._stage.stations.source == "line_id"
        if walk.stationed:
            return None
        if self._trial.under_way:
            yield self._trial
        if not self._source_known:
            if not self._trial.done:
                # Nobody knows whether a line's id is its station's id: one tries, and all wait for what comes of it.
                yield from self._once(self._trial, 1)
                self._trier, self._source_known = walk, not by_line_id
                return _EFFECT_S if by_line_id else self._given_time(walk)
            if walk is not self._trier:
                return _EFFECT_S
            yield None
            self._source_known = True
            return None
        if not by_line_id:
            if not walk.waited:
                return self._given_time(walk)
            yield None
        yield None
        return None

    def _given_time(self, walk: Walk) -> float:
        walk.waited = True
        return self._stage.stations.wait_s
