"""What goes wrong in a chaos run, and when: drawn from a seed before it begins, so the same seed plans the same.

What of it then meets which request or which moment of a process depends on timing, and differs from run to run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

Victim = Literal["worker-0", "worker-1", "receiver", "reconciler", "redis"]
How = Literal["kill", "kill a child", "kill the main process alone", "pause", "cut"]

# Relative frequencies.
_VICTIMS: dict[Victim, int] = {"worker-0": 3, "worker-1": 3, "receiver": 4, "reconciler": 2, "redis": 2}
_PAUSE_S = (0.5, 9.0)
_PAUSED_SHARE = 0.12
_CUT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that happens to a process.

    Attributes:
        at_s: Real seconds from the start.
        victim: Who.
        how: `kill` is SIGKILL to the process and its children, as when a container ends; a pause is SIGSTOP and
            SIGCONT; a cut ends all connections of Redis.
        for_s: How long a pause lasts.
        pick: Chooses among children, 0.0 to 1.0.
    """

    at_s: float
    victim: Victim
    how: How
    for_s: float = 0.0
    pick: float = 0.0


def blows(seed: int, *, kills: int, within_s: float) -> list[Blow]:
    """Return what happens to processes, in order: `kills` kills, and some pauses and cuts beside them."""
    chance = random.Random(f"{seed}-blows")
    planned = [_kill(chance, at_s) for at_s in _instants(chance, kills, within_s)]
    paused = [victim for victim in _VICTIMS for _ in range(_VICTIMS[victim])]
    planned += [
        Blow(at_s, chance.choice(paused), "pause", for_s=chance.uniform(*_PAUSE_S))
        for at_s in _instants(chance, round(kills * _PAUSED_SHARE), within_s)
    ]
    planned += [
        Blow(at_s, "redis", "cut") for at_s in _instants(chance, round(kills * _PAUSED_SHARE * _CUT_SHARE), within_s)
    ]
    return sorted(planned, key=lambda blow: blow.at_s)


def _instants(chance: random.Random, count: int, within_s: float) -> list[float]:
    return [chance.uniform(0.5, within_s) for _ in range(count)]


def _kill(chance: random.Random, at_s: float) -> Blow:
    victim = chance.choices(list(_VICTIMS), list(_VICTIMS.values()))[0]
    hows: list[How] = ["kill"]
    if victim.startswith("worker"):
        hows = ["kill", "kill a child", "kill the main process alone"]
    return Blow(at_s, victim, chance.choice(hows), pick=chance.random())


def api_faults(seed: int, *, within_api_s: float) -> list[dict[str, Any]]:
    """Return the sandbox' fault rules: storms of 429 at drawn times, and a share of all other breakage throughout.

    Args:
        seed: Of the draw; the sandbox draws per request from its own seed.
        within_api_s: Length of the run, in API seconds.
    """
    chance = random.Random(f"{seed}-api")
    storms = []
    for number in range(max(2, round(within_api_s / 180))):
        begins_s, wait_s = chance.uniform(0, within_api_s), chance.choice((1, 2, 5))
        storms.append(
            {
                "id": f"storm-{number}",
                "match": {"path_re": "^/api/", "between": [begins_s, begins_s + 20.0], "prob": 0.7},
                "action": {"kind": "retry_after", "value": wait_s},
                "times": chance.randint(10, 40),
            }
        )
    return [*storms, *(_share(*each) for each in _SHARES)]


# id, share of the requests, phase, action, which requests
_Share = tuple[str, float, str, dict[str, Any], dict[str, Any]]
_API = {"path_re": "^/api/"}
_CREATE = {"method": "POST", "path_re": "/phones$"}
_SHARES: tuple[_Share, ...] = (
    ("create-reset-after", 0.03, "after_apply", {"kind": "reset"}, _CREATE),
    ("create-500-after", 0.02, "after_apply", {"kind": "status", "code": 500}, _CREATE),
    ("create-html-after", 0.02, "after_apply", {"kind": "html200"}, _CREATE),
    ("503", 0.01, "before_apply", {"kind": "status", "code": 503}, _API),
    ("500-after", 0.005, "after_apply", {"kind": "status", "code": 500}, _API),
    ("reset-before", 0.005, "before_apply", {"kind": "reset"}, _API),
    ("reset-after", 0.01, "after_apply", {"kind": "reset"}, _API),
    ("close-within", 0.005, "mid_body", {"kind": "close"}, _API),
    ("truncated", 0.005, "after_apply", {"kind": "truncate", "n": 20}, _API),
    ("not-json", 0.005, "after_apply", {"kind": "bad_json"}, _API),
    ("mistyped", 0.005, "after_apply", {"kind": "wrong_type"}, _API),
    ("page-of-html", 0.005, "before_apply", {"kind": "html200"}, _API),
    ("slow", 0.01, "before_apply", {"kind": "delay", "ms": 700}, _API),
    ("silent", 0.001, "after_apply", {"kind": "hang"}, _API),
    ("token-expires", 0.002, "before_apply", {"kind": "expire_token"}, _API),
    ("login-503", 0.1, "before_apply", {"kind": "status", "code": 503}, {"path_re": "^/oauth/"}),
)


def _share(name: str, share: float, phase: str, action: dict[str, Any], match: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "match": {**match, "prob": share}, "phase": phase, "action": action}
