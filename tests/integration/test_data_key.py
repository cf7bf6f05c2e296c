"""Workers with a wrong data key: they do not start, and one that runs all the same spends nobody's attempts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jitprov.domain.provisioning import State, Step
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from reliability.scene import Scene
from running import RealParts

pytestmark = pytest.mark.integration

RIGHT, WRONG = "d" * 40, "e" * 40


@pytest.fixture
def scene(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Scene]:
    with (
        SandboxThread(SandboxOptions(time_scale=20)) as sandbox,
        RealParts(own_redis, sandbox, tmp_path) as parts,
    ):
        made = Scene(parts)
        yield made
        made.ledger.close()


@pytest.mark.parametrize("part", [("worker",), ("receiver",)])
def test_no_part_starts_with_another_key(scene: Scene, part: tuple[str, ...]) -> None:
    """Exit code 5, the setting and what to do; with both keys, as in a rotation, it starts."""
    scene.ledger.match_key()

    told = scene.parts.run(*part, JITPROV_DATA_KEY=WRONG)

    assert told.returncode == 5
    assert "JITPROV_DATA_KEY" in told.stderr
    assert "JITPROV_DATA_KEY_OLD" in told.stderr
    assert WRONG not in told.stdout + told.stderr


def test_celery_itself_does_not_start_with_another_key(scene: Scene) -> None:
    """Started past jitprov's own command a worker ends as well."""
    scene.ledger.match_key()

    told = scene.parts.celery("worker", "--pool", "solo", JITPROV_DATA_KEY=WRONG)

    assert told.returncode == 5
    assert "JITPROV_DATA_KEY" in told.stderr


def test_a_key_changed_under_way_fails_nobody(scene: Scene) -> None:
    """A worker that lost the key in a rotation gives back every attempt, and is shown; with the key all goes on."""
    (user_id,) = scene.accept()
    scene.control.barrier("skills", {"method": "PATCH"}, phase="before_apply", times=1)
    first = scene.parts.worker("--concurrency", "1")
    scene.send(user_id)
    wait_until(lambda: scene.waits_at("skills"), within_s=30)
    scene.parts.end(first)
    scene.control.release("skills")

    # A rotation done too fast: the old key was taken away while agents were under way.
    alone = {"JITPROV_DATA_KEY": WRONG}
    scene.parts.run("doctor", "--accept-data-key", **alone)
    second = scene.parts.worker("--concurrency", "1", **alone)
    scene.parts.start("reconciler", until="reconciler_started")
    wait_until(lambda: scene.record(user_id).state is State.WAITING, within_s=40)
    step = scene.record(user_id).steps[Step.PATCH_SKILLS]
    assert step.failure
    assert (step.failure.code, step.failure.retry_helps) == ("data_key_wrong", True)
    doctor = scene.parts.run("doctor", **alone)
    assert "1 agents wait for a worker with the key that sealed" in " ".join(doctor.stdout.split())
    assert scene.record(user_id).steps[Step.PATCH_SKILLS].attempts <= 1

    scene.parts.end(second)
    scene.parts.worker("--concurrency", "1", **alone, JITPROV_DATA_KEY_OLD=RIGHT)
    wait_until(lambda: scene.record(user_id).state is State.READY, within_s=60)
