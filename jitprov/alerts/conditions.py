"""What deserves to ring, from plain facts. Pure: no store, no clock.

A text names the next command and holds no name, address or id: it goes to a chat room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Kind(StrEnum):
    """What an alert is about."""

    SILENCE = "silence"
    FAILURES = "failures"
    CIRCUIT = "circuit"
    PAUSED = "paused"
    BUSY = "busy"
    REFUSING = "refusing"
    LEDGER = "ledger"
    DATA_KEY = "data_key"
    DRIFT = "drift"


#: Failures and refusals are counted over this many minutes that are not over yet, or just are.
WINDOW_MIN = 5
# Fewer answers than these are no share of anything.
_REFUSED_LEAST = 5
# Looks of the reconciler, in the window, that found more than one look can take.
_FULL_LOOKS = 3
_CIRCUIT_S = 20.0
_LEDGER_S = 60.0
_REFUSING_S = 0.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """From where on it rings.

    Attributes:
        silence_s: Without an event, while sign-ins are expected.
        failed_share: Of those that ended in the window.
        failed_least: Fewer failures in the window never ring.
        paused_s: How long the budget may be paused.
        refused_share: Of the receiver's answers in the window.
        republished: Chains sent again in the window.
    """

    silence_s: float = 600.0
    failed_share: float = 0.05
    failed_least: int = 5
    paused_s: float = 300.0
    refused_share: float = 0.2
    republished: int = 100

    def after_s(self, kind: Kind) -> float:
        """Return for how long a condition must hold before it rings."""
        return {Kind.PAUSED: self.paused_s, Kind.CIRCUIT: _CIRCUIT_S, Kind.LEDGER: _LEDGER_S}.get(kind, _REFUSING_S)


@dataclass(frozen=True, slots=True)
class Facts:
    """How things stand.

    Attributes:
        at: The ledger's clock.
        expected_for: For how long sign-ins have been expected; None when they are not.
        arrived: Accepted within `Bounds.silence_s`.
        ready: Became ready in the window.
        failed: Failed in the window, and still are.
        codes: Why: code and count, the most frequent first.
        circuit: `closed`, `open` or `half-open`.
        paused_s: Until calls go on; 0.0 when nothing holds them back.
        paused_by: `people`, `api`, `circuit`, or empty.
        looks: Whether some reconciler has looked lately.
        full_looks: Looks in the window that were full.
        republished: Chains sent again in the window.
        answers: The receiver's answers in the window, by status.
        sealed: Agents who wait for a worker with the right data key.
        drift: What the last look for drift counted; empty before any.
    """

    at: datetime
    expected_for: timedelta | None = None
    arrived: int = 0
    ready: int = 0
    failed: int = 0
    codes: Sequence[tuple[str, int]] = ()
    circuit: str = "closed"
    paused_s: float = 0.0
    paused_by: str = ""
    looks: bool = True
    full_looks: int = 0
    republished: int = 0
    answers: Mapping[int, int] = field(default_factory=dict)
    sealed: int = 0
    drift: Mapping[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> Mapping[int, int]:
        """The answers that took no event, by status."""
        return {status: count for status, count in self.answers.items() if status >= 400}  # noqa: PLR2004  HTTP


def found(facts: Facts, bounds: Bounds) -> dict[Kind, str]:
    """Return what deserves to ring, with its text: what is wrong, and the next command."""
    texts = {
        Kind.SILENCE: _silence(facts, bounds),
        Kind.FAILURES: _failures(facts, bounds),
        Kind.CIRCUIT: _circuit(facts),
        Kind.PAUSED: _paused(facts),
        Kind.BUSY: _busy(facts, bounds),
        Kind.REFUSING: _refusing(facts, bounds),
        Kind.DATA_KEY: _sealed(facts),
        Kind.DRIFT: _drifted(facts),
    }
    return {kind: text for kind, text in texts.items() if text}


def _silence(facts: Facts, bounds: Bounds) -> str:
    if facts.expected_for is None or facts.arrived or facts.expected_for < timedelta(seconds=bounds.silence_s):
        return ""
    return (
        f"no sign-in for {bounds.silence_s / 60:.0f} min though sign-ins are expected. Does the event reach us? "
        "Next: jitprov doctor, then the EventBridge rule's FailedInvocations"
    )


def _failures(facts: Facts, bounds: Bounds) -> str:
    ended = facts.ready + facts.failed
    if facts.failed < bounds.failed_least or facts.failed < bounds.failed_share * ended:
        return ""
    codes = ", ".join(f"{code} {count}" for code, count in facts.codes[:3])
    return (
        f"{facts.failed} of {ended} agents that ended in the last {WINDOW_MIN} min failed"
        f"{f' ({codes})' if codes else ''}. Next: jitprov list --failed"
    )


def _circuit(facts: Facts) -> str:
    if facts.circuit == "closed":
        return ""
    return (
        "Genesys' API does not work for us: only probes are sent (circuit open). Next: jitprov budget, jitprov doctor"
    )


def _paused(facts: Facts) -> str:
    if not facts.paused_s or facts.paused_by == "circuit":  # that one rings by itself
        return ""
    by = {"people": "by an operator", "api": "as the API asked"}.get(facts.paused_by, "")
    return f"the API budget is paused {by}: nobody becomes ready. Next: jitprov budget, jitprov budget resume"


def _busy(facts: Facts, bounds: Bounds) -> str:
    if not facts.looks:
        return "no reconciler has looked for over a minute: what the broker loses stays lost. Next: jitprov doctor"
    if facts.republished >= bounds.republished:
        return (
            f"the reconciler sent {facts.republished} chains again in {WINDOW_MIN} min: workers die, or the broker "
            "loses messages. Next: jitprov doctor, then the workers' logs"
        )
    if facts.full_looks >= _FULL_LOOKS:
        return "the reconciler finds more than it can look at: are there workers enough? Next: jitprov doctor"
    return ""


def _sealed(facts: Facts) -> str:
    if not facts.sealed:
        return ""
    return (
        f"{facts.sealed} agents wait: a worker's JITPROV_DATA_KEY does not open what was found of them. "
        "Next: jitprov doctor"
    )


def _drifted(facts: Facts) -> str:
    differ, going = facts.drift.get("differ", 0), facts.drift.get("roles_that_go", 0)
    if not differ and not going:
        return ""
    return (
        f"{differ} of {facts.drift.get('agents', 0)} agents are not as the rules want, {going} roles are not asserted "
        "by the identity provider and go. Next: jitprov drift"
    )


def _refusing(facts: Facts, bounds: Bounds) -> str:
    refused, answered = facts.refused, sum(facts.answers.values())
    total = sum(refused.values())
    if total < _REFUSED_LEAST or total < bounds.refused_share * answered:
        return ""
    most = max(refused, key=lambda status: refused[status])
    remedy = {
        400: "jitprov quarantine list",
        401: "jitprov doctor, and compare the sender's key with JITPROV_WEBHOOK_KEY (final for EventBridge: replay its "
        "dead letters with jitprov replay)",
        429: "look for who tries wrong keys in the receiver's log",
        503: "jitprov doctor",
    }.get(most, "look at the sender's configuration")
    return (
        f"the receiver refused {total} of {answered} deliveries in {WINDOW_MIN} min, most with {most}. Next: {remedy}"
    )
