"""Tracing on, for a process whose settings ask for it. OpenTelemetry is loaded here, and only then."""

from __future__ import annotations

import atexit

from jitprov.errors import ConfigurationError
from jitprov.settings import Settings
from jitprov.tracing import spans


def start_tracing(settings: Settings, part: str) -> None:
    """Tell this process' spans to the collector of `JITPROV_OTEL_ENDPOINT`; nothing happens when it is not set.

    After the fork, once; what is left at the process' end is sent then.

    Args:
        settings: Of this process.
        part: Which part of jitprov it is.

    Raises:
        ConfigurationError: The extra is not installed.
    """
    if not settings.otel_endpoint:
        return
    try:
        from jitprov.tracing.otel import OtelTracer, otlp_exporter  # noqa: PLC0415  only where it is asked for
    except ImportError as error:
        raise ConfigurationError(
            f"JITPROV_OTEL_ENDPOINT: OpenTelemetry is not installed ({error.name}). Install it with the extra, "
            '"jitprov[otel]", or unset it'
        ) from None
    exporter = otlp_exporter(settings.otel_endpoint, settings.otel_headers.get_secret_value())
    tracer = OtelTracer(exporter, part=part, sample_ratio=settings.otel_sample_ratio)
    spans.use(tracer)
    atexit.register(tracer.close)


def stop_tracing() -> None:
    """Send what is left, for a process that ends without Python's own ending."""
    tracer = spans.used()
    spans.use(None)
    if tracer is not None:
        tracer.close()
