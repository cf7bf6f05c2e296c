"""How the board says things: states, steps and waits in plain words, instants in the visitor's time zone, numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jitprov.domain.provisioning import Provisioning, State, Step, StepState

STATES = {
    State.ACCEPTED: "waiting for its turn",
    State.RUNNING: "running",
    State.WAITING: "waiting",
    State.READY: "call-ready",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}

STEPS = {
    Step.FETCH_PROFILE: "Read the profile",
    Step.RESOLVE_SKILLS: "Apply the rules",
    Step.PATCH_SKILLS: "Give skills",
    Step.CREATE_PHONE: "Make the phone",
    Step.ASSIGN_STATION: "Set the station",
    Step.SET_UTILIZATION: "Set the utilization",
    Step.GRANT_ACCESS: "Grant access",
    Step.TAKE_AWAY: "Take away what is not wanted any more",
}

STEP_STATES = {
    StepState.PENDING: "to come",
    StepState.RUNNING: "running",
    StepState.WAITING: "waiting",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.CANCELLED: "cancelled",
}

# Codes of waits, in words that need no key; any other code shows its own message.
WAITS = {
    "budget_denied": "for the API budget, which is used up",
    "calls_held_up": "for the API budget, which is paused",
    "rate_limited": "because the API answered 429",
    "comes_after": "for an earlier provisioning of the same agent to end",
    "profile_incomplete": "for department or title to be filled in; then, or after a while, the rules decide",
    "station_late": "for Genesys to show their phone's station",
    "dependency_down": "for a part that does not answer",
    "unavailable": "to try again: the API did not answer as it should",
    "outcome_unknown": "to look what an unanswered request has made, and try again",
    "not_yet_consistent": "for Genesys to see what was just made",
    "internal_error": "to try again after a defect",
}

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """Return a time zone by its IANA name; UTC for an empty or unknown one."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def span(duration: timedelta | float) -> str:
    """Return a duration as people say it: `40 s`, `12 min`, `1 h 05 min`, `2 days`."""
    seconds = round(duration.total_seconds() if isinstance(duration, timedelta) else duration)
    if seconds < 2 * _MINUTE_S:
        return f"{max(seconds, 0)} s"
    if seconds < _HOUR_S:
        return f"{round(seconds / _MINUTE_S)} min"
    if seconds < 2 * _DAY_S:
        return f"{seconds // _HOUR_S} h {seconds % _HOUR_S // _MINUTE_S:02} min"
    return f"{seconds // _DAY_S} days"


def number(value: float) -> str:
    """Return a count with separated thousands."""
    return f"{round(value):,}"


def agents(count: int) -> str:
    """Return `1 agent`, `2,000 agents`."""
    return f"{number(count)} agent{'' if count == 1 else 's'}"


def name_of(record: Provisioning) -> str:
    """Return what an agent is called: by name or address where the profile is known, else by user id."""
    profile = record.findings.profile
    return (profile.name or profile.email if profile else "") or record.user_id


def waits_for(code: str, message: str) -> str:
    """Return what is waited for, to follow "waits" or "wait"."""
    return WAITS.get(code) or f"({code}) {message}"


class Times:
    """Instants as one visitor reads them.

    Args:
        zone: IANA name from the browser; UTC when empty or unknown.
        now: This moment, to leave out the date of what is today.
    """

    def __init__(self, zone: str, now: datetime) -> None:
        self.zone = zone_of(zone)
        self._today = now.astimezone(self.zone).date()

    def clock(self, at: datetime, *, seconds: bool = True) -> str:
        """Return the time, with the date when it is not today's."""
        local = at.astimezone(self.zone)
        told = local.strftime("%H:%M:%S" if seconds else "%H:%M")
        return told if local.date() == self._today else f"{local:%Y-%m-%d} {told}"

    def name(self, at: datetime) -> str:
        """Return the zone's own short name at an instant: `UTC`, `CET`."""
        return at.astimezone(self.zone).tzname() or "UTC"
