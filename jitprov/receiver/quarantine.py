"""What was refused: described for everybody who may look, its text sealed for whoever may read it, to be replayed.

EventBridge never repeats a 400, so a refused event is gone unless it is kept here: until the setting, the sender or
jitprov is mended, and then replayed. A description holds nothing of the text. The text may name people, so it is kept
only sealed (docs/decisions/0013), only up to `TEXT_MAX_BYTES`, and forgotten with what ended then.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from uuid import uuid4

from jitprov import logs
from jitprov.domain.events import Acceptance, Opening
from jitprov.errors import ConfigurationError
from jitprov.ledger import Ledger
from jitprov.pipeline.late_events import accept_late
from jitprov.receiver.body import Ignored, Refused, StartRule, read_body
from jitprov.receiver.lane import Lane
from jitprov.sealing import SealBroken, Seals

_log = logging.getLogger(__name__)

ENTRIES_KEPT = 1_000
# An audit event has some 2 kB. With the bound on entries, the texts take at most about 22 MB of Redis.
TEXT_MAX_BYTES = 16_384
_EVENT_IDS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One refused body on its way into quarantine.

    Attributes:
        entry: See `describe`.
        sealed: Its text, sealed; empty when it is not kept.
    """

    entry: Mapping[str, str]
    sealed: str


def describe(raw: bytes, refused: Sequence[Refused], seals: Seals) -> Item:
    """Return what the quarantine keeps of a body: enough to find it at the sender, and its text sealed.

    Args:
        raw: The body.
        refused: What was wrong with it, at least one.
        seals: Seals the text; without a key it is not kept.
    """
    first = refused[0].error
    entry_id = str(uuid4())
    event_ids = [reading.event_id for reading in refused if reading.event_id]
    if not seals:
        text = "not kept: JITPROV_DATA_KEY is not set"
    elif len(raw) > TEXT_MAX_BYTES:
        text = f"not kept: larger than {TEXT_MAX_BYTES} bytes"
    else:
        text = "sealed"
    entry = {
        "id": entry_id,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "size_bytes": str(len(raw)),
        "field": first.field,
        "cause": first.cause,
        "remedy": first.remedy,
        "refused": str(len(refused)),
        "event_ids": " ".join(event_ids[:_EVENT_IDS_KEPT]),
        "text": text,
    }
    return Item(entry, seals.seal(raw, about=_about(entry_id)) if text == "sealed" else "")


def _about(entry_id: str) -> str:
    return f"quarantine {entry_id}"


class Quarantine:
    """The one writer of quarantine entries, on a thread of its own, so that wrong bodies never hold up right ones.

    Args:
        ledger: Keeps the newest `ENTRIES_KEPT` entries; its clock stamps them.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lane: Lane[Item, None] = Lane("quarantine", self._write, waiting_max=500, batch_max=50)

    @property
    def alive(self) -> bool:
        """True while entries are written."""
        return self._lane.alive

    def submit(self, item: Item) -> Future[list[None]]:
        """Hand in an entry; see `Lane.submit`."""
        return self._lane.submit([item])

    def close(self, *, within_s: float = 5.0) -> bool:
        """Write what waits; see `Lane.close`."""
        return self._lane.close(within_s=within_s)

    def _write(self, items: list[Item]) -> list[None]:
        at = self._ledger.ping().isoformat(timespec="milliseconds")
        for item in items:
            entry = {"at": at, **item.entry}
            self._ledger.quarantine(entry, keep=ENTRIES_KEPT, sealed=item.sealed)
        return [None] * len(items)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a replayed entry.

    Attributes:
        entry_id: Which.
        accepted: Provisionings that serve its events now, those that there were already among them.
        ignored: Events with nothing to do.
        refused: Why the rest is refused still; the entry stays then.
        problem: Why it could not be replayed at all; empty when it could.
    """

    entry_id: str
    accepted: Sequence[Acceptance] = ()
    ignored: int = 0
    refused: Sequence[str] = ()
    problem: str = ""

    @property
    def left(self) -> bool:
        """True when the entry is in quarantine no longer, all of it being taken or ignored."""
        return not self.problem and not self.refused

    def told(self) -> dict[str, object]:
        """Return it for machines."""
        accepted = [asdict(acceptance) for acceptance in self.accepted]
        return {
            "entry_id": self.entry_id,
            "left": self.left,
            "accepted": accepted,
            "ignored": self.ignored,
            "refused": list(self.refused),
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class Warden:
    """What an operator may do with the quarantine. Each is harmless when repeated.

    Attributes:
        ledger: Keeps it.
        seals: Opens its texts.
        rule: What starts a provisioning, as set now.
        publish: Sends a new provisioning's chain.
        new_id: Makes a provisioning id.
        look_after_s: When the reconciler may first look for a message, in real seconds.
    """

    ledger: Ledger
    seals: Seals
    rule: StartRule
    publish: Callable[[str], None]
    new_id: Callable[[], str]
    look_after_s: float

    def entries(self, *, limit: int = ENTRIES_KEPT) -> Sequence[Mapping[str, str]]:
        """Return the descriptions, newest first."""
        return self.ledger.quarantined(limit=limit)

    def entry(self, entry_id: str) -> Mapping[str, str] | None:
        """Return one description; None when there is none."""
        return next((entry for entry in self.entries() if entry.get("id") == entry_id), None)

    def text(self, entry_id: str) -> bytes:
        """Return a refused body, byte for byte.

        Raises:
            ConfigurationError: It is not kept, or no longer, or was sealed with another key.
        """
        sealed = self.ledger.sealed_body(entry_id)
        if not sealed:
            raise ConfigurationError("its text is not kept, or no longer: have its sender send it again")
        try:
            return self.seals.open(sealed, about=_about(entry_id))
        except SealBroken as error:
            raise ConfigurationError(f"its text cannot be opened: {error}") from error

    def replay(self, entry_id: str) -> Replayed:
        """Read a refused body again, as if it came now; the entry goes when nothing of it is refused any more.

        Raises:
            DependencyDown: The ledger does not answer; replaying again is safe.
        """
        try:
            readings = read_body(self.text(entry_id), self.rule, self.new_id)
        except ConfigurationError as error:
            return Replayed(entry_id, problem=str(error))
        openings = [reading for reading in readings if isinstance(reading, Opening)]
        accepted = accept_late(self.ledger, self.publish, openings, look_after_s=self.look_after_s)
        refused = [str(reading.error) for reading in readings if isinstance(reading, Refused)]
        if not refused:
            self.ledger.release(entry_id)
        logs.event(_log, "quarantine_replayed", entry_id=entry_id, accepted=len(accepted), refused=len(refused))
        return Replayed(entry_id, accepted, sum(isinstance(reading, Ignored) for reading in readings), refused)

    def drop(self, entry_id: str) -> bool:
        """Drop an entry and its text; False when there was none."""
        dropped = self.ledger.release(entry_id)
        logs.event(_log, "quarantine_dropped", entry_id=entry_id, found=dropped)
        return dropped
