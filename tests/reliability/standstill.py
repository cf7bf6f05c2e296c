"""`python -m reliability.standstill WHERE TOLD worker …`: a worker that stops itself once, where two phones are made.

It stops with SIGSTOP, as when its machine swaps or its container is frozen, at its first create of a phone:

    held      the lease was seen to be held, nothing has left
    headers   connected, the headers are out, the body is not
    looked    the clocks were looked at, the next instruction hands the body to the kernel
    machine   the same, and the kernel's own timers stood still as well, as when a virtual machine is paused

Then it writes its process id into the file TOLD.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from reliability.tripwire import become


def set_up(where: str, told: Path) -> None:
    """Wrap what is called there."""
    from jitprov.deadline import Deadline  # noqa: PLC0415  only in the process that stands still
    from jitprov.genesys.last_moment import LastMoment  # noqa: PLC0415  as above
    from jitprov.genesys.transport import Transport  # noqa: PLC0415  as above

    def stand() -> None:
        if not told.exists():
            beside = told.with_suffix(".part")
            beside.write_text(str(os.getpid()))
            beside.replace(told)
            os.kill(os.getpid(), signal.SIGSTOP)

    look, send = LastMoment.pass_through, Transport._send

    def pass_through(self: LastMoment) -> None:
        if where == "headers":
            stand()
        look(self)
        if where in {"looked", "machine"}:
            stand()

    def send_at(self: Transport, method: str, *args: Any, **more: Any) -> Any:
        if where == "held" and method == "POST":
            stand()
        return send(self, method, *args, **more)

    LastMoment.pass_through = pass_through  # type: ignore[method-assign]
    Transport._send = send_at  # type: ignore[method-assign]
    if where == "machine":
        Deadline.set = lambda _: None  # type: ignore[method-assign, assignment]


def main() -> None:
    """Become the worker."""
    where, told, *worker = sys.argv[1:]
    set_up(where, Path(told))
    become("jitprov", worker)


if __name__ == "__main__":
    main()
