"""What every container of jitprov gives up, checked by reading the files; no container is started."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from jitprov.settings import KEY_CHARS_MIN, PREFIX, Settings
from jitprov.stack.redis_server import version_of
from own_redis import free_port, redis_server, wait_until

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(set(SERVICES) - {"redis"})
# The operator's commands start only when they are called.
RUNNING = sorted(set(SERVICES) - {"operator"})
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
REDIS_CONF = ROOT / "deploy/redis.conf"
USERS_FILE = "/run/secrets/redis_users.conf"
ADMIN_FILE = "/run/secrets/redis_admin_password"

each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_part = pytest.mark.parametrize("name", OURS)
each_running = pytest.mark.parametrize("name", RUNNING)


def instructions(word: str) -> list[str]:
    """Return what follows each instruction of that name in the Dockerfile, in order."""
    return re.findall(rf"^{word}\s+(.*)$", DOCKERFILE, flags=re.MULTILINE)


def secrets_of(name: str) -> dict[str, str]:
    """Return the secret files of a service: the name it sees them by → the name of the secret."""
    listed = SERVICES[name]["secrets"]
    given: list[dict[str, str]] = [one if isinstance(one, dict) else {"source": one} for one in listed]
    return {secret.get("target", secret["source"]): secret["source"] for secret in given}


def secret_settings() -> set[str]:
    """Return the settings that hold secrets."""
    return {name for name, info in Settings.model_fields.items() if info.annotation is SecretStr}


def test_all_parts_are_services() -> None:
    """Compose starts Redis and our parts, each by its own command; the operator's commands only when called."""
    assert set(SERVICES) == {"redis", "receiver", "worker", "reconciler", "flower", "operator"}
    started = [name for name in OURS if "profiles" not in SERVICES[name]]
    assert {name: SERVICES[name]["command"] for name in started} == {name: [name] for name in started}
    assert set(OURS) - set(started) == {"operator"}
    assert (SERVICES["operator"]["entrypoint"], SERVICES["operator"]["restart"]) == (["jitprov"], "no")


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


@each_running
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
    assert set(secrets_of(name).values()) <= set(COMPOSE["secrets"])


