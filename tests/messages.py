"""Messages as kombu lays them into a list; valid by default, one keyword changes one thing."""

from __future__ import annotations

import base64
import json
from typing import Any

ID = "0b9a1c7e-3f52-4d68-9a01-5c7e3f520011"
_QUEUE = "jitprov.fetch_profile"


def a_message(
    body: bytes, *, task: str = _QUEUE, task_id: str = ID, kind: str = "application/json", **more: Any
) -> str:
    """Return a message as kombu lays it in a list."""
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8" if "json" in kind else "binary",
            "content-type": kind,
            "headers": {"lang": "py", "task": task, "id": task_id, "root_id": task_id, "argsrepr": "()", **more},
            "properties": {
                "correlation_id": task_id,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": _QUEUE},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": task_id,
            },
        }
    )


def arguments(*args: Any) -> bytes:
    return json.dumps([args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()


def nested(levels: int) -> bytes:
    return b"[[" + b"[" * levels + b"]" * levels + b"], {}, {}]"
