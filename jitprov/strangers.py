"""How often one source may bring a wrong key before it is told to wait (429 instead of 401). Bounded memory, no clock.

A right key always comes in, however many wrong ones its address brought before: EventBridge sends for many customers
from the same addresses, and behind a proxy everybody has the proxy's. Keys are too long to be guessed; what is bounded
here is what a stranger costs. Should the stranger be the own sender with a key that was changed too early, the 429 is
even better than the 401: EventBridge repeats it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

_IPV6_SITE = 8  # bytes: whoever has one address of a /64 has all of them


class Strangers:
    """Wrong keys by source, each source with an allowance that refills.

    Args:
        at_once: Wrong keys of one source before the first 429.
        every_s: Seconds after which one more is allowed.
        sources_max: Sources remembered; the one that was quiet longest is forgotten first.
    """

    def __init__(self, *, at_once: int = 20, every_s: float = 2.0, sources_max: int = 4096) -> None:
        self._span_s = at_once * every_s
        self._every_s = every_s
        self._sources_max = sources_max
        # Source → when its allowance is whole again: a GCRA in one number.
        self._whole_at_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._whole_at_s)

    def met(self, source: str, now_s: float) -> float:
        """Count a wrong key.

        Args:
            source: From `source_of`.
            now_s: Monotonic.

        Returns:
            0.0 within the allowance; otherwise how long the source has to wait, and this one is not counted.
        """
        whole_at_s = max(self._whole_at_s.get(source, now_s), now_s) + self._every_s
        over_s = whole_at_s - now_s - self._span_s
        if over_s > 0:
            return over_s
        self._whole_at_s[source] = whole_at_s
        self._whole_at_s.move_to_end(source)
        while len(self._whole_at_s) > self._sources_max:
            self._whole_at_s.popitem(last=False)
        return 0.0


def source_of(peer: str, headers: Iterable[tuple[bytes, bytes]], forwarded_header: bytes) -> str:
    """Return whom a wrong key is counted for: an IPv4 address, or the /64 of an IPv6 one.

    Args:
        peer: Address of the connection.
        headers: Name in lower case and value, as they came.
        forwarded_header: Header, in lower case, in which the proxy in front names the sender; empty when there is no
            such proxy. Its last entry counts: it is the proxy's own, what stands before may be the sender's invention.
    """
    if forwarded_header:
        named = [value for name, value in headers if name == forwarded_header]
        if named:
            peer = named[-1].rpartition(b",")[2].strip().decode("latin-1")
    try:
        address = ip_address(peer)
    except ValueError:
        return "unknown"  # all of these share one allowance
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or address.packed[:_IPV6_SITE].hex())
    return str(address)
