"""A part of jitprov with a tripwire: killed by SIGKILL just before, or just after, the Nth thing it sends.

What is counted is all that leaves the process: each write to a Redis connection (broker, ledger, budget and cache; a
pipeline is one write), each HTTP request, and of the receiver each piece of an answer. *After* means that the other
side has it and acts on it, and the answer is never read. The product knows nothing of this: the part's command runs
in this process as it is, with the sending functions of redis-py, urllib3 and uvicorn wrapped.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")

Phase = Literal["before", "after"]
Armed = Literal["start", "worker_ready", "child"]
# For the other side to have read and done what was sent.
_ACTS_WITHIN_S = 0.02
VISIBILITY_S = 10


@dataclass(frozen=True, slots=True)
class Tripwire:
    """Where a process is to die.

    Attributes:
        n: At the how manieth send, from 1; 0 never, which only counts.
        phase: Before it leaves, or after the other side has it.
        armed: From when it counts: the start, Celery's `worker_ready`, or the fork of a pool's child (there alone).
        trace: Gets a line for each thing sent: number, kind, what.
        tripped: Gets the instant of death, in seconds since the epoch; while it is there nobody dies again.
    """

    n: int
    phase: Phase
    armed: Armed
    trace: Path
    tripped: Path


class _Counter:
    def __init__(self, wire: Tripwire) -> None:
        self._wire = wire
        self._armed = wire.armed == "start"
        self._count = 0
        self._lock = threading.Lock()
        self._trace = os.open(wire.trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def arm(self, **_: object) -> None:
        self._armed, self._count, self._lock = True, 0, threading.Lock()

    def disarm(self) -> None:
        self._armed = False

    def around(self, what: str, send: Callable[[], T]) -> T:
        dies = self.counted(what)
        if dies == "before":
            self.die()
        sent = send()
        if dies == "after":
            self.die(after_s=_ACTS_WITHIN_S)
        return sent

    def counted(self, what: str) -> Phase | None:
        """Count one thing that is about to be sent; return when to die of it."""
        if not self._armed:
            return None
        with self._lock:
            self._count += 1
            os.write(self._trace, f"{self._count} {what}\n".encode())
            if self._count != self._wire.n or self._wire.tripped.exists():
                return None
            return self._wire.phase

    def die(self, after_s: float = 0.0) -> None:
        time.sleep(after_s)
        self._wire.tripped.write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)


def command_of(packed: Sequence[bytes] | bytes) -> str:
    """Return the name of the first command of a write to Redis, and how many follow it."""
    raw = packed if isinstance(packed, bytes) else b"".join(packed)
    words = raw[:4096].split(b"\r\n")
    name = words[2].decode("ascii", "replace") if len(words) > 2 else "?"
    more = sum(word[:1] == b"*" and word[1:].isdigit() for word in words) - 1
    return f"{name}+{more}" if more > 0 else name


def set_up(wire: Tripwire) -> None:
    """Wrap what sends in this process."""
    from redis.connection import AbstractConnection  # noqa: PLC0415  only in the process that may die
    from urllib3.connection import HTTPConnection  # noqa: PLC0415  as above

    counter = _Counter(wire)
    to_redis, to_http = AbstractConnection.send_packed_command, HTTPConnection.request

    def send_packed_command(self: Any, command: Any, *args: Any, **more: Any) -> Any:
        return counter.around(f"redis {command_of(command)}", lambda: to_redis(self, command, *args, **more))

    def request(self: Any, method: str, url: str, *args: Any, **more: Any) -> Any:
        what = f"http {method} {url.partition('?')[0]}"
        return counter.around(what, lambda: to_http(self, method, url, *args, **more))

    AbstractConnection.send_packed_command = send_packed_command  # type: ignore[method-assign]
    HTTPConnection.request = request  # type: ignore[method-assign]
    if wire.armed == "start":
        _wrap_answers(counter)
    elif wire.armed == "worker_ready":
        from celery import signals  # noqa: PLC0415  as above

        signals.worker_ready.connect(counter.arm, weak=False)
        os.register_at_fork(after_in_child=counter.disarm)
    else:
        os.register_at_fork(after_in_child=counter.arm)


def _wrap_answers(counter: _Counter) -> None:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle  # noqa: PLC0415  as above

    answer = RequestResponseCycle.send

    async def send(self: Any, message: Any) -> None:
        dies = counter.counted(f"answer {message['type']}")
        if dies == "before":
            counter.die()
        await answer(self, message)
        if dies == "after":
            counter.die(after_s=_ACTS_WITHIN_S)

    RequestResponseCycle.send = send  # type: ignore[method-assign]


def become(module: str, arguments: Sequence[str], wire: Tripwire | None = None, hurried_app: str = "") -> None:
    """Run a module as `python -m` does, in this process, to its end.

    Args:
        module: For example `jitprov`; where it turns into another command (`os.execv`), that one runs here too.
        arguments: After the module's name.
        wire: Where to die; None for a part that is to live.
        hurried_app: `module:name` of a Celery app that gives messages back within seconds; empty for none.
    """
    if wire:
        set_up(wire)
    if hurried_app:
        _hurry(hurried_app)

    def stay(_program: str, argv: Sequence[str]) -> None:
        run_module(argv[2], argv[3:])

    os.execv = stay  # type: ignore[assignment]
    run_module(module, arguments)


def run_module(module: str, arguments: Sequence[str]) -> None:
    """Run a module with its arguments."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _hurry(named: str) -> None:
    # What takes minutes in production, so that a test sees it: giving back what a dead worker held. Above the longest
    # countdown (5 s) and task all the same, as in production: else messages that wait are given out twice.
    module, _, name = named.partition(":")
    app = getattr(__import__(module, fromlist=[name]), name)
    given = dict(app.conf.broker_transport_options or {})
    hurried = {
        "visibility_timeout": VISIBILITY_S,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": 2,
    }
    app.conf.update(visibility_timeout=VISIBILITY_S, broker_transport_options=given | hurried)
