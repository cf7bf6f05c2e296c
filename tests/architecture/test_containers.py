"""What every container of jitprov gives up, checked by reading the files; no container is started."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from jitprov.settings import PREFIX, Settings
from own_redis import free_port, redis_server, wait_until

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(set(SERVICES) - {"redis"})
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
REDIS_CONF = ROOT / "deploy/redis.conf"
AUTH_FILE = "/run/secrets/redis_auth.conf"

each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_part = pytest.mark.parametrize("name", OURS)


def instructions(word: str) -> list[str]:
    """Return what follows each instruction of that name in the Dockerfile, in order."""
    return re.findall(rf"^{word}\s+(.*)$", DOCKERFILE, flags=re.MULTILINE)


def secret_settings() -> set[str]:
    """Return the settings that hold secrets."""
    return {name for name, info in Settings.model_fields.items() if info.annotation is SecretStr}


def test_all_parts_are_services() -> None:
    """Compose starts Redis, receiver, worker, reconciler and Flower, each of ours by its own command."""
    assert set(SERVICES) == {"redis", "receiver", "worker", "reconciler", "flower"}
    assert {name: SERVICES[name]["command"] for name in OURS} == {name: [name] for name in OURS}


@each_service
def test_container_is_confined(name: str) -> None:
    """No container runs as root, writes to its image, keeps a capability or gains one."""
    service = SERVICES[name]

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"cap_add", "privileged", "devices", "pid", "ipc", "network_mode", "userns_mode"} & set(service)
    assert not [option for option in service["security_opt"] if "unconfined" in option]


@each_service
def test_container_is_bounded(name: str) -> None:
    """Each container has a bound on processes, memory, temporary files and log."""
    service = SERVICES[name]

    assert 0 < service["pids_limit"] <= 512
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    (tmpfs,) = service["tmpfs"]
    assert tmpfs.startswith("/tmp:")
    assert {"noexec", "nosuid", "nodev"} <= set(tmpfs.split(":")[1].split(","))
    assert service["logging"]["options"]["max-size"]


@each_service
def test_container_is_watched(name: str) -> None:
    """Each container has a health check with its own patience, and comes back when it ends."""
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert not check.get("disable")
    assert SERVICES[name]["restart"] == "unless-stopped"


@each_part
def test_part_waits_for_a_healthy_redis(name: str) -> None:
    """No part starts before Redis has read its file."""
    assert SERVICES[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}


@each_service
def test_only_loopback_is_published(name: str) -> None:
    """Ports are open on this machine only unless the operator says otherwise; Redis has none."""
    ports = SERVICES[name].get("ports", [])

    assert bool(ports) == (name in {"receiver", "flower"})
    assert all(port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:") for port in ports)


def test_redis_has_no_way_out() -> None:
    """Redis stands in an internal network alone."""
    assert SERVICES["redis"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


@each_service
def test_nothing_of_the_host_is_mounted(name: str) -> None:
    """Volumes are named ones, or single files of this project, read-only; the Docker socket is none of them."""
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (source.startswith("./deploy/") and volume.endswith(":ro"))
    assert "docker.sock" not in (ROOT / "docker-compose.yml").read_text()


@each_service
def test_secrets_come_as_files(name: str) -> None:
    """No secret stands in a container's environment or command line."""
    environment = SERVICES[name].get("environment", {})
    secret = {f"{PREFIX}{setting}".upper() for setting in secret_settings()}

    assert not secret & set(environment)
    assert not [key for key in environment if re.search(r"PASSWORD|SECRET|KEY|TOKEN", key)]
    assert set(SERVICES[name]["secrets"]) <= set(COMPOSE["secrets"])


def test_each_part_sees_only_its_own_secrets() -> None:
    """The receiver cannot call the API, the worker does not know the webhook's key, Redis knows its password."""
    seen = {name: set(service["secrets"]) for name, service in SERVICES.items()}

    assert seen == {
        "redis": {"redis_auth.conf"},
        # The client's id, not its secret: own audits are told by it, and the board's meter is kept under it.
        "receiver": {
            "jitprov_redis_url",
            "jitprov_client_id",
            "jitprov_webhook_key",
            "jitprov_webhook_key_next",
            "jitprov_operator_key",
            "jitprov_data_key",
            "jitprov_data_key_old",
        },
        "worker": {
            "jitprov_redis_url",
            "jitprov_client_id",
            "jitprov_client_secret",
            "jitprov_data_key",
            "jitprov_data_key_old",
        },
        "reconciler": {"jitprov_redis_url"},
        "flower": {"jitprov_redis_url", "jitprov_flower_password"},
    }


def test_every_secret_is_a_setting() -> None:
    """A secret file bears the name of the setting that reads it, and is described in deploy/secrets."""
    page = (ROOT / "deploy/secrets/README.md").read_text()
    settings = {f"{PREFIX}{name}".lower() for name in Settings.model_fields}

    assert set(COMPOSE["secrets"]) - {"redis_auth.conf"} <= settings
    assert [name for name in COMPOSE["secrets"] if f"| `{name}` |" not in page] == []
    assert {name: entry["file"] for name, entry in COMPOSE["secrets"].items()} == {
        name: f"deploy/secrets/{name}" for name in COMPOSE["secrets"]
    }


@each_part
def test_environment_holds_known_settings(name: str) -> None:
    """Every variable that compose sets is a setting, so a misspelled one does not pass in silence."""
    known = {f"{PREFIX}{setting}".upper() for setting in Settings.model_fields}

    assert set(SERVICES[name]["environment"]) <= known


