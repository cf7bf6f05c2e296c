"""Tracing by OpenTelemetry, sent as OTLP over HTTP from a thread of its own. Needs the extra: `jitprov[otel]`.

The trace of a provisioning and the span that begins it have ids that follow from the provisioning's id. So every
process knows them untold: worker, reconciler and an operator's retry all go on in the trace that the receiver began.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from time import time_ns

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from jitprov import __version__
from jitprov.tracing.spans import SILENT, Attribute, Kind, Span

_KINDS = {
    Kind.INSIDE: SpanKind.INTERNAL,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
    Kind.CLIENT: SpanKind.CLIENT,
}
_NAMES = {"method": "http.request.method", "route": "http.route", "status": "http.response.status_code"}
# A worker that is killed loses what it has not sent, so it sends each second.
_SEND_EVERY_MS = 1000
_SEND_WITHIN_S = 5.0


def derived_ids(provisioning_id: str) -> tuple[int, int]:
    """Return trace id and first span's id of a provisioning.

    Not the provisioning id itself: fifteen of its bits are fixed, and samplers count on even ones.
    """
    digest = sha256(f"jitprov trace {provisioning_id}".encode()).digest()
    return int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:24], "big") or 1


class OtelTracer:
    """See `spans.Tracer`.

    Args:
        exporter: Takes the spans; see `otlp_exporter`.
        part: Which part of jitprov this process is.
        sample_ratio: Share of provisionings that are traced, 0.0 to 1.0, the same ones in all processes.
    """

    def __init__(self, exporter: SpanExporter, *, part: str, sample_ratio: float) -> None:
        self._ids = _ChosenIds()
        self._sampler = TraceIdRatioBased(sample_ratio)
        self._provider = TracerProvider(
            # OTEL_RESOURCE_ATTRIBUTES is read too, by OpenTelemetry's own habit.
            resource=Resource.create(
                {"service.namespace": "jitprov", "service.name": f"jitprov-{part}", "service.version": __version__}
            ),
            sampler=ParentBased(self._sampler),
            id_generator=self._ids,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_SEND_EVERY_MS))
        self._tracer = self._provider.get_tracer("jitprov", __version__)

    @contextmanager
    def span(self, name: str, kind: Kind, of: str | None, attributes: Mapping[str, Attribute]) -> Iterator[Span]:
        """See `spans.span`."""
        context = self._under(of) if of else None
        if context is None and not trace.get_current_span().get_span_context().is_valid:
            yield SILENT
            return
        with self._tracer.start_as_current_span(
            name,
            context,
            _KINDS[kind],
            _told(attributes),
            record_exception=False,  # its text and trace are for the log, if for anybody
            set_status_on_exception=False,
        ) as made:
            shown = _OtelSpan(made)
            try:
                yield shown
            except BaseException as error:
                shown.fail(str(getattr(error, "code", type(error).__name__)))
                raise

    def accepted(
        self, provisioning_id: str, *, began_ns: int, traceparent: str, attributes: Mapping[str, Attribute]
    ) -> None:
        """See `spans.accepted`."""
        with self._ids.chosen(*derived_ids(provisioning_id)):
            made = self._tracer.start_span(
                "accept",
                Context(),
                SpanKind.SERVER,
                _told({"provisioning_id": provisioning_id, **attributes}),
                _links(traceparent),
                began_ns,
            )
        made.end(time_ns())

    def trace_id(self, provisioning_id: str) -> str:
        """See `spans.trace_id`."""
        return trace.format_trace_id(derived_ids(provisioning_id)[0])

    def close(self) -> None:
        """See `spans.Tracer.close`."""
        self._provider.shutdown()

    def _under(self, provisioning_id: str) -> Context:
        trace_id, span_id = derived_ids(provisioning_id)
        sampled = self._sampler.should_sample(None, trace_id, "accept").decision is not Decision.DROP
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        parent = NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))
        return trace.set_span_in_context(parent, Context())


def otlp_exporter(endpoint: str, headers: str) -> SpanExporter:
    """Return what sends spans to a collector.

    Args:
        endpoint: Its address; `/v1/traces` is added unless it is there.
        headers: `name=value` pairs with commas between, for a collector that asks for a key.
    """
    base = endpoint.rstrip("/")
    pairs = (pair.partition("=") for pair in headers.split(",") if pair.strip())
    return OTLPSpanExporter(
        endpoint=base if base.endswith("/v1/traces") else f"{base}/v1/traces",
        headers={name.strip(): value.strip() for name, _, value in pairs},
        timeout=_SEND_WITHIN_S,
    )


class _OtelSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, **attributes: Attribute) -> None:
        self._span.set_attributes(_told(attributes))

    def fail(self, code: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, code))


class _ChosenIds(RandomIdGenerator):
    """Random ids, but for the one span that begins a trace."""

    def __init__(self) -> None:
        self._own = threading.local()

    @contextmanager
    def chosen(self, trace_id: int, span_id: int) -> Iterator[None]:
        self._own.ids = (trace_id, span_id)
        try:
            yield
        finally:
            self._own.ids = None

    def generate_trace_id(self) -> int:
        ids: tuple[int, int] | None = getattr(self._own, "ids", None)
        return ids[0] if ids else super().generate_trace_id()

    def generate_span_id(self) -> int:
        ids: tuple[int, int] | None = getattr(self._own, "ids", None)
        return ids[1] if ids else super().generate_span_id()


def _told(attributes: Mapping[str, Attribute]) -> dict[str, str | int | float | bool]:
    """Return attributes under their names in traces: OpenTelemetry's own where it has one, else with our prefix."""
    return {_NAMES.get(name, f"jitprov.{name}"): value for name, value in attributes.items() if value is not None}


def _links(traceparent: str) -> list[Link]:
    if not traceparent:
        return []
    carried = TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())
    sender = trace.get_current_span(carried).get_span_context()
    return [Link(sender)] if sender.is_valid else []
