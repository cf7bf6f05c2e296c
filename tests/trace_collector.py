"""A collector of traces on this machine: takes OTLP over HTTP as any collector does, and keeps what it got."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Told:
    """A span as it came.

    Attributes:
        service: Which part told it.
        trace_id, span_id, parent_id: Hexadecimal; the last empty for the first span of a trace.
        failed: The text of its status when that is an error; None otherwise.
        links: Trace ids of other traces.
    """

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: str | None
    took_ms: float
    attributes: Mapping[str, Any]
    links: tuple[str, ...]


@dataclass
class Collector:
    """Listens while it is entered."""

    spans: list[Told] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen."""
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                kept.raw.append(body)
                kept.spans += read(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def of(self, trace_id: str) -> list[Told]:
        """Return the spans of a trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def read(body: bytes) -> list[Told]:
    """Return the spans of one request."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Told(
            service=_plain(resource.resource.attributes)["service.name"],
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            failed=span.status.message if span.status.code == 2 else None,
            took_ms=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
            attributes=_plain(span.attributes),
            links=tuple(link.trace_id.hex() for link in span.links),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
