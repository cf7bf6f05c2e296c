"""A broker that is away is told as a dependency that is down, in a process of its own: that is what callers catch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from own_redis import free_port
from running import PROJECT

pytestmark = pytest.mark.integration

ID = "0b9a1c7e-3f52-4d68-9a01-5c7e3f520000"
CODE = """
from jitprov.errors import DependencyDown
from jitprov.pipeline import chain
chain.publish_impatiently()
try:
    {call}
except DependencyDown as error:
    print("told", type(error.__cause__).__name__)
"""


@pytest.mark.parametrize("call", [f"chain.enqueue({ID!r})", "chain.look_into_broker()"])
def test_a_broker_that_is_away_is_told(call: str) -> None:
    """Sending and looking raise DependencyDown: reconciler, receiver and operator's commands live on it."""
    environment = {**os.environ, "JITPROV_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(call=call)],
        cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.stdout.startswith("told"), done.stderr[-500:]
