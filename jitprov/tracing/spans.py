"""The port of tracing: what the corridor's rooms say of where time goes. Said to nobody until a tracer is put in.

All spans of one provisioning are one trace, from the webhook to the station, over every queue, retry and republished
message. Its id follows from the provisioning's, which the ledger's record is kept under, so messages go on carrying one
id (docs/decisions/0002, 0034). Attributes are ids, codes, counts and route templates; never a name, address or secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Protocol

Attribute = str | int | float | bool | None


class Kind(StrEnum):
    """Which side of a conversation a span is."""

    INSIDE = "inside"
    PRODUCER = "producer"  # sends a message
    CONSUMER = "consumer"  # works on one
    CLIENT = "client"  # calls an API


class Span(Protocol):
    """A stretch of time that is being told."""

    def note(self, **attributes: Attribute) -> None:
        """Add attributes; those that are None are left out."""

    def fail(self, code: str) -> None:
        """Say that it failed, with a code of `jitprov.errors`."""


class Tracer(Protocol):
    """Tells spans to somebody."""

    def span(
        self, name: str, kind: Kind, of: str | None, attributes: Mapping[str, Attribute]
    ) -> AbstractContextManager[Span]:
        """See `span`."""
        ...

    def accepted(
        self, provisioning_id: str, *, began_ns: int, traceparent: str, attributes: Mapping[str, Attribute]
    ) -> None:
        """See `accepted`."""

    def trace_id(self, provisioning_id: str) -> str | None:
        """See `trace_id`."""

    def close(self) -> None:
        """Tell what is left, within seconds."""


class Silent:
    """Tells nobody: what stands in without a tracer, at the cost of a call."""

    def note(self, **attributes: Attribute) -> None:
        """See `Span.note`."""

    def fail(self, code: str) -> None:
        """See `Span.fail`."""


SILENT = Silent()
_NOTHING: AbstractContextManager[Span] = nullcontext(SILENT)
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Put in this process' tracer, after its fork; None takes it out. Whoever puts it in closes it."""
    global _tracer  # noqa: PLW0603  as logging has it: one for the process, and no room is handed it
    _tracer = tracer


def used() -> Tracer | None:
    """Return this process' tracer."""
    return _tracer


def is_on() -> bool:
    """Tell whether anybody listens, for who would have to gather what to say."""
    return _tracer is not None


def span(
    name: str, kind: Kind = Kind.INSIDE, *, of: str | None = None, **attributes: Attribute
) -> AbstractContextManager[Span]:
    """Tell a stretch of time, from entering the block to leaving it; what it raises is told by its code.

    Args:
        name: Constant, or made of what has few values, such as a route template.
        kind: See `Kind`.
        of: A provisioning id: the span stands under the beginning of its trace. None: under the span around it, and
            nowhere when there is none.
        **attributes: See `Span.note`.
    """
    return _NOTHING if _tracer is None else _tracer.span(name, kind, of, attributes)


def accepted(provisioning_id: str, *, began_ns: int, traceparent: str = "", **attributes: Attribute) -> None:
    """Tell the beginning of a trace: an event was accepted just now.

    Args:
        provisioning_id: Whose trace it is.
        began_ns: When its delivery came, in nanoseconds since the epoch.
        traceparent: Header of that name, if the sender traces too; its trace is linked.
        **attributes: See `Span.note`.
    """
    if _tracer is not None:
        _tracer.accepted(provisioning_id, began_ns=began_ns, traceparent=traceparent, attributes=attributes)


def trace_id(provisioning_id: str) -> str | None:
    """Return the id of a provisioning's trace, 32 hex digits; None while nobody traces."""
    return _tracer.trace_id(provisioning_id) if _tracer is not None else None
