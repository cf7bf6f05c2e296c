from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from jitprov.domain.ids import provisioning_id_from
from jitprov.errors import ConfigurationError, Refused
from jitprov.settings import read_settings
from jitprov.tracing import spans
from jitprov.tracing.otel import OtelTracer, derived_ids
from jitprov.tracing.start import start_tracing

ID = provisioning_id_from(UUID("4f80a575-68e4-4f3b-8d19-d19d7e510cd9"))


class Bench:
    def __init__(self, ratio: float) -> None:
        self._kept = InMemorySpanExporter()
        self._tracer = OtelTracer(self._kept, part="worker", sample_ratio=ratio)
        spans.use(self._tracer)

    def told(self) -> dict[str, ReadableSpan]:
        self._tracer._provider.force_flush()
        return {span.name: span for span in self._kept.get_finished_spans()}

    def close(self) -> None:
        spans.use(None)
        self._tracer.close()


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(getattr(request, "param", 1.0))
    yield made
    made.close()


def test_what_one_process_begins_another_goes_on_with(bench: Bench) -> None:
    """A step stands under the beginning that another process told, with no word between them; calls under the step."""
    with spans.span("step x", spans.Kind.CONSUMER, of=ID, attempt=1), spans.span("GET /x", spans.Kind.CLIENT):
        pass
    spans.accepted(ID, began_ns=1, user_id="u")
    told = bench.told()

    trace_id, first_id = derived_ids(ID)
    assert {span.context.trace_id for span in told.values()} == {trace_id}
    assert (told["accept"].context.span_id, told["accept"].parent) == (first_id, None)
    assert told["step x"].parent is not None
    assert told["step x"].parent.span_id == first_id
    assert told["GET /x"].parent is not None
    assert told["GET /x"].parent.span_id == told["step x"].context.span_id
    assert spans.trace_id(ID) == f"{trace_id:032x}"


def test_a_span_of_nobody_is_not_told(bench: Bench) -> None:
    """A call that is made for no provisioning begins no trace of its own."""
    with spans.span("GET /x", spans.Kind.CLIENT) as span:
        span.note(status=200)

    assert bench.told() == {}


def test_an_error_is_told_by_its_code_alone(bench: Bench) -> None:
    """What a block raises fails its span with the code; the error's words and its traceback stay out."""
    with pytest.raises(Refused), spans.span("step x", of=ID):
        raise Refused("Robin Example is refused", http_status=403)

    told = bench.told()["step x"]
    assert (told.status.status_code, told.status.description) == (StatusCode.ERROR, "refused")
    assert "Robin" not in told.to_json()


def test_attributes_bear_their_names_in_traces(bench: Bench) -> None:
    """Where OpenTelemetry has a name it is taken, else ours with our prefix; what is None is left out."""
    with spans.span("GET /x", of=ID, method="GET", route="/x", lane=0) as span:
        span.note(status=200, correlation_id=None)

    assert dict(bench.told()["GET /x"].attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/x",
        "jitprov.lane": 0,
        "http.response.status_code": 200,
    }


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-0-0-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "é"])
def test_a_strange_traceparent_does_no_harm(bench: Bench, traceparent: str) -> None:
    """Whatever a sender puts there, the event's trace begins, without a link."""
    spans.accepted(ID, began_ns=1, traceparent=traceparent)

    assert list(bench.told()["accept"].links) == []


@pytest.mark.parametrize("bench", [0.3], indirect=True)
def test_a_share_is_traced_whole(bench: Bench) -> None:
    """At a share of 0.3 about that many provisionings are traced, beginning and steps of the same ones."""
    ids = [provisioning_id_from(UUID(int=UUID(int=number << 90 | 1, version=4).int)) for number in range(1000)]
    for provisioning_id in ids:
        spans.accepted(provisioning_id, began_ns=1)
        with spans.span("step x", of=provisioning_id):
            pass
    bench._tracer._provider.force_flush()
    kept = bench._kept.get_finished_spans()
    begun = {span.context.trace_id for span in kept if span.name == "accept"}
    stepped = {span.context.trace_id for span in kept if span.name == "step x"}

    assert begun == stepped
    assert 200 < len(begun) < 400


def test_ids_are_well_formed() -> None:
    """Ids derived from a thousand provisionings are distinct and fit their fields."""
    derived = [derived_ids(str(uuid4())) for _ in range(1000)]

    assert len(set(derived)) == 1000
    assert all(0 < trace_id < 2**128 and 0 < span_id < 2**64 for trace_id, span_id in derived)


def test_off_it_costs_a_call_and_loads_nothing() -> None:
    """Without an endpoint what needs OpenTelemetry is not loaded, and each span is the one that says nothing."""
    start_tracing(read_settings(), "worker")

    assert not spans.is_on()
    assert spans.span("step x", of=ID) is spans.span("another")
    assert spans.trace_id(ID) is None
    loads = "import sys, jitprov.pipeline.tasks, jitprov.receiver.app; print('jitprov.tracing.otel' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without OpenTelemetry ends the part with the setting, the cause and the command."""
    monkeypatch.setitem(sys.modules, "jitprov.tracing.otel", None)

    with pytest.raises(ConfigurationError, match=r'JITPROV_OTEL_ENDPOINT: OpenTelemetry is not.*"jitprov\[otel\]"'):
        start_tracing(read_settings(otel_endpoint="http://collector.test:4318"), "worker")


def test_an_endpoint_is_an_address() -> None:
    """What is no web address is refused with the settings, not by a thread later."""
    with pytest.raises(ConfigurationError, match="JITPROV_OTEL_ENDPOINT: must begin with"):
        read_settings(otel_endpoint="collector:4318")
