"""uvicorn's HTTP protocol with bounds that it lacks: on the size of headers and on the time they, and a rest, take.

httptools buffers headers without end and waits for them for ever; both would let anybody without a key hold memory and
places. Knows nothing of routes.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_TOO_LARGE = 431


class _HeadersTooLarge(Exception):  # noqa: N818  ends in an answer
    """More header than anybody needs."""


class _HostUnclear(Exception):  # noqa: N818  ends in an answer
    """No host where there must be one, or several: two servers could send this to two places."""


class BoundedHttp(HttpToolsProtocol):
    """One connection.

    Attributes:
        headers_max_bytes: Of one request, its target included; a chunk of the network's more may be read.
        headers_max: How many headers.
        headers_within_s: From the first byte, or from connecting, to the last header.
        rest_within_s: What is under way when its request is answered already, as after a 401, is read and thrown
            away that long.
    """

    headers_max_bytes: ClassVar[int] = 32_768
    headers_max: ClassVar[int] = 100
    headers_within_s: ClassVar[float] = 5.0
    rest_within_s: ClassVar[float] = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = 0
        self._in_message = False
        self._in_headers = False
        self._too_large = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin the wait for the first request."""
        super().connection_made(transport)
        self._expect(self.headers_within_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waits."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and stop a sender whose headers do not end."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > self.headers_max_bytes:
                self._refuse_headers()
        elif not self._in_message and self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            # Empty lines between requests stop uvicorn's own timer and begin nothing.
            self._expect(self.headers_within_s)

    def on_message_begin(self) -> None:
        """Begin a request: its headers must come in time."""
        super().on_message_begin()
        self._in_message = self._in_headers = True
        self._header_bytes = 0
        self._expect(self.headers_within_s)

    def on_headers_complete(self) -> None:
        """Hand the request on if its headers are within bounds."""
        self._in_headers = False
        self._expect(None)
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.headers_max_bytes or len(self.headers) > self.headers_max:
            self._too_large = True
            raise _HeadersTooLarge
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            raise _HostUnclear  # RFC 9112, section 3.2: 400
        super().on_headers_complete()

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

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused: 431 for headers beyond the bounds, 400 for the rest."""
        if self._too_large:
            self._refuse_headers()
        else:
            super().send_400_response(msg)

    def _refuse_headers(self) -> None:
        self.transport.write(STATUS_LINE[_TOO_LARGE] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def _expect(self, within_s: float | None) -> None:
        """Close the connection unless called again within that time; None ends the wait."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if within_s is None else self.loop.call_later(within_s, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
