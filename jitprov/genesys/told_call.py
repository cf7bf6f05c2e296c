"""What is said of one request: a line at DEBUG, a span, its place in the attempt's line, and a count. No id."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ConnectTimeoutError

from jitprov import logs
from jitprov.genesys.connection import SILENCES
from jitprov.tracing.attempt import called, spending
from jitprov.tracing.spans import Kind, span

_log = logging.getLogger(__name__)


@contextmanager
def telling(
    method: str, route: str, monotonic_s: Callable[[], float], counts: Counter[tuple[str, int]]
) -> Iterator[Callable[[BaseHTTPResponse], None]]:
    """Tell the request that is sent inside the block; one that was not sent, as its slot had passed, is none.

    Args:
        method: HTTP method.
        route: Its path with ids taken out.
        monotonic_s: A steady count of real seconds.
        counts: Takes it by method and route, and status; 0 for no answer.

    Yields:
        What has to be called with the answer.
    """
    began_s, status, trace = monotonic_s(), 0, None

    def answered(answer: BaseHTTPResponse) -> None:
        nonlocal status, trace
        status, trace = answer.status, answer.headers.get("ININ-Correlation-Id")
        call.note(status=status, correlation_id=trace)
        if status >= HTTPStatus.BAD_REQUEST:
            call.fail(str(status))

    def tell() -> None:
        counts[f"{method} {route}", status] += 1
        took_ms = round((monotonic_s() - began_s) * 1000)
        told = {"method": method, "route": route, "status": status, "duration_ms": took_ms, "correlation_id": trace}
        called(told)
        logs.event(_log, "api_call", level=logging.DEBUG, **told)

    with span(f"{method} {route}", Kind.CLIENT, method=method, route=route) as call, spending("call", monotonic_s):
        try:
            yield answered
        except (ConnectTimeoutError, *SILENCES):
            tell()
            raise
        tell()
