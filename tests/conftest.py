"""Fixtures that every suite shares: a scrubbed environment, a real Redis, a clock that only tests move."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from fixed_clock import FixedClock
from own_redis import OwnRedis

# Whoever runs the suite may ignore hang-ups (nohup does) or interrupts (a shell's `&` does); the tests of signals, and
# the processes they start, need both as they are by default.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in [name for name in os.environ if name.startswith("JITPROV_")]:
    del os.environ[_name]

# How long an example takes says something about the machine's load, nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis for the whole run; each test keeps to its own key prefix."""
    server = OwnRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A real Redis that a test may kill."""
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def key_prefix() -> str:
    return f"test:{uuid4().hex[:12]}:"
