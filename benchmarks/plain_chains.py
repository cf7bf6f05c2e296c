"""Plain Celery chains as tutorials build them: results passed on, `rate_limit` as shipped, autoretry with backoff.

A worker is `celery -A benchmarks.plain_chains worker`; `python -m benchmarks.plain_chains USER_ID…` sends the chains.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

import requests
from celery import Celery, chain

from benchmarks.guides import Guide, Refused

_BROKER = os.environ.get("BENCH_BROKER", "redis://127.0.0.1:6379/0")
_SCALE = float(os.environ.get("BENCH_TIME_SCALE", "1"))
# 300 calls a minute, and four tasks of about two calls: what somebody who thinks of the limit would write.
_RATE = f"{300 * _SCALE / 8:.0f}/m"

app = Celery("plain", broker=_BROKER)
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@cache
def _guide() -> Guide:
    # One token for all processes: a token for each would be a limit for each, which Genesys' fair use forbids.
    return Guide(os.environ["BENCH_API"], _SCALE, retries=0, thorough=False, token=os.environ["BENCH_TOKEN"])


def _task(name: str) -> Any:
    return app.task(
        name=name,
        autoretry_for=(Refused, requests.RequestException),
        retry_backoff=max(1, int(2 / _SCALE)),
        retry_backoff_max=60,
        max_retries=20,
        rate_limit=_RATE,
    )


@_task("plain.profile")
def profile(user_id: str) -> dict[str, Any]:
    """Read the profile."""
    guide = _guide()
    user = guide.call(guide.token(), "GET", f"/api/v2/users/{user_id}")
    return {"id": user["id"], "name": user["name"], "department": user["department"]}


@_task("plain.skills")
def skills(user: dict[str, Any]) -> dict[str, Any]:
    """Look up and patch the skills."""
    guide = _guide()
    guide.give_skills(guide.token(), user)
    return user


@_task("plain.phone")
def phone(user: dict[str, Any]) -> dict[str, Any]:
    """Create the phone."""
    guide = _guide()
    token = guide.token()
    guide.make_phone(token, user, guide.phone_base(token))
    return user


@_task("plain.station")
def station(user: dict[str, Any]) -> None:
    """Set the default station."""
    guide = _guide()
    token = guide.token()
    station_id = guide.find_station(token, user["id"])
    guide.call(token, "PUT", f"/api/v2/users/{user['id']}/station/defaultstation/{station_id}")


if __name__ == "__main__":
    for each in sys.argv[1:]:
        chain(profile.s(each), skills.s(), phone.s(), station.s()).apply_async()
    # The supervisor takes an end for a fault; stay until it ends us.
    import threading

    threading.Event().wait()
