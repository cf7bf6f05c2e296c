"""Becomes a part, once the supervisor has registered it with the warden; so no part runs that nobody would end.

Runs by path, with the standard library alone: `gate.py PROGRAM ARGUMENT…`. Waits for one byte on standard input. The
pipe's end without a byte means that the supervisor died first: nothing is started then.
"""

from __future__ import annotations

import os
import signal
import sys

NOT_FOUND = 127


def main() -> None:
    """Wait for the word, then become the program."""
    if not os.read(0, 1):
        sys.exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # Python ignores these, and a program inherits what is ignored.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  argv as the supervisor composed it
    except OSError as error:
        sys.stderr.write(f"cannot start {sys.argv[1]}: {error.strerror}\n")
        sys.exit(NOT_FOUND)


if __name__ == "__main__":
    main()
