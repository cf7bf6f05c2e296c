"""A receiver in a thread, on a port of its own, and plain ways to talk to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import requests
from fastapi import FastAPI

from jitprov.ledger import Ledger
from jitprov.receiver.app import create_app
from jitprov.receiver.intake import Intake
from jitprov.receiver.server import listen, make_server
from jitprov.receiver.wire import BoundedHttp
from jitprov.sealing import Seals
from jitprov.settings import Settings
from own_redis import wait_until

KEY = "test-key-" + "k" * 40
JSON = "application/json; charset=utf-8"


class RunningReceiver:
    """Serves between `with` and its end."""

    def __init__(
        self,
        ledger: Ledger,
        publish: Callable[[str], None] | None = None,
        *,
        http: type[BoundedHttp] = BoundedHttp,
        seals: Seals | None = None,
        **settings: Any,
    ) -> None:
        self.published: list[str] = []
        values: dict[str, Any] = {"webhook_key": KEY, "receiver_port": 0} | settings
        self._settings = Settings(**values)
        self.app: FastAPI = create_app(self._settings, ledger, publish or self.published.append, seals=seals)
        self._server = make_server(self.app, self._settings, http)
        self._door = listen(self._settings)
        self.port: int = self._door.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.run, args=([self._door],))

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started, within_s=10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join(30)
        self._door.close()

    def stop(self) -> None:
        """Ask it to stop, as a signal does."""
        self._server.should_exit = True

    def change(self, **bounds: Any) -> None:
        """Change bounds of the intake."""
        intake: Intake = self.app.state.intake
        self.app.state.intake = replace(intake, **bounds)

    def post(self, body: Any, headers: Mapping[str, str | None] | None = None) -> requests.Response:
        """Post bytes as they are, anything else as JSON, with the right key and type unless told otherwise."""
        how = {"data": body} if isinstance(body, bytes) else {"json": body}
        sent = {"X-API-Key": KEY, "Content-Type": JSON, **(headers or {})}
        return requests.post(f"{self.url}/events", headers=sent, timeout=20, **how)

    def get(self, path: str) -> requests.Response:
        """Get a path, without a key."""
        return requests.get(f"{self.url}{path}", timeout=20)

    def connect(self) -> socket.socket:
        """Return a bare connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def head(self, *lines: str) -> bytes:
        """Return the headers of a delivery with the right key and type, and these lines."""
        given = ["POST /events HTTP/1.1", "Host: x", f"X-API-Key: {KEY}", f"Content-Type: {JSON}", *lines, "", ""]
        return "\r\n".join(given).encode()


def read_all(connection: socket.socket) -> bytes:
    """Return what the other side sends until it closes, as far as it comes through."""
    received = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return received
        if not part:
            return received
        received += part
