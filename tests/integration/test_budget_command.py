"""`jitprov budget` over a real Redis: what people choose holds for everyone until they choose otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis
from running import RealParts

pytestmark = pytest.mark.integration


def test_people_pause_slow_and_resume(own_redis: OwnRedis, tmp_path: Path) -> None:
    """Pause and rate outlast a restart of Redis and are shown with who and why; a rate beyond the limit is refused."""
    with SandboxThread(SandboxOptions()) as sandbox, RealParts(own_redis, sandbox, tmp_path) as parts:
        paused = parts.run("budget", "pause", "--for", "10m", "--reason", "a change in Genesys")
        parts.run("budget", "rate", "120")
        refused = parts.run("budget", "rate", "301")
        own_redis.kill()
        own_redis.start()
        shown = json.loads(parts.run("budget", "--json").stdout)["budget"]
        resumed = json.loads(parts.run("budget", "resume", "--json").stdout)["budget"]

    assert paused.returncode == 0, paused.stderr
    assert "a change in Genesys" in paused.stdout
    assert refused.returncode == 5
    assert "between 1 and 300" in refused.stderr
    assert (shown["paused_by"], shown["rate_per_min"], shown["limit_per_min"]) == ("people", 120, 120)
    assert 500 < shown["paused_s"] <= 600
    assert (resumed["paused_s"], resumed["rate_per_min"]) == (0, 120)
