"""The overview in one process' memory, over the memory ledger; for fast tests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from jitprov.domain.provisioning import EVERY_STEP, Provisioning, State, Step
from jitprov.ledger.codec import signs_of, to_us, words_of
from jitprov.ledger.memory import MemoryLedger
from jitprov.ledger.overview import UNFINISHED, Act, Cause, Filter, Found, Mark, Standing, place_of


class MemoryOverview(MemoryLedger):
    """See `Overview`.

    Args:
        now: The store's clock: aware UTC, never going back.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self._acts: dict[str, Act] = {}

    def _all(self, since: datetime | None = None) -> list[Provisioning]:
        with self._lock:
            records = [entry.seen() for entry in self.store.entries.values()]
        kept = [record for record in records if since is None or record.accepted_at >= since]
        return sorted(kept, key=lambda record: (record.accepted_at, record.provisioning_id))

    def _matching(self, wanted: Filter) -> Iterator[Provisioning]:
        for record in self._all(wanted.since):
            signs = signs_of(record)
            if (
                (not wanted.states or record.state in wanted.states)
                and wanted.step in {None, record.step}
                and wanted.error in {"", signs.code}
                and wanted.department.strip().casefold() in {"", _department(record).casefold()}
                and all(word in _words(record) for word in wanted.words)
            ):
                yield record

    def search(self, wanted: Filter, *, after: str | None = None, limit: int = 100) -> Found:
        """See `Overview.search`."""
        place = place_of(after) if after else None
        found = [
            record
            for record in self._matching(wanted)
            if place is None or (to_us(record.accepted_at), record.provisioning_id) > place
        ]
        if len(found) <= limit:
            return Found(found, None)
        end = found[limit - 1]
        return Found(found[:limit], f"{to_us(end.accepted_at)}-{end.provisioning_id}")

    def tally(self, wanted: Filter) -> Mapping[Step, int]:
        """See `Overview.tally`."""
        counts = Counter(record.step for record in self._matching(wanted))
        return {step: counts[step] for step in EVERY_STEP if counts[step]}

    def causes(self, wanted: Filter) -> Sequence[Cause]:
        """See `Overview.causes`."""
        groups: dict[tuple[Step, str], list[str]] = {}
        for record in self._matching(wanted):
            if cause := signs_of(record).cause:
                groups.setdefault((record.step, cause), []).append(record.provisioning_id)
        causes = []
        for (step, cause), ids in groups.items():
            code, message, remedy, retry_helps = json.loads(cause)
            causes.append(Cause(len(ids), step, code, message, remedy, retry_helps, ids[0]))
        return sorted(causes, key=lambda each: -each.count)

    def standing(self, since: datetime | None = None) -> Standing:
        """See `Overview.standing`."""
        everybody = self._all()
        counted = self._all(since)
        states = Counter(record.state for record in counted)
        steps = Counter(record.step for record in everybody if not record.state.ended)
        ready = [record.ended_at for record in everybody if record.state is State.READY and record.ended_at]
        return Standing(
            now=self._now(),
            counts={state: states[state] for state in State},
            older=sum(1 for record in everybody if record.state in UNFINISHED)
            - sum(states[state] for state in UNFINISHED),
            under_way={step: steps[step] for step in EVERY_STEP},
            first_accepted_at=counted[0].accepted_at if counted else None,
            last_ready_at=max(ready, default=None),
            oldest_under_way_at=next((record.accepted_at for record in everybody if not record.state.ended), None),
        )

    def curve(self, since: datetime | None, instants: Sequence[datetime]) -> Sequence[Mark]:
        """See `Overview.curve`."""
        everybody = self._all()

        def ended(state: State, by: datetime) -> int:
            ends = (record.ended_at for record in everybody if record.state is state and record.ended_at)
            return sum(1 for end in ends if end <= by and (since is None or end >= since))

        arrived = [record.accepted_at for record in self._all(since)]
        return [
            Mark(at, sum(1 for each in arrived if each <= at), ended(State.READY, at), ended(State.FAILED, at))
            for at in instants
        ]

    def ahead(self, record: Provisioning) -> Mapping[Step, int]:
        """See `Overview.ahead`."""
        before: Counter[Step] = Counter()
        for other in self._all():
            earlier = other.step is record.step and other.accepted_at < record.accepted_at
            if not other.state.ended and (earlier or other.step.number > record.step.number):
                before[other.step] += 1
        return {step: before[step] for step in EVERY_STEP[record.step.number - 1 :]}

    def departments(self) -> Sequence[str]:
        """See `Overview.departments`."""
        return sorted({name for record in self._all() if (name := _department(record))})

    def note(self, act: Act, *, keep: int = 10_000) -> None:
        """See `Overview.note`."""
        with self._lock:
            self._acts[act.act_id] = act
            for old in sorted(self._acts.values(), key=lambda each: each.at)[:-keep]:
                del self._acts[old.act_id]

    def acts(self, *, limit: int = 100) -> Sequence[Act]:
        """See `Overview.acts`."""
        with self._lock:
            return sorted(self._acts.values(), key=lambda act: act.at, reverse=True)[:limit]


def _department(record: Provisioning) -> str:
    profile = record.findings.profile
    return profile.department if profile else ""


def _words(record: Provisioning) -> str:
    profile = record.findings.profile
    return words_of(profile.name if profile else "", profile.email if profile else "", record.user_id)
