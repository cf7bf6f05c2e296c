"""One trace from the webhook to the station over real parts and a real collector; and the wide line of each attempt."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from builders import an_opening
from jitprov.domain.provisioning import CORRIDOR, Provisioning, State
from jitprov.pipeline import telling
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, free_port, wait_until
from running import RealParts, ended
from trace_collector import Collector, Told

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

OPERATOR_KEY, COLLECTOR_KEY = "o" * 40, "c" * 40
SENDER_TRACE = "0af7651916cd43dd8448eb211c80319c"
RULES = """version: 1
match: first
unmatched: fail
rules:
  - name: Everybody
    when: {{department: {departments}}}
    skills: {{Customer_Service: 1.0}}
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path, collector: Collector) -> Iterator[RealParts]:
    options = SandboxOptions(time_scale=20, station_lag_s=(0.0, 0.0))
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as running:
        rules = tmp_path / "rules.yaml"
        rules.write_text(RULES.format(departments="Seasonal_Retail"))
        running.settings.update(
            {
                "JITPROV_RECEIVER_PORT": str(free_port()),
                "JITPROV_RULES_FILE": str(rules),
                "JITPROV_OTEL_ENDPOINT": collector.url,
                "JITPROV_OTEL_HEADERS": f"Authorization=Bearer {COLLECTOR_KEY}",
            }
        )
        yield running


