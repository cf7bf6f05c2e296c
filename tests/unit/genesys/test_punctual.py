"""A request leaves in time or not at all, whatever stalls its sender, up to the first byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import pytest
import requests

from fixed_clock import FixedClock
from jitprov.budget import Permit, Refusal
from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.errors import BudgetDenied, Unavailable
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.punctual import PunctualAdapter, TooLate, leaving_by
from jitprov.genesys.transport import Transport
from jitprov.settings import read_settings

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers every request with {}, and remembers when each connection was opened and each request came."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections, self.requests = 0, list[bytes]()
        self.on_connect: Callable[[], None] = lambda: None
        self._open = list[socket.socket]()
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        """Close all connections, as servers do with idle ones."""
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.drop()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            raw = b""
            while chunk := connection.recv(65536):
                raw += chunk
                if b"\r\n\r\n" in raw:
                    self.requests.append(raw)
                    raw = b""
                    connection.sendall(_ANSWER)


class Tokens:
    """One token, always at hand."""

    def lanes(self) -> tuple[int, ...]:
        return (0,)

    def at_hand(self, lane: int = 0) -> str:
        return "t"


class Watched(MemoryBudget):
    """A meter that remembers what it gave."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__(BudgetRate.of(300, headroom=0.02), clock.monotonic_s)
        self.given, self.clock = list[Permit](), clock

    def reserve(self, **asked: Any) -> Permit | Refusal:
        answer = super().reserve(**asked)
        if isinstance(answer, Permit):
            self.given.append(answer)
        return answer


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@contextmanager
def transport_to(url: str, budget: MemoryBudget, clock: FixedClock) -> Iterator[Transport]:
    settings = read_settings(_env_file=None, api_url=url)
    made = Transport(settings, budget, clock, cast("TokenSource", Tokens()))
    yield made
    made._connection().close()


def stall(transport: Transport, budget: Watched, *, stalls: int) -> None:
    """Stop the sender when the request is ready to leave, so many times, for longer than its slot is good for."""
    pool, left = transport._connection().pool, [stalls]
    send = pool.urlopen

    def urlopen(*given: Any, **more: Any) -> Any:
        if left[0]:
            left[0] -= 1
            budget.clock.advance(budget.given[-1].good_for_s + 0.001)
        return send(*given, **more)

    pool.urlopen = urlopen


def ask(transport: Transport, about_to_send: Callable[[], None] = lambda: None) -> Any:
    return transport.request(
        "POST", "/api/v2/telephony/providers/edges/phones", safe=False, json={"a": 1}, about_to_send=about_to_send
    )


def test_a_sender_that_stalls_after_its_slot_sends_nothing_late(server: Server, clock: FixedClock) -> None:
    """Stopped between slot and first byte, it takes another slot and asks for its right again; one request arrives."""
    budget, asked = Watched(clock), list[float]()
    with transport_to(server.url, budget, clock) as transport:
        ask(transport)
        stall(transport, budget, stalls=2)

        ask(transport, lambda: asked.append(clock.monotonic_s()))

    assert len(server.requests) == 2
    assert len(budget.given) == 1 + 3
    assert clock.monotonic_s() <= budget.given[-1].leave_by_s
    assert len(asked) == 3


def test_a_sender_that_always_stalls_gives_the_step_back(server: Server, clock: FixedClock) -> None:
    """A machine that keeps no slot sends nothing and spends no attempt."""
    budget = Watched(clock)
    with transport_to(server.url, budget, clock) as transport:
        stall(transport, budget, stalls=99)

        with pytest.raises(BudgetDenied, match="too busy"):
            ask(transport)

    assert server.requests == []


def test_the_connection_is_open_before_the_slot_comes(server: Server, clock: FixedClock) -> None:
    """One that the server closed meanwhile is opened anew while there is time: no slot is lost over it."""
    budget = Watched(clock)
    with transport_to(server.url, budget, clock) as transport:
        ask(transport)
        server.drop()
        ask(transport)

    assert (len(server.requests), len(budget.given), server.connections) == (2, 2, 2)


def test_a_host_that_cannot_be_reached_is_met_by_the_request(clock: FixedClock) -> None:
    """It counts as a failure of the API that everybody hears of, not as a busy machine."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    budget = Watched(clock)

    with transport_to(url, budget, clock) as transport, pytest.raises(Unavailable):
        ask(transport)

    assert budget.state().failures == 1


def test_a_request_that_has_begun_to_leave_is_never_cut(server: Server) -> None:
    """The look is before the first byte alone: the body follows its head however late."""
    instants = iter([1.0, 3.0, 3.0])
    with requests.Session() as session:
        session.mount("http://", PunctualAdapter(13.0))
        session.trust_env = False
        with leaving_by(2.0, lambda: next(instants)):
            assert session.post(server.url, data=b"body").status_code == 200
            with pytest.raises(TooLate):
                session.post(server.url, data=b"body")
        assert session.post(server.url, data=b"body").status_code == 200

    assert len(server.requests) == 2
