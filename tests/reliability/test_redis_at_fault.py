"""Redis cut off, hung, full, slow, out of disk, its answers lost: under a worker in the middle of things."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from builders import an_opening
from jitprov.domain.events import Opening
from jitprov.errors import DependencyDown
from jitprov.ledger.redis import RedisLedger
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from redis_link import RedisLink
from reliability.scene import PHONES, Scene, go_on, stop
from running import RealParts

pytestmark = [pytest.mark.integration, pytest.mark.faults]


@pytest.fixture
def scene(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Scene]:
    options = SandboxOptions(time_scale=20, unique_phone_names=False, phone_listing_lag_s=4.0)
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as parts:
        made = Scene(parts)
        yield made
        made.ledger.close()


def test_cut_while_a_phone_is_made(scene: Scene) -> None:
    """All connections of Redis are cut in the middle of the create: the message comes again, the phone does not."""
    (user_id,) = scene.accept()
    scene.control.barrier("phone", PHONES, phase="after_apply", times=1)
    worker = scene.parts.worker()
    scene.send(user_id)
    wait_until(lambda: scene.waits_at("phone"), within_s=30)

    with Redis.from_url(scene.parts.redis.url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    scene.parts.start("reconciler", until="reconciler_started")
    time.sleep(1)
    scene.control.release("phone")

    scene.assert_all_ready([user_id])
    assert scene.phones_asked_for() == 1
    assert worker.poll() is None


def test_hung_for_longer_than_anybody_waits(scene: Scene) -> None:
    """A Redis that stands still for longer than every time-out of the ledger's is lived through without a restart."""
    user_ids = scene.accept(3)
    worker = scene.parts.worker()
    scene.parts.start("reconciler", until="reconciler_started")
    scene.control.barrier("phone", PHONES, phase="before_apply", times=1)
    scene.send(*user_ids)
    wait_until(lambda: scene.waits_at("phone"), within_s=30)

    stop(scene.parts.redis.pid)
    scene.control.release("phone")
    time.sleep(11)  # both tries of the ledger's 5 s
    go_on(scene.parts.redis.pid)

    scene.assert_all_ready(user_ids)
    assert worker.poll() is None


def test_full(scene: Scene) -> None:
    """A Redis that takes no more writes stops all work; when it takes them again all goes on, the worker as it was."""
    user_ids = scene.accept(3)
    worker = scene.parts.worker()
    scene.parts.start("reconciler", until="reconciler_started")
    with Redis.from_url(scene.parts.redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        with pytest.raises(DependencyDown):
            scene.ledger.accept([an_opening()], look_after_s=1)
        time.sleep(4)
        client.config_set("maxmemory", 0)
    scene.send(*user_ids)

    scene.assert_all_ready(user_ids)
    assert worker.poll() is None
    assert "Unrecoverable" not in scene.parts.logs()


def test_slow(scene: Scene) -> None:
    """Behind a line that adds 40 ms to each answer everything is slower and nothing is wrong."""
    # Nearer to real time: the meter's slots are so far apart that 40 ms do not miss them.
    scene.control.patch_options(time_scale=3.0)
    scene.parts.time_scale = 3.0
    scene.parts.settings["JITPROV_LEASE_S"] = "12"
    with RedisLink(scene.parts.redis.port) as link:
        link.delay_s = 0.04
        user_ids = scene.accept(2)
        scene.parts.worker(JITPROV_REDIS_URL=link.url)
        scene.send(*user_ids)

        scene.assert_all_ready(user_ids)
    assert scene.phones_asked_for() == 2


def test_answers_are_lost(scene: Scene) -> None:
    """Six things that the worker asks of Redis are done and never answered: nobody is lost, nothing is doubled."""
    count = 0

    def each_ninth(request: bytes) -> bool:
        nonlocal count
        if not any(word in request for word in (b"EVALSHA", b"LPUSH", b"MULTI")):
            return False
        count += 1
        return count % 9 == 0 and link.lost < 6

    with RedisLink(scene.parts.redis.port) as link:
        user_ids = scene.accept(4)
        worker = scene.parts.worker(JITPROV_REDIS_URL=link.url)
        scene.parts.start("reconciler", until="reconciler_started")
        link.loses = each_ninth
        scene.send(*user_ids)

        scene.assert_all_ready(user_ids, within_s=90)
        assert link.lost >= 5
    assert scene.phones_asked_for() == 4
    assert worker.poll() is None


def _accepted_until_refused(ledger: RedisLedger) -> list[Opening]:
    accepted: list[Opening] = []
    with contextlib.suppress(DependencyDown):
        while len(accepted) < 10_000:
            opening = an_opening()
            ledger.accept([opening], look_after_s=60)
            accepted.append(opening)
    return accepted


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system: needs root")
def test_disk_full(tmp_path: Path) -> None:
    """With a full disk nothing is accepted; what was accepted before is there when there is room again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine does not let us mount a file system")
    redis = OwnRedis(disk)
    scene_ledger = None
    try:
        redis.start()
        scene_ledger = RedisLedger.connect(redis.url, "jitprov:")
        accepted = _accepted_until_refused(scene_ledger)
        assert 50 < len(accepted) < 10_000
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        redis.kill()
        redis.start()

        with Redis.from_url(redis.url) as client:
            assert client.ping()
        assert [opening.event_id for opening in accepted if scene_ledger.find(opening.event_id) is None] == []
        scene_ledger.accept([an_opening()], look_after_s=60)
    finally:
        if scene_ledger:
            scene_ledger.close()
        redis.kill()
        subprocess.run(["umount", "-l", str(disk)], check=False)