def test_one_trace_from_webhook_to_station(parts: RealParts, collector: Collector) -> None:
    """Receiver, worker, retry and reconciler tell one trace per agent, parents and times right, nobody's name in it."""
    parts.start("receiver", until="receiver_listening")
    parts.worker()
    url = f"http://127.0.0.1:{parts.settings['JITPROV_RECEIVER_PORT']}"
    good, bad, lost = (
        parts.sandbox.control.sign_in_silently(1, departments=[department])
        for department in ("Seasonal_Retail", "Nobody_Knows", "Seasonal_Retail")
    )
    headers = {"X-API-Key": "w" * 40, "traceparent": f"00-{SENDER_TRACE}-b7ad6b7169203331-01"}
    sent = requests.post(f"{url}/events", json=[*good[1], *bad[1]], headers=headers, timeout=30)
    assert sent.status_code == 202, sent.text
    ledger = parts.ledger()
    wait_until(lambda: ended(ledger, bad[0][0]["id"], State.FAILED), within_s=90)
    Path(parts.settings["JITPROV_RULES_FILE"]).write_text(RULES.format(departments="[Seasonal_Retail, Nobody_Knows]"))
    time.sleep(2.5)  # workers look at the file at most every two seconds
    retried = requests.post(
        f"{url}/api/provisionings/{bad[0][0]['id']}/retry", headers={"X-Operator-Key": OPERATOR_KEY}, timeout=30
    )
    assert retried.status_code == 200, retried.text
    # Accepted and never sent: only the reconciler brings it on its way.
    ledger.accept([an_opening(user_id=lost[0][0]["id"])], look_after_s=0)
    parts.start("reconciler")
    records: dict[str, Provisioning] = {}
    for name, (users, _) in {"good": good, "bad": bad, "lost": lost}.items():
        wait_until(lambda user=users[0]["id"]: ended(ledger, user, State.READY), within_s=90)  # type: ignore[misc]
        found = ledger.find(users[0]["id"])
        assert found is not None
        records[name] = found
    ledger.close()
    traces = {name: _trace_of(record, collector) for name, record in records.items()}

    for name, spans in traces.items():
        _is_whole(spans, begun=name != "lost")
    assert _steps(traces["good"]) == {(str(step), 1, None): 1 for step in CORRIDOR}
    resumed = [("fetch_profile", 1, None), ("resolve_skills", 1, "no_rule_matched")]
    assert _steps(traces["bad"]) == Counter([*resumed, *((str(step), 2, None) for step in CORRIDOR[1:])])
    published = {
        name: {(span.service, span.attributes["jitprov.run"]) for span in spans if span.name == "publish"}
        for name, spans in traces.items()
    }
    assert published["good"] == {("jitprov-receiver", 1)}
    assert published["bad"] == {("jitprov-receiver", 1), ("jitprov-receiver", 2)}
    assert published["lost"] == {("jitprov-reconciler", 1)}
    [accept] = [span for span in traces["good"] if span.name == "accept"]
    assert accept.links == (SENDER_TRACE,)
    calls = [span for span in collector.spans if "http.response.status_code" in span.attributes]
    assert calls
    assert not [span.name for span in calls if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", span.name)]
    assert all(span.attributes["jitprov.correlation_id"] for span in calls)

    assert {path for path, _ in collector.asked} == {"/v1/traces"}
    assert {headers["authorization"] for _, headers in collector.asked} == {f"Bearer {COLLECTOR_KEY}"}
    people = [user for users, _ in (good, bad, lost) for user in users]
    private = [person[what] for person in people for what in ("name", "email")]
    for word in (*private, "sandbox-secret", "w" * 40, "d" * 40, OPERATOR_KEY, COLLECTOR_KEY):
        assert word.encode() not in b"".join(collector.raw)
        assert word not in parts.logs()
    _lines_are_as_documented(parts, records, collector)


def _trace_of(record: Provisioning, collector: Collector) -> list[Told]:
    """Return the spans of an agent's trace, once the last step's has come."""

    def last() -> list[Told]:
        return [
            span
            for span in list(collector.spans)
            if span.name == "step assign_station"
            and span.attributes["jitprov.provisioning_id"] == record.provisioning_id
            and span.attributes["jitprov.outcome"] == "done"
        ]

    wait_until(lambda: bool(last()), within_s=30)
    return collector.of(last()[0].trace_id)


def _is_whole(spans: list[Told], *, begun: bool) -> None:
    """Hold that each span stands where it belongs: under the beginning, or under the step that made it."""
    steps = {span.span_id for span in spans if span.name.startswith("step ")}
    beginnings = [span for span in spans if span.name == "accept"]
    assert [span.parent_id for span in beginnings] == ([""] if begun else [])
    under_the_beginning = {span.parent_id for span in spans if span.name == "publish" or span.span_id in steps}
    assert len(under_the_beginning) == 1
    if begun:
        assert under_the_beginning == {beginnings[0].span_id}
        assert beginnings[0].service == "jitprov-receiver"
    inner = [span for span in spans if span.name != "publish" and span.span_id not in steps and span not in beginnings]
    assert {span.parent_id for span in inner} <= steps
    assert {span.service for span in spans if span.span_id in steps} == {"jitprov-worker"}
    assert len({span.span_id for span in spans}) == len(spans)


def _steps(spans: list[Told]) -> Counter[tuple[str, int, str | None]]:
    """Count step, run and failure of the attempts that did not merely wait."""
    return Counter(
        (str(span.attributes["jitprov.step"]), int(span.attributes["jitprov.run"]), span.failed)
        for span in spans
        if span.name.startswith("step ") and span.attributes["jitprov.outcome"] in {"done", "fail"}
    )


def _lines_are_as_documented(parts: RealParts, records: dict[str, Provisioning], collector: Collector) -> None:
    """Hold the worker's own output against the schema, and against the trace of the same attempt."""
    told = [json.loads(line) for line in parts.logs().splitlines() if '"event": "step_ended"' in line]
    documented = set(re.findall(r"^ {0,2}((?:\w+ )*\w+) {2,}\S", telling.__doc__ or "", flags=re.MULTILINE))
    fields = {name for names in documented for name in names.split()}
    for line in told:
        assert set(line) - {"at", "level", "logger", "event"} == fields
        assert line["slot_ms"] + line["call_ms"] + line["redis_ms"] <= line["duration_ms"] + 3
        assert line["worker"].startswith("celery@")
    spans = {
        (span.attributes["jitprov.task_id"], span.attributes["jitprov.attempt"]): span
        for span in collector.spans
        if span.name.startswith("step ")
    }
    by_task: dict[str, list[dict[str, Any]]] = {}
    for line in told:
        by_task.setdefault(line["task_id"], []).append(line)
    for record in records.values():
        for step in record.corridor:
            line = by_task[record.task_id(step)][-1]
            assert (line["outcome"], line["recorded"]) == ("done", True)
            span = spans[line["task_id"], line["attempt"]]
            assert span.trace_id == line["trace_id"]
    first = by_task[records["good"].task_id(CORRIDOR[0])][0]
    assert first["queue_ms"] is not None
    phone = by_task[records["good"].task_id(CORRIDOR[3])][-1]
    posts = [call for call in phone["calls"] if call["method"] == "POST"]
    assert [(call["route"], call["status"]) for call in posts] == [("/api/v2/telephony/providers/edges/phones", 200)]
    assert posts[0]["correlation_id"]
    assert phone["call_ms"] > 0
