"""The tripwire itself: it kills where it is told to, and counts all that a process sends."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from redis import Redis

from reliability.tripwire import command_of
from running import PROJECT

_PROGRAM = textwrap.dedent("""
    import sys
    from pathlib import Path
    from redis import Redis
    from reliability.tripwire import Tripwire, set_up
    url, key, n, phase, folder = sys.argv[1:]
    set_up(Tripwire(int(n), phase, "start", Path(folder, "trace"), Path(folder, "tripped")))
    client = Redis.from_url(url, lib_name=None, lib_version=None, protocol=2)
    for word in ("one", "two", "three"):
        client.rpush(key, word)
""")


@pytest.mark.parametrize(
    ("n", "phase", "applied", "dies"),
    [
        (2, "before", [b"one"], True),
        (2, "after", [b"one", b"two"], True),
        (9, "before", [b"one", b"two", b"three"], False),
    ],
)
def test_it_kills_before_or_after_the_nth_send(
    redis_url: str, key_prefix: str, tmp_path: Path, n: int, phase: str, applied: list[bytes], dies: bool
) -> None:
    """What was sent before it dies is applied; after it, nothing more; a number that is not reached kills nobody."""
    told = subprocess.run(
        [sys.executable, "-c", _PROGRAM, redis_url, key_prefix, str(n), phase, str(tmp_path)],
        env={"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}"}, cwd=PROJECT, check=False, timeout=60,
    )  # fmt: skip

    sent = [line.partition(" ")[2] for line in (tmp_path / "trace").read_text().splitlines()]
    with Redis.from_url(redis_url) as client:
        assert client.lrange(key_prefix, 0, -1) == applied
    assert told.returncode == (-signal.SIGKILL if dies else 0)
    assert (tmp_path / "tripped").exists() is dies
    assert sent == ["redis RPUSH"] * (2 if dies else 3)


@pytest.mark.parametrize(
    ("packed", "name"),
    [
        ([b"*1\r\n$4\r\nPING\r\n"], "PING"),
        (b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "GET"),
        ([b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nEXEC\r\n"], "MULTI+1"),
    ],
)
def test_it_names_what_is_sent(packed: list[bytes] | bytes, name: str) -> None:
    """A point is told by the command that was on its way."""
    assert command_of(packed) == name
