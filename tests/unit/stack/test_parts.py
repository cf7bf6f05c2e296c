from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

import celeryconfig
from jitprov.genesys.reading import ANSWER_S_MAX
from jitprov.settings import Settings, read_settings
from jitprov.stack.part import Part
from jitprov.stack.parts import SandboxPlan, Stages, compose, environment_of
from jitprov.stack.redis_server import EmbeddedRedis

SECRETS = {
    "redis_url": "redis://operator:operator-password@127.0.0.1:7000/0",
    "client_secret": "the-client-secret",
    "webhook_key": "the-webhook-key",
    "webhook_key_next": "the-next-webhook-key",
    "operator_key": "the-operator-key",
    "viewer_key": "the-viewer-key",
    "data_key": "the-data-key",
    "data_key_old": "the-old-data-key",
    "otel_headers": "authorization=the-collector-key",
}
SEES = {
    "redis": set(),
    "sandbox": set(),
    "receiver": {
        "redis_url",
        "webhook_key",
        "webhook_key_next",
        "operator_key",
        "viewer_key",
        "data_key",
        "data_key_old",
        "otel_headers",
    },
    "worker": {"redis_url", "client_secret", "data_key", "data_key_old", "otel_headers"},
    "reconciler": {"redis_url", "otel_headers"},
    "flower": {"redis_url", "operator_key", "viewer_key"},
}


def some_settings(data_dir: Path, **given: object) -> Settings:
    return read_settings(**{**SECRETS, "client_id": "an-id", "data_dir": data_dir, "receiver_port": 8081, **given})


def composed(data_dir: Path, **more: bool) -> Stages:
    redis = EmbeddedRedis(
        Path("/opt/redis-server"), data_dir / "redis", data_dir / "redis.conf", 7000, SecretStr("redis-password")
    )
    plan = SandboxPlan(9000, 9001, {"client_secret": "the-client-secret", "port": 1, "host": "localhost"})
    surroundings = {"PATH": "/bin", "JITPROV_CLIENT_SECRET": "of-somebody-else", "PYTHONPATH": "/given"}
    return compose(
        some_settings(data_dir), redis, surroundings, sandbox=plan if more.pop("sandbox", True) else None, **more
    )


def by_name(stages: Stages) -> dict[str, Part]:
    return {part.name: part for stage in stages for part in stage}


def test_parts_start_on_what_they_need(tmp_path: Path) -> None:
    """Redis and the sandbox are ready before any part that talks to them is started."""
    stages = composed(tmp_path)

    assert [[part.name for part in stage] for stage in stages] == [
        ["redis", "sandbox"],
        ["receiver", "worker", "reconciler", "flower"],
    ]


def test_no_sandbox_beside_an_organization(tmp_path: Path) -> None:
    """Without a plan there is no sandbox, and no options file of one."""
    assert "sandbox" not in by_name(composed(tmp_path, sandbox=False))
    assert list(tmp_path.iterdir()) == []


def test_our_parts_are_commands_of_ours(tmp_path: Path) -> None:
    """Each part but Redis is a command of jitprov, by this very Python."""
    parts = by_name(composed(tmp_path))

    for name in SEES.keys() - {"redis"}:
        assert parts[name].argv[:4] == (sys.executable, "-m", "jitprov", name)
    assert parts["redis"].argv == ("/opt/redis-server", str(tmp_path / "redis.conf"))


@pytest.mark.parametrize("name", sorted(SEES))
def test_each_part_sees_only_its_own_secrets(tmp_path: Path, name: str) -> None:
    """A part is told the secrets it needs and no other; none stands on a command line or shows when printed."""
    part = by_name(composed(tmp_path))[name]

    told = " ".join((part.env or {}).values())
    redis_url = (part.env or {}).get("JITPROV_REDIS_URL", "")
    if redis_url:
        # Each part is a user of its own in Redis, and nobody is the operator but the operator.
        assert redis_url.startswith(f"redis://{name}:")
        told = told.replace(redis_url, SECRETS["redis_url"])
    assert {setting for setting, secret in SECRETS.items() if secret in told} == SEES[name]
    assert "of-somebody-else" not in told
    assert not [secret for secret in [*SECRETS.values(), "redis-password"] if secret in f"{part.argv} {part!r}"]


def test_parts_mean_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that reads its environment has exactly the settings that the stack has, whatever their kind."""
    settings = some_settings(
        Path("relative"), rules_file=Path("rules.yaml"), start_actions=("Create", "Update"), api_headroom=0.1
    )
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)

    read = read_settings()

    absolute = {"data_dir": Path.cwd() / "relative", "rules_file": Path.cwd() / "rules.yaml"}
    assert read.model_dump() == {**settings.model_dump(), **absolute}


def test_parts_find_the_celery_settings(tmp_path: Path) -> None:
    """Wherever the stack is started, its parts find this jitprov and the celeryconfig beside it, and nothing first."""
    environment = by_name(composed(tmp_path))["worker"].env or {}

    first, *rest = environment["PYTHONPATH"].split(os.pathsep)
    assert (Path(first) / "celeryconfig.py").samefile(celeryconfig.__file__)
    assert rest == ["/given"]
    assert environment["PYTHONSAFEPATH"] == "1"


def test_sandbox_options_are_a_private_file(tmp_path: Path) -> None:
    """The sandbox reads its options from a file of this user alone; ports and address are the plan's."""
    *_, path = by_name(composed(tmp_path))["sandbox"].argv

    assert json.loads(Path(path).read_text()) == {
        "client_secret": "the-client-secret",
        "host": "127.0.0.1",
        "port": 9000,
        "control_port": 9001,
    }
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_a_worker_may_finish(tmp_path: Path) -> None:
    """A worker is asked for its warm stop, in which waits end at once, and has longer than a call may take."""
    worker, chosen = by_name(composed(tmp_path))["worker"], Settings()

    assert worker.stop_signal is signal.SIGTERM
    assert worker.stop_within_s > ANSWER_S_MAX + chosen.connect_timeout_s + chosen.read_timeout_s


def test_what_is_thrown_away_stops_quickly(tmp_path: Path) -> None:
    """Nobody is waited for when all of it is thrown away."""
    parts = by_name(composed(tmp_path, quick_stop=True)).values()

    assert max(part.stop_within_s for part in parts) <= 3
