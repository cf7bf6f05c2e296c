"""How the memory ledger takes in events, and lets those begin that wait for another of the same user; as accept.lua."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from jitprov.domain.events import Kind, Opening
from jitprov.domain.provisioning import (
    COMES_AFTER,
    CORRIDOR,
    NOT_FILLED_IN,
    Findings,
    Provisioning,
    State,
)
from jitprov.ledger.memory_store import Entry, MemoryStore

# What serves an opening whose id another provisioning has.
TAKEN = "taken"
_HELD = timedelta(days=1)


def accept_one(store: MemoryStore, opening: Opening, look_after_s: float) -> str:
    """Take in one event; return the id of what serves it, empty when nothing does, `TAKEN` when its id is another's."""
    known = _serving(store, store.events.get(opening.event_id))
    last = _serving(store, store.users.get(opening.user_id))
    if known:
        return known
    if last:
        return _serve(store, opening, last, look_after_s)
    if opening.kind is Kind.CHANGE and opening.user_id not in store.memories:
        return ""
    return _open(store, opening, look_after_s)


def under_way(store: MemoryStore, provisioning_id: str | None) -> str | None:
    """Return this one if it has not ended, or the nearest that it comes after and that has not; None without one."""
    while provisioning_id:
        entry = store.entries.get(provisioning_id)
        if entry and not entry.record.state.ended:
            return provisioning_id
        provisioning_id = entry.record.after if entry else None
    return None


def give_way(store: MemoryStore, entry: Entry, following: Entry) -> None:
    """Let the next one begin once nobody before it is under way; one that failed or was cancelled is not retried."""
    record = entry.record
    if record.state is not State.READY:
        entry.record = replace(record, state=State.CANCELLED, superseded_by=following.record.provisioning_id)
    before = under_way(store, record.after)
    if before:
        following.record = replace(following.record, after=before)
        store.entries[before].following = following.record.provisioning_id
    elif following.record.state is State.WAITING:
        following.due_at = store.now()


def _serve(store: MemoryStore, opening: Opening, last: str, look_after_s: float) -> str:
    """Return what serves an opening of somebody who has a provisioning: that one, a new one, or none."""
    entry = store.entries[last]
    record = entry.record
    if opening.kind is Kind.NEW:
        return _also(store, opening, last)
    if record.state.ended:
        if opening.kind is Kind.CHANGE and record.kind is Kind.CLEANUP:
            return ""
        serving = _open(store, opening, look_after_s, after=under_way(store, last))
        if serving != TAKEN:
            failed = record.state is State.FAILED
            entry.record = replace(
                record,
                state=State.CANCELLED if failed else record.state,
                superseded_by=serving,
                version=record.version + failed,
            )
        return serving
    parked = record.state is State.WAITING and record.waiting_for == NOT_FILLED_IN
    reads_later = parked or (record.step is CORRIDOR[0] and entry.lease is None)
    if not (reads_later and opening.kind.follows_profile and record.kind.follows_profile):
        return _open(store, opening, look_after_s, after=last)
    # It will read the profile after this event: one provisioning serves both.
    entry.record = replace(record, asked_at=store.now())
    if parked:
        entry.record, entry.due_at = replace(entry.record, not_before=None), store.now()
    return _also(store, opening, last)


def _also(store: MemoryStore, opening: Opening, serving: str) -> str:
    store.events[opening.event_id] = serving
    store.entries[serving].aliases.append(opening.event_id)
    return serving


def _open(store: MemoryStore, opening: Opening, look_after_s: float, *, after: str | None = None) -> str:
    serving, now = opening.provisioning_id, store.now()
    if serving in store.entries:
        return TAKEN
    record = Provisioning(
        serving,
        opening.event_id,
        opening.user_id,
        accepted_at=now,
        updated_at=now,
        kind=opening.kind,
        findings=Findings(order=opening.order),
    )
    due_at = now + timedelta(seconds=look_after_s)
    if after:
        record = replace(record, state=State.WAITING, waiting_for=COMES_AFTER, after=after)
        due_at = now + _HELD
        store.entries[after].following = serving
    store.entries[serving] = Entry(record, due_at=due_at)
    store.events[opening.event_id] = store.users[opening.user_id] = serving
    return serving


def _serving(store: MemoryStore, provisioning_id: str | None) -> str | None:
    # An id that leads to a provisioning that is not there leads nowhere, and does not swallow the event.
    return provisioning_id if provisioning_id in store.entries else None
