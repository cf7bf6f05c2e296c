"""Redis over TLS: the right server is taken, every other one is not, by everything that talks to Redis."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from builders import an_opening
from jitprov.budget.rate import BudgetRate
from jitprov.budget.redis import RedisBudget
from jitprov.cache.redis import RedisCache
from jitprov.domain.provisioning import State
from jitprov.errors import ConfigurationError, DependencyDown
from jitprov.ledger.redis import RedisLedger
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.sealing import Seals
from jitprov.settings import read_settings
from own_redis import OwnRedis, free_port, wait_until
from running import PROJECT, RealParts, ended
from throwaway_ca import ThrowawayCa, tls_door

pytestmark = pytest.mark.integration

WRONG = ("another CA", "expired", "another address", "plain")
# Prints which of some servers Celery's own connection takes, asked in a process of its own, as a part is one.
ASK_BROKER = """
import sys
from jitprov.celery import app
from jitprov.settings import read_settings
for url in sys.argv[1:]:
    with app.connection(url, ssl=read_settings(redis_url=url).redis_tls) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
            connection.default_channel.client.ping()
            print("taken")
        except Exception as error:
            print(type(error).__name__)
"""


@contextmanager
def opened(kind: str, ca: ThrowawayCa, folder: Path, port: int) -> Iterator[str]:
    """Open a door of a kind before Redis; yield the address that trusts the CA."""
    certificate = {
        "right": ca.certificate,
        "another CA": lambda: ThrowawayCa(folder, "another CA").certificate(),
        "expired": lambda: ca.certificate(expired=True),
        "another address": lambda: ca.certificate(address="192.0.2.1"),
        "plain": lambda: None,
    }[kind]()
    with tls_door(certificate, port) as door:
        yield f"rediss://127.0.0.1:{door}/0?ssl_ca_certs={ca.path}"


@pytest.fixture
def ca(tmp_path: Path) -> ThrowawayCa:
    return ThrowawayCa(tmp_path, "ca")


def ask_all(url: str, *, timeout_s: float = 10.0) -> None:
    """Ask by ledger, shelf and meter, each of which must raise when it cannot."""
    failed = []
    rate = BudgetRate.of(300, headroom=0.02, time_scale=1.0)
    ledger = RedisLedger.connect(url, "jitprov:", timeout_s=timeout_s)
    cache = RedisCache.connect(url, "jitprov:", timeout_s=timeout_s)
    budget = RedisBudget.connect(url, "jitprov:", owner="x", rate=rate, timeout_s=timeout_s)
    for part, ask in ((ledger, ledger.ping), (cache, lambda: cache.get("x")), (budget, budget.state)):
        try:
            ask()
        except DependencyDown as error:
            failed.append(error)
        part.close()
    assert len(failed) in {0, 3}, failed
    if failed:
        raise failed[0]


def ask_broker(folder: Path, urls: Sequence[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ASK_BROKER, *urls],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_no_other_server_is_taken_for_ours(own_redis: OwnRedis, ca: ThrowawayCa, tmp_path: Path) -> None:
    """A server of another CA, an expired one, one of another address, and one without TLS: nobody talks to it."""
    with ExitStack() as doors:
        right, *wrong = [doors.enter_context(opened(kind, ca, tmp_path, own_redis.port)) for kind in ("right", *WRONG)]
        for kind, url in zip(WRONG, wrong, strict=True):
            # A server without TLS says nothing to a handshake: that one is given up after the time-out.
            with pytest.raises(DependencyDown) as caught:
                ask_all(url, timeout_s=0.5 if kind == "plain" else 10.0)
            assert kind == "plain" or "CERTIFICATE_VERIFY_FAILED" in str(caught.value.__cause__)
        assert ask_broker(tmp_path, [right, *wrong]) == ["taken"] + ["OperationalError"] * len(WRONG)


def test_no_password_leaves_before_the_server_is_known(ca: ThrowawayCa, tmp_path: Path) -> None:
    """Not one byte of a password reaches a server that has not shown who it is."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        url = f"rediss://worker:a-secret-password@127.0.0.1:{listener.getsockname()[1]}/0"
        asking = subprocess.Popen(
            [sys.executable, "-c", ASK_BROKER, url],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT)},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            guest, _ = listener.accept()
            with guest:
                guest.settimeout(10)
                heard.append(guest.recv(65536))
        finally:
            asking.kill()
            asking.wait()

    assert heard[0][:1] == b"\x16"  # a TLS handshake
    assert b"a-secret-password" not in heard[0]


def test_a_step_is_done_over_tls(own_redis: OwnRedis, ca: ThrowawayCa, tmp_path: Path) -> None:
    """With the right certificate an agent becomes ready, with worker, reconciler and Flower at work."""
    options = SandboxOptions(time_scale=20, station_lag_s=(0.0, 0.0))
    with (
        opened("right", ca, tmp_path, own_redis.port) as url,
        SandboxThread(options) as sandbox,
        RealParts(own_redis, sandbox, tmp_path) as parts,
    ):
        ask_all(url)
        parts.settings |= {"JITPROV_REDIS_URL": url, "JITPROV_FLOWER_PORT": str(free_port())}
        parts.start("flower")
        parts.worker()
        [user], _ = sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
        ledger = RedisLedger.connect(url, "jitprov:", seals=Seals("d" * 40))
        ledger.accept([an_opening(user_id=user["id"])], look_after_s=0)
        parts.start("reconciler")
        wait_until(lambda: ended(ledger, user["id"], State.READY), within_s=60)
        ledger.close()
        wait_until(lambda: lengths(parts) == 200, within_s=30)


def lengths(parts: RealParts) -> int:
    """Return how Flower answers when it has to ask Redis itself."""
    address = f"http://127.0.0.1:{parts.settings['JITPROV_FLOWER_PORT']}/api/queues/length"
    key, request = parts.environment()["JITPROV_OPERATOR_KEY"], urllib.request.Request(address)
    request.add_header("Authorization", "Basic " + base64.b64encode(f"kim:{key}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  loopback
            return int(answer.status)
    except OSError:
        return 0


@pytest.mark.parametrize("how", ["none", "optional", "CERT_NONE"])
def test_an_unchecked_certificate_is_refused(how: str) -> None:
    """An address that would take any server for ours is refused before anything connects."""
    with pytest.raises(ConfigurationError, match="JITPROV_REDIS_URL"):
        read_settings(redis_url=f"rediss://127.0.0.1:1/0?ssl_cert_reqs={how}")


def test_tls_is_asked_for_by_the_address_alone() -> None:
    """rediss:// checks the certificate by default; redis:// asks for no TLS."""
    assert read_settings(redis_url="rediss://r:1/0?ssl_ca_certs=/ca.pem").redis_tls == {
        "ssl_cert_reqs": "required",
        "ssl_ca_certs": "/ca.pem",
    }
    assert read_settings(redis_url="rediss://r:1/0").redis_tls == {"ssl_cert_reqs": "required"}
    assert read_settings(redis_url="redis://r:1/0").redis_tls is None
