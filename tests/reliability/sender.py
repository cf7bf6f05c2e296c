"""Sends events as EventBridge does: at least once, again after 429, 5xx and silence, never again after another 4xx.

    python -m reliability.sender URL PLAN OUT

PLAN holds a line of JSON per delivery: `at_s` from the start, and the `event`. OUT gets a line when a delivery has
ended: event id, status, tries, and what was answered before.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

_TIMEOUT_S = 5.0  # EventBridge's own
_SENDERS = 24
_AGAIN_S = 0.25
_GIVE_UP_S = 600.0


def deliver(url: str, event: dict[str, Any]) -> dict[str, Any]:
    """Deliver one event; return how it ended."""
    met: Counter[str] = Counter()
    began = time.monotonic()
    while time.monotonic() - began < _GIVE_UP_S:
        try:
            answer = requests.post(
                url,
                json=event,
                headers={"X-API-Key": os.environ["JITPROV_WEBHOOK_KEY"], "Connection": "close"},
                timeout=_TIMEOUT_S,
            )
            status = answer.status_code
        except requests.RequestException as error:
            met[type(error).__name__] += 1
            time.sleep(_AGAIN_S)
            continue
        if status < 500 and status != 429:
            return {"status": status, "tries": met.total() + 1, "met": met}
        met[str(status)] += 1
        time.sleep(_AGAIN_S)
    return {"status": None, "tries": met.total(), "met": met}


def main(url: str, plan: Path, out: Path) -> None:
    """Deliver a plan."""
    began = time.monotonic()
    lock = threading.Lock()

    def due(line: str) -> None:
        delivery = json.loads(line)
        time.sleep(max(0.0, delivery["at_s"] - (time.monotonic() - began)))
        ended = deliver(url, delivery["event"])
        ended |= {"event_id": delivery["event"]["detail"]["eventBody"]["id"], "at": time.time()}
        with lock, out.open("a") as told:
            told.write(json.dumps(ended) + "\n")

    with ThreadPoolExecutor(_SENDERS) as senders:
        list(senders.map(due, plan.read_text().splitlines()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
