"""Ports that were set, free ones for the rest, and an error that names the setting."""

from __future__ import annotations

import re
import socket

import pytest

from jitprov.errors import ConfigurationError
from jitprov.stack import ports as ports_module
from jitprov.stack.ports import WantedPort, choose_ports, reachable_host
from own_redis import free_port

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"


def test_free_ports_are_distinct_and_out_of_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two parts get the same port, and none one that the system may give to an outgoing connection."""
    assert 1024 < ports_module._FREE_FROM < ports_module._FREE_TO < 32_768
    monkeypatch.setattr(ports_module, "_FREE_FROM", ports_module._FREE_TO - 200)  # so few that chance would meet

    ports = choose_ports([WantedPort("JITPROV_REDIS_PORT", HOST, 0)] * 50)

    assert len(set(ports)) == 50
    assert all(ports_module._FREE_FROM <= port < ports_module._FREE_TO for port in ports)


def test_a_set_port_is_kept() -> None:
    """A free port that was set is the one chosen, in its place."""
    port = free_port()

    chosen = choose_ports([WantedPort("JITPROV_REDIS_PORT", HOST, 0), WantedPort("JITPROV_RECEIVER_PORT", HOST, port)])

    assert chosen[1] == port


def test_a_taken_port_names_its_setting() -> None:
    """A port where another listens is an error that names setting, port and remedy."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"JITPROV_RECEIVER_PORT: port {port} .*; 0 takes a free one"):
            choose_ports([WantedPort("JITPROV_RECEIVER_PORT", HOST, port)])


def test_a_fading_port_is_free() -> None:
    """A port whose server has just ended, its connections still fading, can be used again at once."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)):
            accepted, _ = server.accept()
            accepted.close()

    assert choose_ports([WantedPort("JITPROV_RECEIVER_PORT", HOST, port)]) == [port]


def test_a_port_wanted_twice_names_its_setting() -> None:
    """Two parts on one port is an error before either starts."""
    port = free_port()

    with pytest.raises(ConfigurationError, match="wanted twice"):
        choose_ports([WantedPort(name, HOST, port) for name in ("JITPROV_RECEIVER_PORT", "JITPROV_FLOWER_PORT")])


def test_a_foreign_address_names_its_setting() -> None:
    """An address that is not this machine's is an error, with a set port as with a free one."""
    for port in (0, 8080):
        with pytest.raises(ConfigurationError, match=re.escape("JITPROV_RECEIVER_PORT: ")):
            choose_ports([WantedPort("JITPROV_RECEIVER_PORT", "192.0.2.1", port)])


@pytest.mark.parametrize(
    ("listens", "reached"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3")],  # noqa: S104  compared, not bound
)
def test_a_part_is_reached_where_it_listens(listens: str, reached: str) -> None:
    """Whatever address a part listens on, it is reached from this machine by one that can stand in a URL."""
    assert reachable_host(listens) == reached
