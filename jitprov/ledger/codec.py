"""How a provisioning lies in a Redis hash: scalars that the scripts decide by, a JSON story, and sealed findings.

event user           ids                         state step gen      where it stands
accepted updated     instants, µs since epoch    ended nb            end; not before (0 = none)
v                    counts claims and writes
tries began          of the current step         lease lease_until   who runs it, until when (µs)
missed republished   the reconciler's counts     cancel              "1" when its end is asked for
kind asked           what for; last event (µs)   after next          ids of those before and behind it, of the same user
superseded           id of the one that took over when this one had failed
story                JSON of `Story`             email               digest, see `email_digests`
code cause           what it failed with or waits for, and what it is grouped by; see `Signs`
dept                 keyed digest of the department, to filter by
findings             JSON of `Findings`, sealed: names, addresses, what the steps made (docs/decisions/0013)

What is remembered of an agent beyond provisionings is JSON of `Memory`, sealed likewise (docs/decisions/0030).

Whoever has no key reads a record without its findings, and leaves them as they are when it writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from jitprov.domain.events import Kind
from jitprov.domain.given import Given, Memory
from jitprov.domain.outcomes import Failure
from jitprov.domain.provisioning import (
    COMES_AFTER,
    CORRIDOR,
    ON_DEMAND,
    Findings,
    Provisioning,
    State,
    Step,
    StepRecord,
    begin,
)
from jitprov.sealing import SealBroken, Seals

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Story:
    """What is only read and written whole, and holds nothing personal."""

    steps: Mapping[Step, StepRecord] = field(default_factory=dict)
    failure: Failure | None = None
    waiting_for: str | None = None


_STORY: TypeAdapter[Story] = TypeAdapter(Story)
_FINDINGS: TypeAdapter[Findings] = TypeAdapter(Findings)
_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)
_NOT_BEGUN = StepRecord()
_NOTHING_FOUND = Findings()


def to_us(instant: datetime) -> int:
    """Return microseconds since the epoch."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Return the aware UTC instant."""
    return _EPOCH + timedelta(microseconds=microseconds)


def same_email(email: str) -> str:
    """Return the one spelling of an address that all its spellings are compared by."""
    return email.strip().casefold()


def email_digests(email: str, seals: Seals) -> tuple[str, ...]:
    """Return what an address is looked up by, so that the index holds no addresses and cannot be guessed from.

    One for each key, the present one's first; none without a key.
    """
    return seals.digests(same_email(email))


def story_of(record: Provisioning) -> bytes:
    """Return the story of a record as compact JSON; of the corridor, steps not begun in the first run are left out."""
    steps = {step: held for step, held in record.steps.items() if held != _NOT_BEGUN or step in ON_DEMAND}
    return _STORY.dump_json(Story(steps, record.failure, record.waiting_for), exclude_defaults=True)


def sealed_findings(record: Provisioning, seals: Seals) -> str:
    """Return a record's findings as one sealed text.

    Raises:
        ConfigurationError: There is no key.
    """
    plain = _FINDINGS.dump_json(record.findings, exclude_defaults=True)
    return seals.seal(plain, about=record.provisioning_id)


def sealed_memory(user_id: str, memory: Memory, seals: Seals) -> str:
    """Return what is remembered of an agent as one sealed text; `-` for nothing.

    Raises:
        ConfigurationError: There is no key.
    """
    if memory == Memory():
        return "-"
    return seals.seal(_MEMORY.dump_json(memory, exclude_defaults=True), about=f"given {user_id}")


def open_memory(user_id: str, sealed: str | None, seals: Seals) -> Memory:
    """Return what is remembered of an agent.

    Raises:
        Unreadable: No key opens it, or a newer version wrote it.
    """
    if not sealed:
        return Memory()
    try:
        return _MEMORY.validate_json(seals.open(sealed, about=f"given {user_id}"))
    except SealBroken as error:
        raise Unreadable(f"what is remembered of agent {user_id}: {error}") from None
    except ValidationError:
        raise Unreadable(f"what is remembered of agent {user_id}: another version's") from None


# How one lies that waits for the provisioning before it: written by accept.lua, which knows no JSON of ours.
HELD_STORY = _STORY.dump_json(Story(waiting_for=COMES_AFTER), exclude_defaults=True).decode()
HELD_CAUSE = json.dumps(
    [
        COMES_AFTER,
        "An earlier provisioning of this agent is under way.",
        "It goes on by itself when that has ended.",
        True,
    ]
)


def sealed_order(provisioning_id: str, order: Given, seals: Seals) -> str:
    """Return what an operator ordered as the first findings of a provisioning; empty for nothing.

    Raises:
        ConfigurationError: There is no key.
    """
    if not order:
        return ""
    return seals.seal(_FINDINGS.dump_json(Findings(order=order), exclude_defaults=True), about=provisioning_id)


