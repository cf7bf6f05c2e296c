"""The whole stack as `up` and `demo` use it: complete settings, private files, parts that come back, data kept."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from redis import Redis

from jitprov.domain.provisioning import State
from jitprov.errors import ConfigurationError, DependencyDown
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import Settings, read_settings
from jitprov.stack import warden
from jitprov.stack.part import PartState
from jitprov.stack.run import Running, Stack
from jitprov.wiring import make_ledger
from own_redis import free_port, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PARTS = ["redis", "sandbox", "receiver", "worker", "reconciler", "flower"]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Iterator[Running]:
    """One stack on a sandbox, for the tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("up") / "data"
    stack = Stack(read_settings(log_level="ERROR"), data_dir=folder, time_scale=20, own_ports=True, tell=told.append)
    with stack as running:
        yield running


def pids(running: Running) -> dict[str, int]:
    return {status.name: status.pid or 0 for status in running.supervisor.status()}


def status_of(method: str, url: str) -> int:
    """Return how a request without a key is answered."""
    address = urlsplit(url)
    connection = HTTPConnection(address.netloc, timeout=5)
    try:
        connection.request(method, address.path or "/", "{}", {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def redis_of(settings: Settings) -> Redis:
    return Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True)


def test_everything_is_up(running: Running, told: list[str]) -> None:
    """When the block begins, every part does its work, whatever the log level; and it was told."""
    assert [(status.name, status.state) for status in running.supervisor.status()] == [
        (name, PartState.UP) for name in PARTS
    ]
    assert told[:2] == ["redis, sandbox: up", "receiver, worker, reconciler, flower: up"]
    running.check()


def test_addresses_are_where_the_parts_are(running: Running) -> None:
    """The addresses answer, and the generated keys that are shown beside them open the doors."""
    shown = dict(running.addresses())
    assert status_of("POST", shown["webhook"]) == 401
    assert running.settings.webhook_key.get_secret_value() == shown["  X-API-Key"]

    assert status_of("GET", shown["Flower"]) == 401
    operator = requests.get(shown["Flower"], auth=("Kim", shown["  operator key"]), timeout=10)
    assert operator.status_code == 200
    assert running.sandbox.healthz()["status"] == "ok"
    assert Path(shown["logs"]).is_dir()


def test_another_shell_gets_the_settings(running: Running) -> None:
    """What the shell file sets lets the operator's commands reach this stack, and is readable by this user alone."""
    line = dict(running.addresses())["in another shell"]
    done = subprocess.run(
        ["/bin/sh", "-c", f"{line} && env"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    variables = dict(row.split("=", 1) for row in done.stdout.splitlines() if row.startswith("JITPROV_"))

    assert variables["JITPROV_REDIS_URL"] == running.settings.redis_url.get_secret_value()
    assert variables["JITPROV_WEBHOOK_KEY"] == running.settings.webhook_key.get_secret_value()
    assert stat.S_IMODE(running.shell_file.stat().st_mode) == 0o600


def test_no_secret_is_on_a_command_line(running: Running) -> None:
    """Whoever lists the machine's processes sees no secret of the stack."""
    secrets = [
        value.get_secret_value()
        for name in Settings.model_fields
        if hasattr(value := getattr(running.settings, name), "get_secret_value") and value.get_secret_value()
    ]
    lines = "".join(
        Path(f"/proc/{member}/cmdline").read_text() for pid in pids(running).values() for member in warden.members(pid)
    )

    assert len(secrets) >= 5
    assert not [secret for secret in secrets if secret in lines]


def test_a_second_stack_is_refused(running: Running) -> None:
    """Another stack on the same folder is refused before it starts anything, and harms nothing."""
    with pytest.raises(ConfigurationError, match=f"process {os.getpid()}"):
        Stack(read_settings(), data_dir=running.settings.data_dir).__enter__()

    running.check()
    assert running.shell_file.exists()


def test_killed_parts_come_back_and_finish(running: Running) -> None:
    """After kill -9 of every part but the sandbox, all come back and an agent who signs in becomes ready."""
    for name, pid in pids(running).items():
        if name != "sandbox":
            os.kill(pid, signal.SIGKILL)

    wait_until(lambda: [status.restarts for status in running.supervisor.status()] == [1, 0, 1, 1, 1, 1], within_s=60)
    wait_until(lambda: {status.state for status in running.supervisor.status()} == {PartState.UP}, within_s=60)
    running.sandbox.sign_in(count=1, departments=["Seasonal_Retail"])
    ledger = make_ledger(running.settings)
    try:
        wait_until(lambda: ledger.count()[State.READY] == 1, within_s=60)
    finally:
        ledger.close()


def test_a_signal_ends_the_waiting(data_dir: Path) -> None:
    """SIGTERM ends a stack that stays up: the waiting returns, and afterwards no process is left."""
    with Stack(read_settings(), data_dir=data_dir, own_ports=True, throw_away=True) as running:
        groups = list(pids(running).values())
        soon = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
        soon.start()
        running.wait()
        soon.join()

    assert [member for group in groups for member in warden.members(group)] == []
    assert not data_dir.exists()


def test_data_of_an_organization_stays_and_keeps_apart(data_dir: Path) -> None:
    """With credentials there is no sandbox and a restart finds its data; a sandbox' stack in the folder does not."""
    with SandboxThread(SandboxOptions(time_scale=20.0)) as organization:
        real = read_settings(
            client_id="sandbox-client",
            client_secret="sandbox-secret",
            api_url=organization.base_url,
            webhook_key="k" * 32,
            operator_key="o" * 32,
        )
        with Stack(real, data_dir=data_dir, own_ports=True) as running:
            assert "sandbox" not in pids(running)
            with pytest.raises(ConfigurationError, match="no sandbox"):
                _ = running.sandbox
            shown = dict(running.addresses())
            assert shown["  X-API-Key"] == "as you have set it"
            assert shown["  operator key"] == "as you have set it"
            assert shown["Genesys Cloud"] == organization.base_url
            with redis_of(running.settings) as client:
                client.set("jitprov:kept", "yes")
            shell_file = running.shell_file

        assert not shell_file.exists()
        with Stack(read_settings(), data_dir=data_dir, own_ports=True) as running, redis_of(running.settings) as client:
            assert client.get("jitprov:kept") is None
        with Stack(real, data_dir=data_dir, own_ports=True) as running, redis_of(running.settings) as client:
            assert client.get("jitprov:kept") == "yes"


def test_half_credentials_are_refused(data_dir: Path) -> None:
    """A client without its secret is told before anything is made."""
    with pytest.raises(ConfigurationError, match="JITPROV_CLIENT_SECRET"):
        Stack(read_settings(client_id="an-id"), data_dir=data_dir).__enter__()
    assert not data_dir.exists()


def test_an_organization_s_time_cannot_be_scaled(data_dir: Path) -> None:
    """Faster time against a real organization would break its limit, so it is refused."""
    chosen = read_settings(client_id="an-id", client_secret="a-secret")

    with pytest.raises(ConfigurationError, match="--time-scale"):
        Stack(chosen, data_dir=data_dir, time_scale=8).__enter__()


def test_a_taken_port_starts_nothing(data_dir: Path) -> None:
    """When a port is taken, the setting is named, and the folder is free again."""
    port = free_port()
    chosen = read_settings(receiver_port=port, flower_port=port)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="JITPROV_RECEIVER_PORT"):
            Stack(chosen, data_dir=data_dir).__enter__()


def test_a_part_that_does_not_come_up_takes_all_down(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a part refuses to start, its own words are quoted and everything started before is stopped."""
    before = set(_processes_below())
    monkeypatch.setenv("FLOWER_MAX_TASKS", "many")  # Flower's own variable, which nobody checks before Flower does
    chosen = read_settings()

    with pytest.raises(DependencyDown, match=r"(?s)flower ended with code 1.*many"):
        Stack(chosen, data_dir=data_dir, own_ports=True).__enter__()
    assert set(_processes_below()) <= before
    assert not (data_dir / "environment").exists()


def _processes_below() -> list[str]:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
