"""Which alerts ring, and who has been told: condition → firing → told → calm → told again that it is over. Pure.

What is held survives restarts and is shared by all reconcilers, so each alert is told once. A message is tried again
after a growing pause; one that is over before it could be told is dropped. A process that dies between telling and
noting tells once more: better twice than never.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from jitprov.alerts.conditions import Kind

#: How long a condition must be gone before its alert is over: no ringing on and off.
CALM_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 15.0, 900.0
_DOUBLINGS_MAX = 6


@dataclass(frozen=True, slots=True)
class Alert:
    """One condition that holds, or did.

    Attributes:
        since: Since when.
        text: What is wrong, and the next command.
        firing: It has held for long enough.
        calm_since: Since when it no longer holds.
        told: The people know of it.
        over: It has been gone for long enough; kept until the people know that too.
        tries: Messages that did not get through, in a row.
        next_try_at: Not before that.
    """

    since: datetime
    text: str
    firing: bool = False
    calm_since: datetime | None = None
    told: bool = False
    over: bool = False
    tries: int = 0
    next_try_at: datetime | None = None

    def wants_telling(self, now: datetime) -> bool:
        """Tell whether a message is due."""
        news = self.over or (self.firing and not self.told)
        return news and (self.next_try_at is None or self.next_try_at <= now)

    def message(self, kind: Kind, now: datetime) -> str:
        """Return what the people read."""
        if self.over:
            lasted = (self.calm_since or now) - self.since
            return f"jitprov recovered: {kind}, after {max(1, round(lasted.total_seconds() / 60))} min"
        return f"jitprov alert: {kind}: {self.text}"


Alerts = Mapping[Kind, Alert]
_HELD: TypeAdapter[dict[Kind, Alert]] = TypeAdapter(dict[Kind, Alert])


def written(alerts: Alerts) -> bytes:
    """Return what is held, to be kept."""
    return _HELD.dump_json(dict(alerts))


def read(kept: bytes | None) -> dict[Kind, Alert]:
    """Return what was kept; nothing when it is gone or of another version."""
    if kept is None:
        return {}
    try:
        return _HELD.validate_json(kept)
    except ValueError:
        return {}


def advance(
    alerts: Alerts, found: Mapping[Kind, str], now: datetime, after_s: Callable[[Kind], float]
) -> dict[Kind, Alert]:
    """Return what is held after a look.

    Args:
        alerts: Held so far.
        found: Conditions that hold now, with their texts.
        now: Of the look.
        after_s: How long a condition must hold before it rings.
    """
    moved = {kind: _goes_on(alerts.get(kind), text, now, after_s(kind)) for kind, text in found.items()}
    for kind, alert in alerts.items():
        if kind not in found and (calmer := _calms_down(alert, now)):
            moved[kind] = calmer
    return moved


def _goes_on(alert: Alert | None, text: str, now: datetime, after_s: float) -> Alert:
    if alert is None:
        alert = Alert(now, text)
    firing = alert.firing or now - alert.since >= timedelta(seconds=after_s)
    return replace(alert, text=text, firing=firing, calm_since=None, over=False)


def _calms_down(alert: Alert, now: datetime) -> Alert | None:
    if not alert.firing:
        return None
    calm_since = alert.calm_since or now
    if now - calm_since < timedelta(seconds=CALM_S):
        return replace(alert, calm_since=calm_since)
    if not alert.told:
        return None
    if alert.over:
        return alert
    return replace(alert, calm_since=calm_since, over=True, tries=0, next_try_at=None)


def after_telling(alerts: Alerts, kind: Kind, now: datetime, *, got_through: bool) -> dict[Kind, Alert]:
    """Return what is held after a message."""
    rest = {each: alert for each, alert in alerts.items() if each is not kind}
    alert = alerts[kind]
    if not got_through:
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(alert.tries, _DOUBLINGS_MAX), _LONGEST_PAUSE_S)
        return rest | {kind: replace(alert, tries=alert.tries + 1, next_try_at=now + timedelta(seconds=pause_s))}
    if alert.over:
        return rest
    return rest | {kind: replace(alert, told=True, tries=0, next_try_at=None)}