@dataclass(frozen=True, slots=True)
class Signs:
    """What a provisioning is found and grouped by, beside its story so that no story must be read for it.

    Attributes:
        code: Of the failure that it failed with or waits for; empty otherwise.
        cause: JSON of code, message, remedy and whether retrying helps: the same for all that the same thing befell.
    """

    code: str = ""
    cause: str = ""


def signs_of(record: Provisioning) -> Signs:
    """Return what a record is found and grouped by."""
    failure = record.failure if record.state is State.FAILED else record.steps[record.step].failure
    if failure is None or record.state not in {State.FAILED, State.WAITING}:
        return Signs()
    # Status and correlation id are each agent's own.
    return Signs(failure.code, json.dumps([failure.code, failure.message, failure.remedy, failure.retry_helps]))


def words_of(name: str, email: str, user_id: str) -> str:
    """Return what an agent is searched in, folded, a line each."""
    return f"{name}\n{email}\n{user_id}".casefold()


def department_digests(department: str, seals: Seals) -> tuple[str, ...]:
    """Return what a department is filtered by, the present key's first; none without a key."""
    return seals.digests(f"department {department.strip().casefold()}")


def open_findings(provisioning_id: str, sealed: str, seals: Seals) -> Findings:
    """Return sealed findings; none when no key opens them."""
    try:
        return _open(provisioning_id, {"findings": sealed}, seals)
    except (SealBroken, ValidationError):
        return Findings()


class Unreadable(Exception):  # noqa: N818  the redis ledger's own; says where, never what
    """A hash holds no record that this version understands."""


def why_sealed(provisioning_id: str, fields: Mapping[str, str], seals: Seals) -> str:
    """Return why a record's findings cannot be opened; empty when they can, or when there are none."""
    try:
        _open(provisioning_id, fields, seals)
    except SealBroken as error:
        return str(error)
    return ""


def decode(provisioning_id: str, fields: Mapping[str, str], seals: Seals) -> Provisioning:
    """Return the record that a hash holds; a running claim shows as a begun step.

    Args:
        provisioning_id: Whose hash it is.
        fields: What is in it.
        seals: Opens the findings; they are left out when no key opens them.

    Raises:
        Unreadable: Written by a newer version, or by a hand.
    """
    try:
        try:
            findings = _open(provisioning_id, fields, seals)
        except SealBroken:
            findings = _NOTHING_FOUND
        return _decode(provisioning_id, fields, findings)
    except ValidationError as error:
        # Its own text would quote the story, names and addresses included.
        where = ", ".join(".".join(map(str, item["loc"])) for item in error.errors(include_input=False))
        raise Unreadable(f"provisioning {provisioning_id}: {where}") from None
    except (KeyError, ValueError) as error:
        raise Unreadable(f"provisioning {provisioning_id}: {type(error).__name__}") from None


def _open(provisioning_id: str, fields: Mapping[str, str], seals: Seals) -> Findings:
    sealed = fields.get("findings")
    return _FINDINGS.validate_json(seals.open(sealed, about=provisioning_id)) if sealed else _NOTHING_FOUND


def _decode(provisioning_id: str, fields: Mapping[str, str], findings: Findings) -> Provisioning:
    story = _STORY.validate_json(fields.get("story") or "{}")
    updated_at = from_us(int(fields["updated"]))
    record = Provisioning(
        provisioning_id=provisioning_id,
        event_id=fields["event"],
        user_id=fields["user"],
        accepted_at=from_us(int(fields["accepted"])),
        updated_at=updated_at,
        state=State(fields["state"]),
        step=Step(fields["step"]),
        generation=int(fields["gen"]),
        ended_at=from_us(int(fields["ended"])) if int(fields.get("ended", 0)) else None,
        not_before=from_us(int(fields["nb"])) if int(fields.get("nb", 0)) else None,
        waiting_for=story.waiting_for,
        steps={**dict.fromkeys(CORRIDOR, _NOT_BEGUN), **story.steps},
        findings=findings,
        failure=story.failure,
        cancel_asked=fields.get("cancel") == "1",
        republished=int(fields.get("republished", 0)),
        version=int(fields.get("v", 0)),
        kind=Kind(fields.get("kind", Kind.NEW)),
        asked_at=from_us(int(fields["asked"])) if fields.get("asked") else None,
        after=fields.get("after"),
        superseded_by=fields.get("superseded"),
    )
    if fields.get("lease"):
        begun = begin(record, from_us(int(fields["began"])), int(fields["tries"]))
        return begun if begun.updated_at == updated_at else replace(begun, updated_at=updated_at)
    return record
