"""The ledger in one process' memory: for fast tests and simulations, under the same contract suite as Redis'.

It keeps decoded records and decides in Python what the scripts decide in Lua; nothing is durable.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jitprov.domain.events import Acceptance, Opening
from jitprov.domain.ids import is_uuid, parse_task_id
from jitprov.domain.provisioning import CORRIDOR, Provisioning, State, Step, begin
from jitprov.ledger.codec import same_email
from jitprov.ledger.port import Claim, Denied, Due

_EARLY = timedelta(milliseconds=50)


@dataclass(slots=True)
class _Entry:
    record: Provisioning
    tries: int = 0
    began_at: datetime | None = None
    lease: str | None = None
    lease_until: datetime | None = None
    missed: int = 0
    due_at: datetime | None = None
    wrote: str | None = None
    aliases: list[str] = field(default_factory=list)

    def seen(self) -> Provisioning:
        """Return the record as a reader sees it: a running claim shows as a begun step."""
        if self.lease is None or self.began_at is None:
            return self.record
        return replace(begin(self.record, self.began_at, self.tries), updated_at=self.record.updated_at)


class MemoryLedger:
    """See `Ledger`. Thread-safe.

    Args:
        now: The store's clock: aware UTC, never going back.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] = {}
        self._events: dict[str, str] = {}
        self._users: dict[str, str] = {}
        self._emails: dict[str, str] = {}
        self._quarantine: deque[Mapping[str, str]] = deque()

    def accept(self, openings: Sequence[Opening], *, look_after_s: float) -> list[Acceptance]:
        """See `Ledger.accept`."""
        with self._lock:
            return [self._accept_one(opening, look_after_s) for opening in openings]

    def _accept_one(self, opening: Opening, look_after_s: float) -> Acceptance:
        serving = self._events.get(opening.event_id)
        if serving is None:
            serving = self._users.get(opening.user_id)
            if serving is not None:
                self._events[opening.event_id] = serving
                self._entries[serving].aliases.append(opening.event_id)
        if serving is None:
            serving, now = opening.provisioning_id, self._now()
            record = Provisioning(serving, opening.event_id, opening.user_id, accepted_at=now, updated_at=now)
            self._entries[serving] = _Entry(record, due_at=now + timedelta(seconds=look_after_s))
            self._events[opening.event_id] = self._users[opening.user_id] = serving
        duplicate = serving != opening.provisioning_id
        return Acceptance(serving, opening.event_id, opening.user_id, duplicate=duplicate)

    def get(self, provisioning_id: str) -> Provisioning | None:
        """See `Ledger.get`."""
        with self._lock:
            entry = self._entries.get(provisioning_id)
            return entry.seen() if entry else None

    def get_many(self, provisioning_ids: Sequence[str]) -> list[Provisioning]:
        """See `Ledger.get_many`."""
        return [record for wanted in provisioning_ids if (record := self.get(wanted))]

    def find(self, any_id: str) -> Provisioning | None:
        """See `Ledger.find`."""
        wanted = any_id.strip()
        with self._lock:
            if "@" in wanted:
                return self.get(self._emails.get(same_email(wanted), ""))
            wanted = wanted.lower()
            served = self._users.get(wanted) or self._events.get(wanted)
            if served:
                return self.get(served)
            task = parse_task_id(wanted)
            found = self.get(task.provisioning_id if task else wanted) if is_uuid(wanted) else None
            if found and task and (task.generation > found.generation or task.step_number > len(CORRIDOR)):
                return None
            return found

    def _why_denied(self, entry: _Entry, step: Step, generation: int, token: str, now: datetime) -> Denied | None:
        record = entry.record
        reason = None
        if generation < record.generation:
            reason = "stale"
        elif generation > record.generation:
            reason = "early"
        elif record.state is State.READY:
            reason = "done"
        elif record.state.ended:
            reason = "ended"
        elif step.number != record.step.number:
            reason = "done" if step.number < record.step.number else "early"
        elif entry.lease not in (None, token) and entry.lease_until and entry.lease_until > now:
            reason = "leased"
        elif record.not_before and record.not_before > now + _EARLY:
            return Denied("waiting", (record.not_before - now).total_seconds())
        return Denied(reason) if reason else None

    def claim(self, provisioning_id: str, step: Step, generation: int, *, token: str, lease_s: float) -> Claim | Denied:
        """See `Ledger.claim`."""
        with self._lock:
            entry, now = self._entries.get(provisioning_id), self._now()
            if entry is None:
                return Denied("unknown")
            denied = self._why_denied(entry, step, generation, token, now)
            if denied:
                return denied
            if entry.lease != token:
                entry.tries += 1
                entry.lease, entry.began_at = token, now
                entry.record = replace(entry.record, version=entry.record.version + 1)
            entry.lease_until = entry.due_at = now + timedelta(seconds=lease_s)
            entry.missed = 0
            entry.record = replace(entry.record, state=State.RUNNING, not_before=None, updated_at=now)
            return Claim(entry.seen(), token, now)

    def still_held(self, claim: Claim, *, lease_s: float) -> bool:
        """See `Ledger.still_held`."""
        with self._lock:
            entry, now = self._entries.get(claim.record.provisioning_id), self._now()
            if entry is None or entry.lease != claim.token or not entry.lease_until or entry.lease_until <= now:
                return False
            entry.lease_until = entry.due_at = now + timedelta(seconds=lease_s)
            return True

    def _write(self, entry: _Entry, token: str, record: Provisioning, look_after_s: float, *, cancel: bool) -> bool:
        now = self._now()
        ended = record.state.ended
        entry.record = replace(
            record,
            updated_at=now,
            ended_at=now if ended else None,
            cancel_asked=cancel and not ended,
            republished=entry.record.republished,
            version=entry.record.version + 1,
        )
        entry.tries = record.steps[record.step].attempts
        entry.lease = entry.lease_until = entry.began_at = None
        entry.wrote, entry.missed = token, 0
        entry.due_at = None if ended else now + timedelta(seconds=look_after_s)
        profile = record.findings.profile
        if profile and profile.email:
            self._emails[same_email(profile.email)] = record.provisioning_id
        return True

    def record(self, claim: Claim, record: Provisioning, *, look_after_s: float) -> bool:
        """See `Ledger.record`."""
        with self._lock:
            entry = self._entries.get(record.provisioning_id)
            if entry is None:
                return False
            if entry.wrote == claim.token:
                return True
            if entry.lease != claim.token:
                return False
            return self._write(entry, claim.token, record, look_after_s, cancel=entry.record.cancel_asked)

    def change(self, seen: Provisioning, record: Provisioning, *, look_after_s: float) -> bool:
        """See `Ledger.change`."""
        with self._lock:
            entry = self._entries.get(record.provisioning_id)
            if entry is None or entry.record.version != seen.version:
                return False
            if entry.lease and entry.lease_until and entry.lease_until > self._now():
                return False
            return self._write(entry, "", record, look_after_s, cancel=False)

    def ask_cancel(self, provisioning_id: str) -> bool:
        """See `Ledger.ask_cancel`."""
        with self._lock:
            entry = self._entries.get(provisioning_id)
            if entry is None or entry.record.state.ended:
                return False
            entry.record = replace(entry.record, cancel_asked=True)
            return True

    def due(self, *, limit: int) -> list[Due]:
        """See `Ledger.due`."""
        with self._lock:
            now = self._now()
            entries = [entry for entry in self._entries.values() if entry.due_at and entry.due_at <= now]
            entries.sort(key=lambda entry: entry.due_at or now)
            found = []
            for entry in entries[:limit]:
                runs = bool(entry.lease and entry.lease_until and entry.lease_until > now)
                lost = entry.lease is not None and not runs
                found.append(Due(entry.seen(), entry.missed, leased=runs, lease_lost=lost))
            return found

    def looked(self, provisioning_id: str, *, missed: int, look_after_s: float, republished: bool = False) -> None:
        """See `Ledger.looked`."""
        with self._lock:
            entry = self._entries.get(provisioning_id)
            if entry is None or entry.due_at is None:
                return
            entry.missed = missed
            entry.due_at = self._now() + timedelta(seconds=look_after_s)
            if republished:
                entry.record = replace(entry.record, republished=entry.record.republished + 1)

    def page(self, states: Sequence[State] = (), *, offset: int = 0, limit: int = 100) -> list[Provisioning]:
        """See `Ledger.page`."""
        with self._lock:
            wanted = [entry.seen() for entry in self._entries.values() if not states or entry.record.state in states]
            return sorted(wanted, key=lambda record: record.accepted_at)[offset : offset + limit]

    def count(self) -> Mapping[State, int]:
        """See `Ledger.count`."""
        with self._lock:
            states = [entry.record.state for entry in self._entries.values()]
            return {state: states.count(state) for state in State}

    def waiting_users(self, *, limit: int) -> Sequence[str]:
        """See `Ledger.waiting_users`."""
        held = self.page((State.RUNNING,), limit=len(self._entries))[::-1][:limit]
        accepted = self.page((State.ACCEPTED,), limit=limit)
        return [record.user_id for record in [*held, *accepted] if record.step is CORRIDOR[0]][:limit]

    def forget(self, *, ended_before: datetime, limit: int = 500) -> int:
        """See `Ledger.forget`."""
        with self._lock:
            dropped = 0
            for record in self.page((State.READY, State.CANCELLED), limit=limit):
                if record.ended_at and record.ended_at < ended_before:
                    dropped += 1
                    entry = self._entries.pop(record.provisioning_id)
                    for event_id in (record.event_id, *entry.aliases):
                        self._events.pop(event_id, None)
                    for index in (self._users, self._emails):
                        for known in [key for key, served in index.items() if served == record.provisioning_id]:
                            del index[known]
            return dropped

    def quarantine(self, entry: Mapping[str, str], *, keep: int) -> None:
        """See `Ledger.quarantine`."""
        with self._lock:
            self._quarantine.appendleft(dict(entry))
            while len(self._quarantine) > keep:
                self._quarantine.pop()

    def quarantined(self, *, limit: int = 100) -> Sequence[Mapping[str, str]]:
        """See `Ledger.quarantined`."""
        with self._lock:
            return list(self._quarantine)[:limit]

    def ping(self) -> datetime:
        """See `Ledger.ping`."""
        return self._now()
