"""Connections that send in time or not at all: the last look at the clock is right before the first byte.

Between a slot and its request lie a prepared request, a connection to be opened, and whatever may stop a process: the
scheduler, the collection of garbage, a machine that sleeps. A look before all that proves nothing about the request. So
the look is made by the connection itself, when it is open and the bytes are ready: what leaves it later than allowed is
the kernel's and the network's doing, and a request that would be late does not leave.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from jitprov import logs
from jitprov.genesys.slot import too_busy
from jitprov.settings import Settings

_log = logging.getLogger(__name__)

Sent = TypeVar("Sent")

# Slots that a request may miss before its step goes back to the queue.
_MISSED_MAX = 8
_LAST_LOOK: ContextVar[Callable[[], None] | None] = ContextVar("last_look", default=None)


class TooLate(Exception):  # noqa: N818  it is an instant, not an error: nothing was sent, and the caller asks anew
    """The slot has passed; no byte of the request has left."""


@contextmanager
def leaving_by(instant_s: float, monotonic_s: Callable[[], float]) -> Iterator[None]:
    """Let requests of this thread begin to leave until an instant.

    Args:
        instant_s: The last one, by `monotonic_s`.
        monotonic_s: A steady count of real seconds.

    Raises:
        TooLate: From whatever sends, once that has passed; nothing was sent, and the connection is closed.
    """

    def look() -> None:
        if monotonic_s() > instant_s:
            raise TooLate

    held = _LAST_LOOK.set(look)
    try:
        yield
    finally:
        _LAST_LOOK.reset(held)


def until_in_time(send: Callable[[], Sent], settings: Settings) -> Sent:
    """Send, with another slot for each that was missed; return what `send` does.

    Args:
        send: Takes a slot and sends.
        settings: The time scale.

    Raises:
        BudgetDenied: Slot after slot was missed; nothing was sent.
    """
    for _ in range(_MISSED_MAX):
        try:
            return send()
        except TooLate:
            logs.event(_log, "slot_missed", level=logging.WARNING)
    raise too_busy(settings.time_scale)


class _Punctual:
    """Looks at the clock before a request's first byte and no other: half a request is worse than a late one."""

    sock: Any
    _looks = False

    def connect(self) -> None:
        """Open the connection; what is said to a proxy meanwhile is no request."""
        looks, self._looks = self._looks, False
        super().connect()  # type: ignore[misc]
        self._looks = looks

    def putrequest(self, *given: Any, **more: Any) -> None:
        """Begin a request."""
        self._looks = True
        super().putrequest(*given, **more)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        """Send, if it is not too late."""
        if self._looks:
            if self.sock is None:
                self.connect()
            self._looks = False
            look = _LAST_LOOK.get()
            if look is not None:
                look()
        super().send(data)  # type: ignore[misc]


class _Plain(_Punctual, HTTPConnection):
    pass


class _Secure(_Punctual, HTTPSConnection):
    pass


class PunctualPool(HTTPConnectionPool):
    """Of one connection; see `leaving_by`."""

    ConnectionCls: type[HTTPConnection] = _Plain

    def open_one(self, timeout_s: float) -> None:
        """Have a connection at hand, so that the next request need not wait for one."""
        connection = self._get_conn()
        try:
            if connection.is_closed:
                connection.timeout = timeout_s
                if self.proxy is not None:
                    self._prepare_proxy(connection)  # opens the way through it, where there is to be one
            if connection.is_closed:
                connection.connect()
        finally:
            self._put_conn(connection)


class _SecurePool(PunctualPool, HTTPSConnectionPool):
    ConnectionCls = _Secure


_POOLS = {"http": PunctualPool, "https": _SecurePool}


class PunctualAdapter(HTTPAdapter):
    """One connection a host, without a retry that budget and ledger would not see; see `leaving_by`.

    What the kernel cannot deliver in time it forgets, as its caller has by then. Else TCP goes on repeating a request
    that was given up for a quarter of an hour, far beyond the end of its lease.

    Args:
        flight_s: Longest time that anything sent may stay unacknowledged, in real seconds.
    """

    def __init__(self, flight_s: float) -> None:
        self._options = list(HTTPConnection.default_socket_options)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            self._options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(flight_s * 1000)))
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *given: Any, **more: Any) -> None:
        """Make the pools of this module."""
        super().init_poolmanager(*given, **more, socket_options=self._options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        """Make the pools of this module."""
        manager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager
