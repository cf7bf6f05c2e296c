"""The receiver's first send is no slower than the others: what it needs is loaded before anything is served."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from own_redis import OwnRedis

pytestmark = pytest.mark.integration

_SCRIPT = """
import json, sys
from jitprov.pipeline.chain import enqueue, load_the_way_out, publish_impatiently
publish_impatiently()
if sys.argv[1] == "loaded":
    load_the_way_out()
before = set(sys.modules)
enqueue("00000000-0000-4000-8000-000000000000")
print(json.dumps(sorted(name for name in set(sys.modules) - before if name.startswith(("celery", "jitprov")))))
"""


def loaded_by_the_first_send(redis_url: str, how: str) -> list[str]:
    environment = dict(os.environ) | {"JITPROV_REDIS_URL": redis_url}
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT, how], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    modules: list[str] = json.loads(ran.stdout)
    return modules


def test_the_first_send_loads_nothing(own_redis: OwnRedis) -> None:
    """After the preparation the first send imports nothing of Celery or jitprov; without it, it does."""
    assert loaded_by_the_first_send(own_redis.url, "as it is")
    assert loaded_by_the_first_send(own_redis.url, "loaded") == []
