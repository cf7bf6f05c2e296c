"""The one client of Redis for ledger, budget and cache: bounded in time, and with little to do for a call.

redis-py takes a connection from its pool for each call and gives it back: locks, a look at the socket, counts for its
metrics. That is half of a short call's processor time, and a step makes three. Here connections are held.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Sequence
from typing import Any, Self, cast

from redis import Connection, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionBroken
from redis.exceptions import MasterDownError, NoScriptError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as TooSlow
from redis.retry import Retry


class Script:
    """A script of one client, for direct calls; a server that does not know it is told it.

    Args:
        client: Runs it.
        text: In Lua.
    """

    def __init__(self, client: RedisClient, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Run it."""
        try:
            return self._client.execute_command("EVALSHA", self._digest, len(keys), *keys, *args)
        except NoScriptError:
            self._client.script_load(self._text)
            return self._client.execute_command("EVALSHA", self._digest, len(keys), *keys, *args)


class RedisClient(Redis):
    """Holds as many connections as there are calls at once. Threads may share one; a fork leaves them to the parent.

    A call that finds its connection broken is made once more on a new one. What it asks for may then be done twice:
    all that goes through here is safe to repeat, or wastes what it did (a slot of the budget).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._idle: deque[Any] = deque()  # its pop and append are atomic
        self._pid = os.getpid()

    @classmethod
    def connect(
        cls, url: str, *, timeout_s: float, decoded: bool = True, connection: type[Connection] | None = None
    ) -> Self:
        """Return a client that connects at the first call.

        Args:
            url: `redis://` or `rediss://`.
            timeout_s: Longest silence of the server.
            decoded: Whether answers are text, else bytes.
            connection: Of which kind; what the URL asks for when None.
        """
        kind = {"connection_class": connection} if connection else {}
        made = cls.from_url(
            url,
            decode_responses=decoded,
            socket_timeout=timeout_s,
            socket_connect_timeout=min(timeout_s, 3.0),
            health_check_interval=30,
            retry=Retry(NoBackoff(), 1),  # of pipelines, which take a connection from the pool
            **kind,
        )
        return cast("Self", made)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return its answer; see the class."""
        connection = self._connection()
        try:
            try:
                return self._ask(connection, args, options)
            except (ConnectionBroken, TooSlow):
                return self._ask(connection, args, options)
        finally:
            self._idle.append(connection)

    def register_script(self, script: Any) -> Any:
        """Return a `Script` of this text; nothing is sent yet."""
        return Script(self, script)

    def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop().disconnect()
        super().close()

    def _connection(self) -> Any:
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self.connection_pool.make_connection()

    def _ask(self, connection: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            connection.send_command(*args)
            return self.parse_response(connection, args[0], **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            # A server that became a replica keeps its connections: only a new one finds who took its place. Redis 6
            # tells of it inside the error of a script.
            if isinstance(error, (ReadOnlyError, MasterDownError)) or "-READONLY " in str(error):
                connection.disconnect()
            raise
        except BaseException:
            # A time limit may strike anywhere: an answer that nobody read would be taken for the next one's.
            connection.disconnect()
            raise
