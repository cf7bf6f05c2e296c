from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from jitprov.errors import ConfigurationError
from jitprov.stack.redis_server import EmbeddedRedis, find_redis_server, version_of
from jitprov.stack.redis_users import USERS


def a_program(path: Path, prints: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


def an_embedded_redis(tmp_path: Path, **given: object) -> EmbeddedRedis:
    server = a_program(tmp_path / "redis-server", "Redis server v=6.2.14 sha=0")
    values = {
        "server": server,
        "folder": tmp_path / "redis",
        "conf": tmp_path / "redis.conf",
        "port": 7000,
        "password": SecretStr("a-password"),
    }
    return EmbeddedRedis(**{**values, **given})  # type: ignore[arg-type]


def test_the_named_server_wins(tmp_path: Path) -> None:
    """A server that the operator names is taken, whatever else there is."""
    named = a_program(tmp_path / "redis-server", "")

    assert find_redis_server(str(named)) == named


@pytest.mark.parametrize("name", ["absent", ".", "not-a-program"])
def test_a_wrong_name_is_told(tmp_path: Path, name: str) -> None:
    """A named server that cannot be run names the setting, and no other is taken in its place."""
    (tmp_path / "not-a-program").write_text("")

    with pytest.raises(ConfigurationError, match="JITPROV_REDIS_SERVER"):
        find_redis_server(str(tmp_path / name))


def test_path_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the embedded wheel the server on PATH is taken; without that, the error says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    on_path = tmp_path / "bin"
    on_path.mkdir()
    monkeypatch.setenv("PATH", str(on_path))

    with pytest.raises(ConfigurationError, match=r"pip install 'jitprov\[embedded\]'"):
        find_redis_server()
    server = a_program(on_path / "redis-server", "")
    assert find_redis_server() == server


def test_configuration_is_durable_and_closed(tmp_path: Path) -> None:
    """Redis listens on loopback only, wants the password, writes each command to disk, evicts nothing."""
    redis = an_embedded_redis(tmp_path)
    redis.prepare()
    written = redis.conf.read_text().splitlines()
    lines = dict(line.split(" ", 1) for line in written)

    assert lines["bind"] == "127.0.0.1"
    assert "requirepass" not in lines
    assert "user default off resetpass -@all" in written
    assert (lines["appendonly"], lines["appendfsync"], lines["aof-load-truncated"]) == ("yes", "always", "yes")
    assert lines["maxmemory-policy"] == "noeviction"
    assert (lines["save"], lines["daemonize"]) == ('""', "no")


def test_passwords_are_not_written(tmp_path: Path) -> None:
    """No password is on the command line or in what is printed; the file holds digests, for this user alone."""
    redis = an_embedded_redis(tmp_path)
    redis.prepare()

    passwords = ["a-password", *(urlsplit(redis.url_of(user).get_secret_value()).password or "" for user in USERS)]
    assert len(set(passwords)) == 1 + len(USERS)
    told = f"{redis.argv} {redis!r} {redis.url!r} {redis.url_of('worker')!r} {redis.conf.read_text()}"
    assert not [password for password in passwords if password in told]
    assert redis.conf.stat().st_mode & 0o777 == 0o600
    assert redis.folder.stat().st_mode & 0o777 == 0o700


def test_data_of_a_newer_redis_is_not_passed_over(tmp_path: Path) -> None:
    """An older server would not see a newer one's data and begin with nothing: it is refused."""
    redis = an_embedded_redis(tmp_path)
    (redis.folder / "appendonlydir").mkdir(parents=True)
    redis.folder.chmod(0o700)

    with pytest.raises(ConfigurationError, match="older"):
        redis.prepare()

    newer = a_program(tmp_path / "newer", "Redis server v=7.0.15 sha=0")
    an_embedded_redis(tmp_path, server=newer).prepare()


@pytest.mark.parametrize("prints", ["Redis server v=5.0.14 sha=0", "Redis server v=6.0.20 sha=0", "something else"])
def test_a_wrong_server_is_told(tmp_path: Path, prints: str) -> None:
    """A server that is too old, or none at all, names the setting."""
    with pytest.raises(ConfigurationError, match="JITPROV_REDIS_SERVER"):
        version_of(a_program(tmp_path / "server", prints))


def test_a_server_that_does_not_run_is_told(tmp_path: Path) -> None:
    """A file that is no program of this machine names the setting."""
    path = tmp_path / "server"
    path.write_text("\x7fELF")
    path.chmod(0o755)

    with pytest.raises(ConfigurationError, match="JITPROV_REDIS_SERVER"):
        version_of(path)


def test_an_absent_redis_is_not_ready(tmp_path: Path) -> None:
    """Where nothing listens, neither Redis nor a worker is ready."""
    redis = an_embedded_redis(tmp_path, port=1)

    assert not redis.is_ready()
    assert not redis.feeds_a_worker()
