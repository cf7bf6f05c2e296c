"""Name → id, read once for all workers, kept for an hour, read again for a name that is missing. Knows no operation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from jitprov.domain.skills import nearest_names
from jitprov.genesys.shelf import Shelf

KEEP_S = 3600.0
REFRESH_EVERY_S = 60.0


class Listings:
    """Mappings of texts that lie on a shelf.

    Args:
        shelf: Where they lie for all workers.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def known(self, name: str, fetch: Callable[[], dict[str, str]], wanted: Iterable[str]) -> dict[str, str]:
        """Return a mapping, read again, once a minute, when it lacks something that is wanted."""
        known = self.read(name, fetch)
        if any(each not in known for each in wanted):
            known = self.read_again(name, fetch, known)
        return known

    def read(self, name: str, fetch: Callable[[], dict[str, str]]) -> dict[str, str]:
        """Return a mapping, fetched by one worker when nobody has it."""
        kept = self._kept(name)
        if kept is not None:
            return kept
        with self._shelf.turn(name) as late:
            kept = self._kept(name) if late else None
            if kept is None:
                kept = self._fetched(name, fetch)
        return kept

    def read_again(self, name: str, fetch: Callable[[], dict[str, str]], known: dict[str, str]) -> dict[str, str]:
        """Return a mapping that is at most `REFRESH_EVERY_S` old, where `known` lacks something."""
        with self._shelf.turn(name):
            if self._shelf.get(f"{name}:fresh", near=False) is not None:
                return self._kept(name, near=False) or known
            return self._fetched(name, fetch)

    def _fetched(self, name: str, fetch: Callable[[], dict[str, str]]) -> dict[str, str]:
        read = fetch()
        self._shelf.put(name, json.dumps(read).encode(), keep_s=KEEP_S)
        self._shelf.put(f"{name}:fresh", b"1", keep_s=REFRESH_EVERY_S)
        return read

    def _kept(self, name: str, *, near: bool = True) -> dict[str, str] | None:
        raw = self._shelf.get(name, near=near)
        try:
            kept = json.loads(raw) if raw else None
        except ValueError:
            return None  # what cannot be read is read anew
        return kept if isinstance(kept, dict) else None


def missing(what: str, name: str, known: Iterable[str]) -> str:
    """Return that the organization lacks something of this name, with the names that were probably meant."""
    near = nearest_names(name, known)
    hint = f"; nearest: {', '.join(repr(each) for each in near)}" if near else ""
    return f"no {what} {name!r}{hint}"
