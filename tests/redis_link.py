"""A line between a part and its Redis that can be slow, and can break right after Redis has acted."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

Judge = Callable[[bytes], bool]

_COMMANDS = re.compile(rb"(?:\A|\r\n)\*[0-9]+\r\n\$")


class RedisLink:
    """Forwards to a Redis, byte by byte, until told otherwise.

    Attributes:
        delay_s: Added to each answer.
        loses: Asked with each request that was forwarded; True ends the connection in place of the answer.
        lost: How many answers were lost.
        says: Answers each command in Redis' place, which then does not see it; empty: Redis answers.
        to: Redis' port, for new connections.
    """

    def __init__(self, port: int) -> None:
        self.to = port
        self.says = b""
        self._door = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}/0"
        self.delay_s = 0.0
        self.loses: Judge = lambda request: False
        self.lost = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            for line in (near, far):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            doomed = threading.Event()
            threading.Thread(target=self._requests, args=(near, far, doomed), daemon=True).start()
            threading.Thread(target=self._answers, args=(far, near, doomed), daemon=True).start()

    def _requests(self, near: socket.socket, far: socket.socket, doomed: threading.Event) -> None:
        while part := _received(near):
            if self.loses(part):
                doomed.set()
            try:
                if self.says:
                    near.sendall(self.says * len(_COMMANDS.findall(part)))
                else:
                    far.sendall(part)
            except OSError:
                break
        _close(near, far)

    def _answers(self, far: socket.socket, near: socket.socket, doomed: threading.Event) -> None:
        while part := _received(far):
            if doomed.is_set():
                self.lost += 1
                break
            time.sleep(self.delay_s)
            try:
                near.sendall(part)
            except OSError:
                break
        _close(near, far)


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(65536)
    except OSError:
        return b""


def _close(*lines: socket.socket) -> None:
    for line in lines:
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()
