"""The rules in force in a running process: a changed file is taken within seconds, a wrong one is not taken."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from jitprov import logs
from jitprov.domain.agent import Profile, WantedState
from jitprov.errors import ConfigurationError
from jitprov.rules.engine import RuleBook
from jitprov.rules.loader import SHIPPED, load_rules

_LOOK_EVERY_S = 2.0
_log = logging.getLogger(__name__)

_Mark = tuple[int, int, int]


class LivingRules:
    """Rules that follow their file. The file is looked at when rules are asked for, at most every two seconds.

    Args:
        path: Of rules.yaml; the shipped seasonal rules when None.
        monotonic_s: A steady count of real seconds.
        tell: Called with why a changed file is not taken, and with None once one is.

    Raises:
        ConfigurationError: The file cannot be read or is wrong at the start.
    """

    def __init__(
        self,
        path: Path | None,
        monotonic_s: Callable[[], float],
        tell: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._monotonic_s = monotonic_s
        self._tell = tell
        self._mark = self._looked_up()
        self._book = load_rules(path)
        self._look_at_s = monotonic_s() + _LOOK_EVERY_S

    def in_force(self) -> RuleBook:
        """Return the rules as they are now; those of before while the file is wrong or away."""
        now_s = self._monotonic_s()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + _LOOK_EVERY_S
            mark = self._looked_up()
            if mark != self._mark:
                self._mark = mark
                self._take()
        return self._book

    def wanted_for(self, profile: Profile) -> WantedState:
        """See `RuleBook.wanted_for`."""
        return self.in_force().wanted_for(profile)

    def name_lines(self) -> dict[str, int]:
        """See `RuleBook.name_lines`."""
        return self.in_force().name_lines()

    def looks_at_location(self) -> bool:
        """Tell whether some rule looks at locations."""
        return self.in_force().looks_at_location

    def names_roles(self) -> bool:
        """Tell whether some rule names roles."""
        return self.in_force().names_roles

    def _take(self) -> None:
        try:
            book = load_rules(self._path)
        except ConfigurationError as error:
            logs.event(
                _log,
                "rules_refused",
                level=logging.ERROR,
                rules_version=self._book.rules_version,
                cause=str(error),
                remedy="Mend the file; until then the rules of before stay in force",
            )
            self._tell(str(error))
            return
        if book.rules_version != self._book.rules_version:
            logs.event(_log, "rules_taken", rules_version=book.rules_version, before=self._book.rules_version)
        self._book = book
        self._tell(None)

    def _looked_up(self) -> _Mark | None:
        try:
            found = (self._path or SHIPPED).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
