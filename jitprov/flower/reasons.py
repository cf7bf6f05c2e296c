"""Why a task failed or waits, as Flower shows it: code, cause and remedy as they are, without Python around them."""

from __future__ import annotations

import re
from typing import Any

# What celery tells of an exception is its repr: our two exceptions, whose text is written for people.
_OURS = re.compile(r"""(?:ProvisioningFailed|StepWaits)\((?P<quote>['"])(?P<text>.*)(?P=quote),?\)""", re.DOTALL)
_ESCAPED = re.compile(r"\\(['\"\\])")


def in_words(task: Any) -> Any:
    """Return a task as Flower shall show it; for its option `format_task`, which hands in a copy.

    The traceback of our own exceptions goes: it is the same for every failure, and says nothing of any.
    """
    found = _OURS.fullmatch(getattr(task, "exception", None) or "")
    if found:
        task.exception = _ESCAPED.sub(r"\1", found["text"])
        task.traceback = None
    return task
