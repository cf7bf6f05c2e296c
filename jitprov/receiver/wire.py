"""uvicorn's HTTP protocol, with bounds that it lacks and without what two servers could read differently.

Bounded are the size of headers, of what stands around a body's chunks, and the time that headers and an unread rest
take: httptools buffers without end and waits for ever, and both would let anybody without a key hold memory and places.
Refused is what RFC 9112 calls faulty and httptools lets through, since a proxy in front may read it otherwise. Knows
nothing of routes.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

_BAD, _TOO_LARGE = 400, 431
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


class _Refused(Exception):  # noqa: N818  ends in an answer
    """The request is not handed on."""


class BoundedHttp(HttpToolsProtocol):
    """One connection.

    Attributes:
        headers_max_bytes: Of one request, its target included; a chunk of the network's more may be read.
        headers_max: How many headers.
        framing_max_bytes: Around one body: lengths and extensions of its chunks, trailers.
        headers_within_s: From the first byte, or from connecting, to the last header.
        rest_within_s: What is under way when its request is answered already, as after a 401, is read and thrown
            away that long.
    """

    headers_max_bytes: ClassVar[int] = 32_768
    headers_max: ClassVar[int] = 100
    framing_max_bytes: ClassVar[int] = 1_048_576
    headers_within_s: ClassVar[float] = 5.0
    rest_within_s: ClassVar[float] = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = 0
        self._framing_bytes = 0
        self._in_message = False
        self._in_headers = False
        self._deaf = False
        self._refusal = (_BAD, "not HTTP/1.1")
        self._running: RequestResponseCycle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin the wait for the first request."""
        super().connection_made(transport)
        self._expect(self.headers_within_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waits, and let nobody write any more."""
        self._expect(None)
        super().connection_lost(exc)
        self._forget_answers()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's is silent, which closes at once
        """Answer what came whole before its sender stopped sending."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        if self._in_message and not self._in_headers and not self._deaf:
            return False  # its own body is what was cut off
        self._deaf = True
        self._expect(None)
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and stop a sender whose headers, or whatever is around a body, do not end."""
        if self._deaf:
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > self.headers_max_bytes:
                self._refuse(_TOO_LARGE, "too many headers, or too long ones")
        elif self._in_message:
            self._framing_bytes += len(data)
            if self._framing_bytes > self.framing_max_bytes:
                self._refuse(_BAD, "too much around the body's chunks")
        elif self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            # Empty lines between requests stop uvicorn's own timer and begin nothing.
            self._expect(self.headers_within_s)

    def on_message_begin(self) -> None:
        """Begin a request: its headers must come in time."""
        super().on_message_begin()
        self._in_message = self._in_headers = True
        self._header_bytes = self._framing_bytes = 0
        self._expect(self.headers_within_s)

    def on_headers_complete(self) -> None:
        """Hand the request on if its headers are within bounds and can be read in one way only."""
        self._check_headers()
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # HTTP/1.0 knows no interim answers: RFC 9110, section 10.1.1
        self._in_headers = False
        self._expect(None)
        super().on_headers_complete()
        # The request keeps its list; what trailers add must not become a header of it, a key for example.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body."""
        self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that all of the request is there."""
        self._in_message = False
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin the wait for the rest of a request that is answered already."""
        super().on_response_complete()
        if self._in_message and not self.transport.is_closing():
            self._expect(self.rest_within_s)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's, less exact than ours
        """Answer what the parser, or this class, refused."""
        self._refuse(*self._refusal)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _check_headers(self) -> None:
        size, hosts = len(self.url), 0
        version = self.parser.get_http_version()
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts += 1
                if not _HOST.fullmatch(value):
                    self._condemn(_BAD, "Host is not a host")  # RFC 9112, section 3.2
            elif name == b"transfer-encoding" and (value.lower() != b"chunked" or version == "1.0"):
                self._condemn(_BAD, "Transfer-Encoding other than chunked in HTTP/1.1")  # section 6.1
        if size > self.headers_max_bytes or len(self.headers) > self.headers_max:
            self._condemn(_TOO_LARGE, "too many headers, or too long ones")
        if version not in {"1.1", "1.0"}:
            self._condemn(_BAD, "HTTP version other than 1.1 and 1.0")
        if b"#" in self.url:
            self._condemn(_BAD, "a fragment in the target")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            self._condemn(_BAD, "not exactly one Host")  # section 3.2
        if self.parser.should_upgrade():
            # httptools passes over the body then, and an event without its body would be lost.
            self._condemn(_BAD, "Upgrade is not offered here, nor CONNECT")

    def _condemn(self, status: int, cause: str) -> None:
        self._refusal = (status, cause)
        raise _Refused

    def _refuse(self, status: int, cause: str) -> None:
        """Answer and hang up; after the answers that are due before, if any is."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self._in_headers or not self._in_message:
                # All before it came whole and gets its answer; another now would be taken for one of theirs.
                self._deaf = True
                self._expect(None)
                self.cycle.keep_alive = False
                return
            if self.cycle is not self._running or self.cycle.response_started:
                self._hang_up()
                return
        text = f"{cause}\n".encode()
        self.transport.write(
            STATUS_LINE[status] + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(text) + text
        )
        self._hang_up()

    def _hang_up(self) -> None:
        self._forget_answers()
        self.transport.close()

    def _forget_answers(self) -> None:
        """Tell those who prepare an answer that nobody will read it; writing it would be an error."""
        self.pipeline.clear()
        for cycle in (self._running, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _expect(self, within_s: float | None) -> None:
        """Close the connection unless called again within that time; None ends the wait."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if within_s is None else self.loop.call_later(within_s, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self._hang_up()