def test_secret_files_stay_out_of_git_and_image() -> None:
    """Neither a commit nor a build takes the secret files along."""
    assert (ROOT / "deploy/secrets/.gitignore").read_text().split() == ["*", "!.gitignore", "!README.md"]
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    assert not [line for line in ignored if line.startswith(("!deploy", "!.env", "!.git", "!.venv", "!*"))]


def test_images_are_named_by_tag() -> None:
    """No image is `latest`, and each can be given by digest."""
    assert SERVICES["redis"]["image"].startswith("${REDIS_IMAGE:-redis:7")
    (default,) = instructions("ARG")
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+-slim-\w+", default)
    assert {line.split()[0] for line in instructions("FROM")} == {"${PYTHON_IMAGE}"}


def test_image_installs_only_what_the_lock_names() -> None:
    """Every install is from the lock with hashes and wheels only, or of the package itself without anything else."""
    installs = re.findall(r"pip install ([^\n&]*)", DOCKERFILE)

    assert [line.split() for line in installs] == [
        ["--require-hashes", "--only-binary", ":all:", "-r", "requirements.lock"],
        ["--no-deps", "--no-build-isolation", "."],
    ]
    assert not re.search(r"index-url|trusted-host|https?://|curl|wget", DOCKERFILE)


def test_image_holds_no_secret() -> None:
    """The image is copied together by name, from this project, without a secret in any layer."""
    sources = " ".join(instructions("COPY")).split()

    assert not instructions("ADD")
    assert not {".", "./."} & {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert not [source for source in sources if "secret" in source or ".env" in source]
    assert not re.search(r"PASSWORD|SECRET|TOKEN|_KEY", DOCKERFILE)


def test_image_does_not_run_as_root() -> None:
    """The last user is the one compose names, by number; the process gets the stop signal itself."""
    final = DOCKERFILE.rpartition("FROM ")[2]

    assert re.findall(r"^USER (.*)$", final, flags=re.MULTILINE)[-1] == SERVICES["worker"]["user"] == "10001:10001"
    assert instructions("ENTRYPOINT") == ['["jitprov"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def test_compose_reads_it() -> None:
    """docker-compose, version 1.29 or 2, finds no mistake in the file."""
    if shutil.which("docker-compose") is None:
        missing = "no docker-compose: apt-get install docker-compose"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    done = subprocess.run(
        ["docker-compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def composed_redis(tmp_path: Path) -> Iterator[tuple[Path, int, str]]:
    """A Redis started with deploy/redis.conf, its password from a file as in the container."""
    auth = tmp_path / "redis_auth.conf"
    auth.write_text("requirepass of-one-test\n")
    conf = tmp_path / "redis.conf"
    conf.write_text(REDIS_CONF.read_text().replace(AUTH_FILE, str(auth)).replace("dir /data", f"dir {tmp_path}"))
    port = free_port()
    process = subprocess.Popen(
        [redis_server(), str(conf), "--port", str(port), "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: wants_a_password(port), within_s=10)
        yield auth, port, "of-one-test"
    finally:
        process.terminate()
        process.wait(timeout=10)


def wants_a_password(port: int) -> bool:
    """Tell whether Redis is up; fail the test when it lets in whoever comes."""
    with Redis(port=port, socket_timeout=1) as client:
        try:
            client.ping()
        except AuthenticationError:
            return True
        except RedisError:
            return False  # it is starting
    pytest.fail("Redis lets in whoever comes")


def test_redis_keeps_what_it_acknowledges(composed_redis: tuple[Path, int, str]) -> None:
    """Redis reads our file, wants the password, writes each command to disk and evicts nothing."""
    _, port, password = composed_redis
    with Redis(port=port, password=password) as client:
        facts = client.config_get("append*") | client.config_get("maxmemory*")

    assert facts["appendonly"] == "yes"
    assert facts["appendfsync"] == "always"
    assert facts["maxmemory-policy"] == "noeviction"
    assert int(facts["maxmemory"]) * 2 == 2**30 == _bytes(SERVICES["redis"]["mem_limit"])


def test_redis_health_check_tells(composed_redis: tuple[Path, int, str]) -> None:
    """The health check passes with the right password and fails with a wrong one."""
    auth, port, _ = composed_redis
    client = shlex.quote(str(Path(redis_server()).with_name("redis-cli")))
    line = SERVICES["redis"]["healthcheck"]["test"][1].replace("$$", "$").replace(AUTH_FILE, shlex.quote(str(auth)))
    line = line.replace("redis-cli", f"{client} -p {port}")

    assert subprocess.run(["sh", "-c", line], check=False, capture_output=True).returncode == 0
    auth.write_text("requirepass another\n")
    assert subprocess.run(["sh", "-c", line], check=False, capture_output=True).returncode != 0


def test_redis_does_not_start_open(tmp_path: Path) -> None:
    """Without the password's file Redis ends instead of letting in whoever comes."""
    conf = tmp_path / "redis.conf"
    conf.write_text(REDIS_CONF.read_text().replace(AUTH_FILE, str(tmp_path / "absent")))
    done = subprocess.run(
        [redis_server(), str(conf), "--port", str(free_port()), "--bind", "127.0.0.1"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )

    assert done.returncode != 0
    assert "absent" in done.stdout + done.stderr


def _bytes(text: str) -> int:
    return int(text[:-1]) * {"m": 2**20, "g": 2**30}[text[-1]]
