"""One JSON line per event on stderr: constant event names, ids only, never a person's name, address or a secret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_bound: ContextVar[dict[str, object]] = ContextVar("bound", default={})  # noqa: B039  never mutated, only replaced


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object per line; fields come from `extra={"fields": {...}}` and `bind`.

    Args:
        masked: Secrets, which must not leave whatever a library puts into its text. Ours never say them: a second net.
    """

    def __init__(self, masked: Collection[str] = ()) -> None:
        super().__init__()
        # As they stand in a JSON text; the longest first, so that none leaves the end of another behind.
        inside = {json.dumps(secret)[1:-1] for secret in masked if secret}
        self._masked = sorted(inside, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_bound.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error_type"] = record.exc_info[0].__name__
            if record.levelno <= logging.DEBUG or not record.name.startswith("jitprov"):
                line["traceback"] = self.formatException(record.exc_info)
        text = json.dumps(line, ensure_ascii=True, default=str)
        for secret in self._masked:
            if secret in text:
                text = text.replace(secret, "(secret)")
        return text


def setup(level: str, *, masked: Collection[str] = ()) -> None:
    """Send the root logger's records to stderr as JSON lines; safe to call again.

    Args:
        level: The least level that is told.
        masked: See `JsonLines`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(masked))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These narrate every connection, urls included, at DEBUG and INFO.
    for noisy in ("urllib3", "asyncio", "httpx", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add fields to every line logged inside the block."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log a constant event name with fields."""
    logger.log(level, name, extra={"fields": fields})
