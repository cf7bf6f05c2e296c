"""A worker that is stopped right before its create, for longer than its lease: another takes over, then it wakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jitprov.domain.provisioning import State
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, wait_until
from reliability.scene import Scene, go_on
from running import PROJECT, RealParts

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MakeScene = Callable[[bool], Scene]


@pytest.fixture
def make_scene(own_redis: OwnRedis, tmp_path: Path) -> Iterator[MakeScene]:
    ends = []

    @contextmanager
    def made(unique: bool) -> Iterator[Scene]:
        options = SandboxOptions(time_scale=20, unique_phone_names=unique, phone_listing_lag_s=4.0)
        with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as parts:
            scene = Scene(parts)
            yield scene
            scene.ledger.close()

    def make(unique: bool) -> Scene:
        ends.append(made(unique))
        return ends[-1].__enter__()

    yield make
    for end in ends:
        end.__exit__(None, None, None)


def _wakes_late(scene: Scene, where: str, tmp_path: Path) -> tuple[str, int]:
    """Let a worker stop there, another finish, and the first go on; return whose phone it was, and the process."""
    told = tmp_path / "stands"
    scene.parts.start(
        "worker", "--concurrency", "1", until="worker_ready", program=("reliability.standstill", where, str(told)),
        PYTHONPATH=f"{PROJECT}:{PROJECT / 'tests'}",
    )  # fmt: skip
    (user_id,) = scene.accept()
    scene.send(user_id)
    wait_until(told.exists, within_s=30)
    scene.parts.start("reconciler", until="reconciler_started")
    scene.parts.worker("--concurrency", "1")
    wait_until(lambda: scene.record(user_id).state is State.READY, within_s=60)
    assert scene.phones_asked_for() == 1
    stood = int(told.read_text())
    go_on(stood)
    return user_id, stood


def _phones(scene: Scene, user_id: str) -> list[str]:
    (user,) = scene.control.state(user_id)["users"]
    return [str(phone["id"]) for phone in user["phones"]]


@pytest.mark.parametrize(("where", "told"), [("held", '"slot_missed"'), ("headers", '"stood_still"')])
def test_who_wakes_before_the_look_sends_nothing(make_scene: MakeScene, tmp_path: Path, where: str, told: str) -> None:
    """A worker that stood still with the lease in hand looks at the clocks, and its create never leaves."""
    scene = make_scene(False)
    user_id, _ = _wakes_late(scene, where, tmp_path)
    wait_until(lambda: told in scene.parts.logs(), within_s=20)

    (other,) = scene.accept()
    scene.send(other)
    scene.assert_all_ready([user_id, other])
    assert scene.phones_asked_for() == 2


def test_who_stands_still_after_the_look_never_wakes(make_scene: MakeScene, tmp_path: Path) -> None:
    """Stopped between its look at the clocks and the body, the process is ended by the kernel before it can send."""
    scene = make_scene(False)
    user_id, stood = _wakes_late(scene, "looked", tmp_path)
    wait_until(lambda: _is_gone(stood), within_s=20)
    wait_until(lambda: "signal 14 (SIGALRM)" in scene.parts.logs(), within_s=20)

    (other,) = scene.accept()
    scene.send(other)
    scene.assert_all_ready([user_id, other])
    assert scene.phones_asked_for() == 2


def test_a_paused_machine_takes_its_phone_back(make_scene: MakeScene, tmp_path: Path) -> None:
    """Where no clock ran on, a second phone is made, and taken back by whoever made it within seconds."""
    scene = make_scene(False)
    user_id, _ = _wakes_late(scene, "machine", tmp_path)
    wait_until(lambda: '"surplus_phone_deleted"' in scene.parts.logs(), within_s=20)

    assert scene.phones_asked_for() == 2
    found = scene.record(user_id).findings.phone
    assert found
    assert _phones(scene, user_id) == [found.phone_id]
    scene.assert_all_ready([user_id])


def test_a_paused_machine_where_names_are_unique(make_scene: MakeScene, tmp_path: Path) -> None:
    """An organization that takes no name twice refuses the late create; nothing is taken back."""
    scene = make_scene(True)
    user_id, _ = _wakes_late(scene, "machine", tmp_path)
    wait_until(lambda: scene.phones_asked_for() == 2, within_s=20)

    (other,) = scene.accept()
    scene.send(other)
    scene.assert_all_ready([user_id, other])
    assert len(_phones(scene, user_id)) == 1
    assert "surplus_phone_deleted" not in scene.parts.logs()


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