def test_each_part_sees_only_its_own_secrets() -> None:
    """The receiver cannot call the API, the worker does not know the webhook's key, Redis knows its users."""
    seen = {name: set(secrets_of(name)) for name in SERVICES}

    assert seen == {
        "redis": {"redis_users.conf", "redis_admin_password"},
        # The client's id, not its secret: own audits are told by it, and the board's meter is kept under it.
        "receiver": {
            "jitprov_redis_url",
            "jitprov_client_id",
            "jitprov_webhook_key",
            "jitprov_webhook_key_next",
            "jitprov_operator_key",
            "jitprov_viewer_key",
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
        # The client's id, since the meter is kept under it.
        "reconciler": {"jitprov_redis_url", "jitprov_client_id", "jitprov_alert_webhook_url"},
        "flower": {"jitprov_redis_url", "jitprov_operator_key", "jitprov_viewer_key"},
        "operator": {
            "jitprov_redis_url",
            "jitprov_client_id",
            "jitprov_client_secret",
            "jitprov_webhook_key",
            "jitprov_operator_key",
            "jitprov_data_key",
            "jitprov_data_key_old",
        },
    }


@each_part
def test_each_part_is_a_user_of_its_own(name: str) -> None:
    """Each part connects to Redis under its own name."""
    assert secrets_of(name)["jitprov_redis_url"] == f"redis_url_{name}"


def test_every_secret_is_a_setting() -> None:
    """A secret file bears the name of the setting that reads it, and is described in deploy/secrets."""
    page = (ROOT / "deploy/secrets/README.md").read_text()
    settings = {f"{PREFIX}{name}".lower() for name in Settings.model_fields}

    seen = {target for name in OURS for target in secrets_of(name)}
    assert seen <= settings
    assert set(COMPOSE["secrets"]) == {source for name in SERVICES for source in secrets_of(name).values()}
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
        ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", "requirements.lock"],
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


@pytest.fixture(scope="module")
def secret_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secret files as `deploy/make_secrets.py` makes them, for the Redis that the tests have."""
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    done = make_secrets(folder, "--redis-version", ".".join(map(str, version_of(Path(redis_server())))))
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def make_secrets(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a Python that has nothing but itself."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "deploy/make_secrets.py"), "--folder", str(folder), *more],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_the_script_makes_every_secret(secret_files: Path) -> None:
    """Every file that compose mounts is made, each key long and of its own; a second run changes and shows none."""
    made = {path.name: path.read_text() for path in secret_files.iterdir()}
    again = make_secrets(secret_files, "--redis-version", ".".join(map(str, version_of(Path(redis_server())))))

    assert set(made) == set(COMPOSE["secrets"])
    assert {path.name: path.read_text() for path in secret_files.iterdir()} == made
    empty = {"jitprov_client_id", "jitprov_client_secret", "jitprov_webhook_key_next", "jitprov_data_key_old"}
    empty.add("jitprov_alert_webhook_url")
    keys = {name: text for name, text in made.items() if name not in empty}
    assert len(set(keys.values())) == len(keys)
    assert min(map(len, keys.values())) >= KEY_CHARS_MIN
    assert [made[name] for name in empty] == [""] * len(empty)
    passwords = [urlsplit(text).password or text for text in keys.values()]
    assert not [word for word in passwords if word in again.stdout + again.stderr]
    assert not [word for word in passwords[1:] if f">{word}" in made["redis_users.conf"]]
    assert {path.stat().st_mode & 0o007 for path in secret_files.iterdir()} == {0}


@pytest.fixture(scope="module")
def composed_redis(secret_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """A Redis started with deploy/redis.conf, its users from a file as in the container; port and password."""
    folder = tmp_path_factory.mktemp("composed")
    conf = folder / "redis.conf"
    users = str(secret_files / "redis_users.conf")
    conf.write_text(REDIS_CONF.read_text().replace(USERS_FILE, users).replace("dir /data", f"dir {folder}"))
    port = free_port()
    process = subprocess.Popen(
        [redis_server(), str(conf), "--port", str(port), "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: wants_a_password(port), within_s=10)
        yield port, (secret_files / "redis_admin_password").read_text()
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


def test_redis_keeps_what_it_acknowledges(composed_redis: tuple[int, str]) -> None:
    """Redis reads our file, wants the password, writes each command to disk and evicts nothing."""
    port, password = composed_redis
    with Redis(port=port, username="admin", password=password) as client:
        facts = client.config_get("append*") | client.config_get("maxmemory*")

    assert facts["appendonly"] == "yes"
    assert facts["appendfsync"] == "always"
    assert facts["maxmemory-policy"] == "noeviction"
    assert int(facts["maxmemory"]) * 2 == 2**30 == _bytes(SERVICES["redis"]["mem_limit"])


@each_part
def test_each_part_gets_in(composed_redis: tuple[int, str], secret_files: Path, name: str) -> None:
    """The address in a part's secret file opens Redis as that part, with its rights and no others."""
    address = (secret_files / f"redis_url_{name}").read_text().replace("redis:6379", f"127.0.0.1:{composed_redis[0]}")
    with Redis.from_url(address) as client:
        assert client.ping()
        with pytest.raises(NoPermissionError):
            client.flushall()


def test_redis_health_check_tells(composed_redis: tuple[int, str], secret_files: Path, tmp_path: Path) -> None:
    """The health check passes with the right password and fails with a wrong one."""
    client = shlex.quote(str(Path(redis_server()).with_name("redis-cli")))
    wrong = tmp_path / "wrong"
    wrong.write_text("another")

    def checked(password: Path) -> int:
        line = SERVICES["redis"]["healthcheck"]["test"][1].replace("$$", "$").replace(ADMIN_FILE, str(password))
        line = line.replace("redis-cli", f"{client} -p {composed_redis[0]}")
        return subprocess.run(["sh", "-c", line], check=False, capture_output=True).returncode

    assert checked(secret_files / "redis_admin_password") == 0
    assert checked(wrong) != 0


def test_redis_does_not_start_open(tmp_path: Path) -> None:
    """Without the users' file Redis ends instead of letting in whoever comes."""
    conf = tmp_path / "redis.conf"
    conf.write_text(REDIS_CONF.read_text().replace(USERS_FILE, str(tmp_path / "absent")))
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
