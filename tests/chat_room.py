"""A chat room's incoming webhook on this machine, which keeps what was said and answers as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class ChatRoom(HTTPServer):
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Ear)
        self.posts: list[tuple[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/T0/secret"


class _Ear(BaseHTTPRequestHandler):
    server: ChatRoom

    def do_POST(self) -> None:
        self.server.posts.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def chat_room() -> Iterator[ChatRoom]:
    with ChatRoom() as room:
        thread = threading.Thread(target=room.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield room
        room.shutdown()
        thread.join()
