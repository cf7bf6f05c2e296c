"""Which ports the stack's parts listen on: those that were set, if they are free, and free ones for the rest."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from random import SystemRandom

from jitprov.errors import ConfigurationError

# Below every system's range for outgoing connections, so that none of those takes a port between choice and use.
_FREE_FROM, _FREE_TO = 20_000, 32_000
_TRIES = 200
_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104  compared, not bound


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port that some part will listen on.

    Attributes:
        setting: The variable that sets it, for the error's text.
        host: Address it listens on.
        port: 1 to 65535; 0 takes a free one.
    """

    setting: str
    host: str
    port: int


def choose_ports(wanted: Sequence[WantedPort]) -> list[int]:
    """Return a port for each, no two the same.

    Raises:
        ConfigurationError: One that was set is taken, twice wanted, or not this machine's address.
    """
    chosen: list[int] = [one.port for one in wanted if one.port]
    for one in wanted:
        if one.port:
            cause = _refused(one.host, one.port) or ("wanted twice" if chosen.count(one.port) > 1 else "")
            if cause:
                raise ConfigurationError(
                    f"{one.setting}: port {one.port} on {one.host} is not to be had ({cause}). "
                    f"End what listens there, or set {one.setting} to another port; 0 takes a free one"
                )
    return [one.port or _free(one, chosen) for one in wanted]


def reachable_host(host: str) -> str:
    """Return an address under which a part that listens on `host` can be reached from this machine, ready for a URL."""
    address = _ANY.get(host, host)
    return f"[{address}]" if ":" in address else address


def _free(one: WantedPort, chosen: list[int]) -> int:
    chance = SystemRandom()
    cause = ""
    for _ in range(_TRIES):
        port = chance.randrange(_FREE_FROM, _FREE_TO)
        if port in chosen:
            continue
        cause = _refused(one.host, port)
        if not cause:
            chosen.append(port)
            return port
    raise ConfigurationError(f"{one.setting}: no free port on {one.host} ({cause}). Set {one.setting} to one")


def _refused(host: str, port: int) -> str:
    """Return why nothing can listen there; empty when something can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port whose last connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error.strerror or type(error).__name__
    return ""
