"""Two workers on one agent: at once, after a lease has run out, and with clocks that disagree."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jitprov.domain.provisioning import State, Step
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from reliability.scene import PHONES, Scene, children_of, go_on, stop
from running import RealParts

pytestmark = [pytest.mark.integration, pytest.mark.faults]

_CLOCKS = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


@pytest.fixture
def scene(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Scene]:
    options = SandboxOptions(time_scale=20, unique_phone_names=False, phone_listing_lag_s=4.0)
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as parts:
        made = Scene(parts)
        yield made
        made.ledger.close()


def test_two_at_once(scene: Scene) -> None:
    """While one worker makes the phone, the same message is given to another: it is turned away, and asks nothing."""
    scene.parts.settings |= {"JITPROV_READ_TIMEOUT_S": "20", "JITPROV_LEASE_S": "30"}
    (user_id,) = scene.accept()
    scene.control.barrier("phone", PHONES, phase="before_apply", times=1)
    for _ in range(2):
        scene.parts.worker("--concurrency", "1")
    scene.send(user_id)
    wait_until(lambda: scene.waits_at("phone"), within_s=30)
    seen = len(scene.control.journal(limit=10_000))

    scene.send(user_id)
    create = scene.record(user_id).task_id()
    wait_until(lambda: scene.parts.logs().count(f"{create}] received") >= 2, within_s=15)
    time.sleep(0.5)
    assert len(scene.control.journal(limit=10_000)) == seen
    scene.control.release("phone")

    scene.assert_all_ready([user_id])
    assert scene.phones_asked_for() == 1


def test_a_machine_that_stands_still_past_its_lease(scene: Scene) -> None:
    """A worker stands still with its create under way; another finishes; the first wakes, and changes nothing."""
    (user_id,) = scene.accept()
    scene.control.barrier("phone", PHONES, phase="after_apply", times=1)
    first = scene.parts.worker("--concurrency", "1")
    scene.send(user_id)
    wait_until(lambda: scene.waits_at("phone"), within_s=30)
    still = [first.pid, *children_of(first.pid)]
    for pid in still:
        stop(pid)
    scene.control.release("phone")

    scene.parts.start("reconciler", until="reconciler_started")
    scene.parts.worker()
    wait_until(lambda: scene.record(user_id).state is State.READY, within_s=60)
    before = scene.record(user_id)
    for pid in still:
        go_on(pid)
    (other,) = scene.accept()
    scene.send(other)

    scene.assert_all_ready([user_id, other])
    assert scene.record(user_id) == before
    assert before.steps[Step.CREATE_PHONE].attempts == 2
    assert first.poll() is None


@pytest.mark.skipif(not _CLOCKS, reason="no libfaketime: apt-get install libfaketime")
def test_clocks_two_minutes_apart(scene: Scene) -> None:
    """One worker's clock is two minutes ahead, another's two behind: all become ready, in time and within the limit."""
    for offset in ("+120s", "-120s"):
        scene.parts.worker(LD_PRELOAD=str(_CLOCKS[-1]), FAKETIME=offset, FAKETIME_DONT_FAKE_MONOTONIC="1")
    scene.parts.start("reconciler", until="reconciler_started")
    user_ids = scene.accept(6)
    scene.send(*user_ids)

    scene.assert_all_ready(user_ids)
    assert scene.phones_asked_for() == 6
    records = [scene.record(user_id) for user_id in user_ids]
    assert all(record.accepted_at <= (record.ended_at or record.accepted_at) for record in records)
    assert max((record.ended_at or record.accepted_at) - record.accepted_at for record in records).total_seconds() < 60
