"""How fast the board answers with ten thousand provisionings in the ledger: half ready, the others in every state.

A real receiver, asked over HTTP as browsers ask. Each whole look at the board is fresh: the second for which it is kept
for all watchers has passed. What is asked for by name is looked for in all of them.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from statistics import median, quantiles
from typing import Any
from uuid import UUID

import requests

from benchmarks.arena import Arena, World
from jitprov.domain import provisioning as moves
from jitprov.domain.agent import Phone, Profile, RatedSkill, WantedState
from jitprov.domain.events import Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.outcomes import Failure
from jitprov.domain.provisioning import CORRIDOR, Findings, Provisioning, State, Step
from jitprov.ledger.redis_overview import RedisOverview
from jitprov.wiring import make_overview

PROVISIONINGS = 10_000
_ROUNDS = 25
_DEPARTMENTS = ("Seasonal_Retail", "Seasonal_Tech_Support", "Seasonal_Holiday")
_SKILLS = tuple(RatedSkill(name, 1.0, name) for name in ("Customer_Service", "Order_Tracking"))
_UNKNOWN = Failure("skill_unknown", "no routing skill 'Holliday'", "Mend it; then: jitprov retry ID", retry_helps=False)
_LATE = Failure("station_late", "the phone's station is not visible yet", "It goes on by itself", retry_helps=True)
_FRESH_S = 1.1


def measure(number: int = PROVISIONINGS) -> dict[str, Any]:
    """Return percentiles over all pages, and of each page alone, in milliseconds."""
    with Arena(World(1.0)) as arena:
        arena.start(arena.parts["receiver"])
        ledger = make_overview(arena.settings)
        fill(ledger, number)
        base = f"http://127.0.0.1:{arena.settings.receiver_port}"
        taken = _ask(base, _pages(ledger), arena.settings.operator_key.get_secret_value())
        ledger.close()
    every = sorted(took for each in taken.values() for took in each)
    return {
        "board_p95_ms": round(quantiles(every, n=20)[-1], 1),
        "board_median_ms": round(median(every), 1),
        "board_max_ms": round(every[-1], 1),
        "board_provisionings": number,
        "board_pages_p95_ms": {page: round(quantiles(each, n=20)[-1], 1) for page, each in taken.items()},
    }


def _pages(ledger: RedisOverview) -> dict[str, str]:
    [failed] = ledger.page((State.FAILED,), limit=1)
    return {
        "board": "/",
        "list": "/agents",
        "list by state": "/agents?state=failed",
        "list by error and department": "/agents?error=skill_unknown&department=Seasonal_Retail",
        "list by a name that one has": "/agents?q=robin-7001",
        "list by a name that nobody has": "/agents?q=nobody",
        "agent": f"/agents/{failed.provisioning_id}",
        "is Robin ready": "/ready?q=robin-42%20example",
        "preview of a retry": "/retry?state=failed",
        "log": "/log",
    }


def _ask(base: str, pages: dict[str, str], key: str) -> dict[str, list[float]]:
    """Return how long each answer took, in milliseconds; the first round only warms up."""
    taken: dict[str, list[float]] = {page: [] for page in pages}
    pause = threading.Event()
    with requests.Session() as session:
        session.headers["X-Operator-Key"] = key
        for turn in range(_ROUNDS + 1):
            looked_s = time.monotonic()
            for page, path in pages.items():
                began_s = time.perf_counter()
                answer = session.get(f"{base}{path}", timeout=30)
                took_ms = (time.perf_counter() - began_s) * 1000
                answer.raise_for_status()
                if turn:
                    taken[page].append(took_ms)
            pause.wait(max(0.0, looked_s + _FRESH_S - time.monotonic()))
    return taken


def fill(ledger: RedisOverview, number: int) -> None:
    """Put agents into the ledger, through its own port: half become ready, a fifth wait for their turn, and so on."""
    chance = random.Random(1)  # noqa: S311  the same agents every time
    for start in range(0, number, 500):
        openings = [_opening(chance) for _ in range(min(500, number - start))]
        ledger.accept(openings, look_after_s=3600)
        for place, record in enumerate(ledger.get_many([opening.provisioning_id for opening in openings]), start):
            after = _moved(record, place, ledger)
            if after is not None and not ledger.change(record, after, look_after_s=3600):
                raise RuntimeError("somebody else writes into the benchmark's ledger")


def _opening(chance: random.Random) -> Opening:
    event, user, own = (UUID(int=chance.getrandbits(128), version=4) for _ in range(3))
    return Opening(provisioning_id_from(own), str(event), str(user))


def _moved(record: Provisioning, place: int, ledger: RedisOverview) -> Provisioning | None:
    name, department = f"Robin-{place} Example", _DEPARTMENTS[place % 3]
    profile = Profile(record.user_id, name, f"robin-{place}@example.test", department, "Agent", "Home")
    found = Findings(profile, WantedState(("Seasonal",), skills=_SKILLS), Phone(f"phone-{place}", f"line-{place}"))
    now, kind = ledger.ping(), place % 10
    if kind < 5:
        return moves.advance(replace(record, step=CORRIDOR[-1]), now, found)
    if kind < 7:
        return moves.fail(replace(record, step=Step.RESOLVE_SKILLS, findings=Findings(profile)), now, _UNKNOWN)
    if kind == 7:
        waiting = replace(record, step=Step.ASSIGN_STATION, findings=found)
        return moves.wait(waiting, now, 3600, _LATE, spends=False, counted_s=6)
    return None
