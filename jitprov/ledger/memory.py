"""The ledger in one process' memory: for fast tests and simulations, under the same contract suite as Redis'.

It keeps decoded records and decides in Python what the scripts decide in Lua; nothing is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jitprov.domain.events import Acceptance, Opening
from jitprov.domain.given import Memory
from jitprov.domain.ids import is_uuid, parse_task_id
from jitprov.domain.provisioning import CORRIDOR, Provisioning, State, Step
from jitprov.errors import DependencyDown
from jitprov.ledger.book import Book, BookKeeper, BookMemory
from jitprov.ledger.codec import same_email
from jitprov.ledger.memory_accept import TAKEN, accept_one, give_way, under_way
from jitprov.ledger.memory_store import Entry, MemoryStore, Quarantined
from jitprov.ledger.port import ID_TAKEN, Claim, Denied, Due, Keep

_EARLY = timedelta(milliseconds=50)
_HELD_S = 3600.0


class MemoryLedger:
    """See `Ledger`. Thread-safe.

    Args:
        now: The store's clock: aware UTC, never going back.
        store: What it shares with others; one of its own when None.
        memory: What remembers the ledger beyond this client of it.
    """

    def __init__(
        self, now: Callable[[], datetime], store: MemoryStore | None = None, memory: BookMemory | None = None
    ) -> None:
        self.store = store or MemoryStore(now)
        self._now = now
        self._lock = self.store.lock
        self._keeper = BookKeeper(self.store, memory)

    def accept(self, openings: Sequence[Opening], *, look_after_s: float) -> list[Acceptance]:
        """See `Ledger.accept`."""
        with self._lock:
            if openings:
                self._keeper.look()
            accepted = [self._accept_one(opening, look_after_s) for opening in openings]
            if any(acceptance.provisioning_id == TAKEN for acceptance in accepted):
                raise DependencyDown(ID_TAKEN)
            for acceptance in accepted:
                if not acceptance.duplicate:
                    self._keeper.wrote(acceptance.provisioning_id, 0, self._now())
            return accepted

    def _accept_one(self, opening: Opening, look_after_s: float) -> Acceptance:
        serving = accept_one(self.store, opening, look_after_s)
        duplicate = serving != opening.provisioning_id
        return Acceptance(serving, opening.event_id, opening.user_id, duplicate=duplicate)

    def get(self, provisioning_id: str) -> Provisioning | None:
        """See `Ledger.get`."""
        with self._lock:
            entry = self.store.entries.get(provisioning_id)
            return entry.seen() if entry else None

    def get_many(self, provisioning_ids: Sequence[str]) -> list[Provisioning]:
        """See `Ledger.get_many`."""
        return [record for wanted in provisioning_ids if (record := self.get(wanted))]

    def find(self, any_id: str) -> Provisioning | None:
        """See `Ledger.find`."""
        wanted = any_id.strip()
        with self._lock:
            if "@" in wanted:
                return self.get(self.store.emails.get(same_email(wanted), ""))
            wanted = wanted.lower()
            served = self.store.users.get(wanted) or self.store.events.get(wanted)
            if served:
                return self.get(served)
            task = parse_task_id(wanted)
            found = self.get(task.provisioning_id if task else wanted) if is_uuid(wanted) else None
            if (
                found
                and task
                and (
                    task.generation > found.generation
                    or task.step_number not in {step.number for step in found.corridor}
                )
            ):
                return None
            return found

    def _why_denied(self, entry: Entry, step: Step, generation: int, token: str, now: datetime) -> Denied | None:
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
        elif under_way(self.store, record.after):
            return Denied("waiting", _HELD_S)
        elif record.not_before and record.not_before > now + _EARLY:
            return Denied("waiting", (record.not_before - now).total_seconds())
        return Denied(reason) if reason else None

    def claim(self, provisioning_id: str, step: Step, generation: int, *, token: str, lease_s: float) -> Claim | Denied:
        """See `Ledger.claim`."""
        with self._lock:
            looks_until = self._keeper.look().looks_until
            entry, now = self.store.entries.get(provisioning_id), self._now()
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
            self._keeper.wrote(provisioning_id, entry.record.version, now)
            look_first = looks_until is not None and entry.record.accepted_at < looks_until
            memory = self.store.memories.get(entry.record.user_id, Memory())
            return Claim(entry.seen(), token, now, look_first=look_first, memory=memory)

    def still_held(self, claim: Claim, *, lease_s: float) -> bool:
        """See `Ledger.still_held`."""
        with self._lock:
            entry, now = self.store.entries.get(claim.record.provisioning_id), self._now()
            if entry is None or entry.lease != claim.token or not entry.lease_until or entry.lease_until <= now:
                return False
            entry.lease_until = entry.due_at = max(entry.lease_until, now + timedelta(seconds=lease_s))
            return True

    def _write(self, entry: Entry, token: str, record: Provisioning, look_after_s: float, *, cancel: bool) -> bool:
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
        if ended and entry.following:
            give_way(self.store, entry, self.store.entries[entry.following])
        profile = record.findings.profile
        if profile and profile.email:
            self.store.emails[same_email(profile.email)] = record.provisioning_id
        return True

    def record(self, claim: Claim, record: Provisioning, *, look_after_s: float, memory: Memory | None = None) -> bool:
        """See `Ledger.record`."""
        with self._lock:
            entry = self.store.entries.get(record.provisioning_id)
            if entry is None:
                return False
            if entry.wrote == claim.token:
                return True
            if entry.lease != claim.token:
                return False
            self._write(entry, claim.token, record, look_after_s, cancel=entry.record.cancel_asked)
            if memory == Memory():
                self.store.memories.pop(record.user_id, None)
            elif memory is not None:
                self.store.memories[record.user_id] = memory
            self._keeper.wrote(record.provisioning_id, entry.record.version, claim.now)
            return True

    def memories(self, user_ids: Sequence[str]) -> Mapping[str, Memory]:
        """See `Ledger.memories`."""
        with self._lock:
            return {user_id: held for user_id in user_ids if (held := self.store.memories.get(user_id))}

    def all_memories(self) -> Mapping[str, Memory]:
        """See `Ledger.all_memories`."""
        with self._lock:
            return dict(self.store.memories)

    def change(self, seen: Provisioning, record: Provisioning, *, look_after_s: float) -> bool:
        """See `Ledger.change`."""
        with self._lock:
            entry = self.store.entries.get(record.provisioning_id)
            if entry is None or entry.record.version != seen.version:
                return False
            if entry.lease and entry.lease_until and entry.lease_until > self._now():
                return False
            if entry.record.superseded_by and not record.state.ended:
                return False
            return self._write(entry, "", record, look_after_s, cancel=False)

    def ask_cancel(self, provisioning_id: str) -> bool:
        """See `Ledger.ask_cancel`."""
        with self._lock:
            entry = self.store.entries.get(provisioning_id)
            if entry is None or entry.record.state.ended:
                return False
            entry.record = replace(entry.record, cancel_asked=True)
            return True

    def due(self, *, limit: int) -> list[Due]:
        """See `Ledger.due`."""
        with self._lock:
            now = self._now()
            entries = [entry for entry in self.store.entries.values() if entry.due_at and entry.due_at <= now]
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
            entry = self.store.entries.get(provisioning_id)
            if entry is None or entry.due_at is None:
                return
            entry.missed = missed
            entry.due_at = self._now() + timedelta(seconds=look_after_s)
            if republished:
                entry.record = replace(entry.record, republished=entry.record.republished + 1)

    def page(self, states: Sequence[State] = (), *, offset: int = 0, limit: int = 100) -> list[Provisioning]:
        """See `Ledger.page`."""
        with self._lock:
            wanted = [
                entry.seen() for entry in self.store.entries.values() if not states or entry.record.state in states
            ]
            return sorted(wanted, key=lambda record: record.accepted_at)[offset : offset + limit]

    def count(self) -> Mapping[State, int]:
        """See `Ledger.count`."""
        with self._lock:
            states = [entry.record.state for entry in self.store.entries.values()]
            return {state: states.count(state) for state in State}

    def waiting_users(self, *, limit: int) -> Sequence[str]:
        """See `Ledger.waiting_users`."""
        held = self.page((State.RUNNING,), limit=len(self.store.entries))[::-1][:limit]
        accepted = self.page((State.ACCEPTED,), limit=limit)
        return [record.user_id for record in [*held, *accepted] if record.step is CORRIDOR[0]][:limit]

    def standing_at(self, step: Step, *, limit: int) -> Sequence[Provisioning]:
        """See `Ledger.standing_at`."""
        under_way = tuple(state for state in State if not state.ended)
        return [record for record in self.page(under_way, limit=len(self.store.entries)) if record.step is step][:limit]

    def forget(self, *, ended_before: datetime, limit: int = 500) -> int:
        """See `Ledger.forget`."""
        with self._lock:
            for entry_id in [key for key, held in self.store.quarantine.items() if held.at < ended_before]:
                del self.store.quarantine[entry_id]
            dropped = 0
            for record in self.page((State.READY, State.CANCELLED), limit=limit):
                if record.ended_at and record.ended_at < ended_before:
                    dropped += 1
                    entry = self.store.entries.pop(record.provisioning_id)
                    for event_id in (record.event_id, *entry.aliases):
                        self.store.events.pop(event_id, None)
                    for index in (self.store.users, self.store.emails):
                        for known in [key for key, served in index.items() if served == record.provisioning_id]:
                            del index[known]
            return dropped

    def quarantine(self, entry: Mapping[str, str], *, keep: int, sealed: str = "") -> None:
        """See `Ledger.quarantine`."""
        with self._lock:
            self.store.quarantine[entry["id"]] = Quarantined(dict(entry), sealed, self._now())
            for oldest in list(self.store.quarantine)[:-keep]:
                del self.store.quarantine[oldest]

    def quarantined(self, *, limit: int = 100) -> Sequence[Mapping[str, str]]:
        """See `Ledger.quarantined`."""
        with self._lock:
            return [held.entry for held in reversed(self.store.quarantine.values())][:limit]

    def sealed_body(self, entry_id: str) -> str:
        """See `Ledger.sealed_body`."""
        with self._lock:
            held = self.store.quarantine.get(entry_id)
            return held.sealed if held else ""

    def release(self, entry_id: str) -> bool:
        """See `Ledger.release`."""
        with self._lock:
            return self.store.quarantine.pop(entry_id, None) is not None

    def ping(self) -> datetime:
        """See `Ledger.ping`."""
        return self._now()

    def trust(self) -> Book:
        """See `Ledger.trust`."""
        with self._lock:
            return self._keeper.look()

    def book(self) -> Book:
        """See `Ledger.book`."""
        return self._keeper.seen()

    def match_key(self, *, keep: Keep = "the first") -> None:
        """See `Ledger.match_key`: nothing here is sealed."""

    def acknowledge_loss(self, *, opens_in_s: float, looks_for_s: float) -> None:
        """See `Ledger.acknowledge_loss`."""
        self._keeper.acknowledge(opens_in_s=opens_in_s, looks_for_s=looks_for_s)
