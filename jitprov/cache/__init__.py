"""The shelf: what all workers share and may lose at any moment without harm."""

from jitprov.cache.port import Cache

__all__ = ["Cache"]
