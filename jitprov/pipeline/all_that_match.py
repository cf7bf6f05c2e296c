"""One act on all that match a filter, a hundred at a time, noted in the log of acts as it goes. Knows no screen.

A process that dies halfway leaves agents that were acted on and agents that were not; doing it again does the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import uuid4

from jitprov.domain.provisioning import Provisioning
from jitprov.ledger.overview import Act, Filter, Overview
from jitprov.pipeline.operations import Answer, Verdict

_PAGE = 100


@dataclass(frozen=True, slots=True)
class AllThatMatch:
    """Acts on all that match.

    Attributes:
        ledger: The truth, and where the act is noted.
        what: The act's word in the log.
        do: Acts on one; harmless for any.
        means: Tells whether one is meant that the filter finds, given the act: it may have changed since.
        told: Says how many of the answers were which, for the log and for people.
    """

    ledger: Overview
    what: str
    do: Callable[[Provisioning], Answer]
    means: Callable[[Provisioning, Act], bool]
    told: Callable[[Counter[Verdict]], str]

    def begin(self, wanted: Filter, *, who: str, why: str = "") -> Act:
        """Note the act and return it; nothing is done yet.

        Raises:
            DependencyDown: The ledger does not answer.
        """
        act = Act(uuid4().hex, self.ledger.ping(), who, self.what, wanted.told(), why, "begun", finished=False)
        self.ledger.note(act)
        return act

    def go_on(self, act: Act, wanted: Filter, *, told: Callable[[Act], None] = lambda _: None) -> Act:
        """Act on all that match and are meant; note how far it is after each hundred.

        Args:
            act: From `begin`.
            wanted: The same filter.
            told: Called with the act after each hundred, and at the end.

        Raises:
            DependencyDown: The ledger does not answer; those done so far are done.
        """
        after: str | None = None
        became: Counter[Verdict] = Counter()
        while True:
            found = self.ledger.search(wanted, after=after, limit=_PAGE)
            became.update(self.do(record).verdict for record in found.records if self.means(record, act))
            after = found.following
            act = replace(act, outcome=self.told(became), finished=after is None)
            self.ledger.note(act)
            told(act)
            if after is None:
                return act
