"""Retries of many, begun from a page and carried on beside it, one after the other.

A thread of this process does them; the log of acts tells how far each is. Should the process end meanwhile, those done
are done, and pressing again does the rest.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from jitprov import logs
from jitprov.errors import DependencyDown
from jitprov.ledger.overview import Act, Filter
from jitprov.pipeline.retry_all import Retrying

_log = logging.getLogger(__name__)


class Crowd:
    """Carries on what `Retrying` began.

    Args:
        retrying: What retries.
    """

    def __init__(self, retrying: Retrying) -> None:
        self._retrying = retrying
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="retry-all")

    def begin(self, wanted: Filter, *, who: str, why: str) -> Act:
        """Note the act, and retry all that match soon; returns at once.

        Raises:
            DependencyDown: The ledger does not answer; nobody is retried.
        """
        act = self._retrying.begin(wanted, who=who, why=why)
        self._hands.submit(self._go_on, act, wanted)
        return act

    def _go_on(self, act: Act, wanted: Filter) -> None:
        told = [act]
        try:
            self._retrying.go_on(act, wanted, told=told.append)
        except Exception as error:  # noqa: BLE001  a thread has nobody to raise to: log and page tell it
            broken = f"{told[-1].outcome}; broke off ({type(error).__name__}): do it again for the rest"
            logs.event(_log, "retry_all_broke_off", level=logging.ERROR, act_id=act.act_id, error=str(error))
            with suppress(DependencyDown):
                self._retrying.ledger.note(replace(act, outcome=broken))
        else:
            logs.event(_log, "retry_all_done", act_id=act.act_id, whom=act.whom, outcome=told[-1].outcome)
