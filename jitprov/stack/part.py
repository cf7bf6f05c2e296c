"""What a part is, and how one stands: the words of supervision. Starts nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class PartState(StrEnum):
    """How a part stands."""

    #: Its process runs and is not ready yet.
    STARTING = "starting"
    #: Ready.
    UP = "up"
    #: It ended by itself and waits for its next start.
    PAUSED = "paused"
    #: It was stopped, or has not been started.
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process to be kept up.

    Attributes:
        name: As status, events and the log's file name show it.
        argv: Program and arguments; no secrets, everyone on the machine can read them.
        log_path: File that takes its output, appended to.
        env: Its whole environment; may hold secrets, so it is not shown.
        folder: Its working folder; the supervisor's own when None.
        ready: Tells whether it does its work; an OSError means no. None: ready after half a second of life.
        ready_within_s: Longest time from start to ready.
        stop_signal: Asks it to end.
        stop_within_s: How long it may take; then its whole process group is killed.
    """

    name: str
    argv: tuple[str, ...]
    log_path: Path
    env: Mapping[str, str] | None = field(default=None, repr=False)
    folder: Path | None = None
    ready: Callable[[], bool] | None = field(default=None, repr=False)
    ready_within_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0


@dataclass(frozen=True, slots=True)
class PartStatus:
    """How one part stands at a moment.

    Attributes:
        name: The part's.
        pid: Of its process, which leads a process group of the same number; None when there is none.
        state: See `PartState`.
        restarts: Times it was started again after it ended by itself.
        for_s: Seconds it has been in this state.
    """

    name: str
    pid: int | None
    state: PartState
    restarts: int
    for_s: float


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a part while it was being watched.

    Attributes:
        part: Its name.
        what: `up`, `ended`, `started_again`, `late` (it runs and is not ready in time).
        text: The same for a person, in one line without secrets.
    """

    part: str
    what: str
    text: str
