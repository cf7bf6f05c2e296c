"""Every request on the data port, in order of arrival; the oldest are forgotten when the ring is full.

Tokens appear only as hashes, bodies not at all.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass
from itertools import islice

from jitprov.sandbox.answers import Json


@dataclass(slots=True)
class Entry:
    """One request.

    Attributes:
        seq: 1 for the first request since start or reset.
        arrived_s: Sandbox instant its head had been read.
        arrived_wall_s: The same in real seconds since the epoch.
        applied_s: Sandbox instant the route ran and did not refuse; None when it never did.
        applied_wall_s: The same in real seconds since the epoch.
        token: Hash of the token; empty without a known one.
        method: As received.
        path: Path without query.
        query: Query as received.
        route: Path template; empty for an unknown path.
        user_id: User that the path names, or the WebRTC user of a new phone; empty otherwise.
        status: Status answered; None while under way, or when the connection was cut instead.
        rule: Id of the fault rule or barrier that fired; empty otherwise.
        duration_ms: Real milliseconds from arrival to answer; None while under way.
        user_agent: As received.
    """

    seq: int
    arrived_s: float
    arrived_wall_s: float
    method: str
    path: str
    query: str
    user_agent: str
    token: str = ""
    route: str = ""
    user_id: str = ""
    applied_s: float | None = None
    applied_wall_s: float | None = None
    status: int | None = None
    rule: str = ""
    duration_ms: float | None = None

    def applied(self, now_s: float) -> None:
        """Note the instant the route took effect."""
        self.applied_s, self.applied_wall_s = now_s, time.time()

    def ended(self, status: int | None) -> None:
        """Note the answer; None when the connection was cut."""
        self.status = status
        self.duration_ms = (time.time() - self.arrived_wall_s) * 1000


class Journal:
    """The ring."""

    def __init__(self, entries_max: int) -> None:
        """Begin empty; remember up to `entries_max` requests."""
        self._ring: deque[Entry] = deque(maxlen=entries_max)
        self._seq = 0

    def open(self, now_s: float, method: str, path: str, query: str, user_agent: str) -> Entry:
        """Write down a request that has just arrived."""
        self._seq += 1
        entry = Entry(self._seq, now_s, time.time(), method, path, query, user_agent)
        self._ring.append(entry)
        return entry

    def read(self, since: int, limit: int) -> Json:
        """Return up to `limit` entries whose seq is above `since`, and the seq to go on from."""
        first = self._ring[0].seq if self._ring else 1
        begin = max(0, since + 1 - first)
        entries = [asdict(entry) for entry in islice(self._ring, begin, begin + limit)]
        return {
            "entries": entries,
            "next_since": entries[-1]["seq"] if entries else max(since, 0),
            "last_seq": self._seq,
            "forgotten": first - 1,
        }
