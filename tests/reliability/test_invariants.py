"""The oracle of the crash and chaos suites: it finds nothing where all is well, and each wrong where it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from builders import a_failure, a_phone, a_provisioning
from jitprov.domain.provisioning import CORRIDOR, Findings, State, Step, StepRecord
from reliability.invariants import INVARIANTS, Evidence, chains_begun, judge

PHONE = a_phone()
RECORD = a_provisioning(state=State.READY, step=CORRIDOR[-1], findings=Findings(phone=PHONE))
PID, USER, EVENT = RECORD.provisioning_id, RECORD.user_id, RECORD.event_id
HAS: dict[str, Any] = {
    "department": "Seasonal_Retail",
    "skills": [{"name": name, "proficiency": 1.0} for name in ("Customer_Service", "Order_Tracking")],
    "phones": [{"id": PHONE.phone_id, "station_id": "station"}],
    "default_station_id": "station",
}
LEADS: dict[str, Any] = HAS | {
    "id": USER,
    "department": "Seasonal_Lead",
    "skills": [{"name": "Escalations", "proficiency": 3.0}],
    "utilization": {"utilization": {"chat": {"maximumCapacity": 2}}},
    "roles": [{"name": "employee"}, {"name": "Seasonal Agent"}],
    "groups": ["Retail Floor"],
    "queues": ["Overflow", "Retail Calls"],
}
KEPT = {
    "windows_over": 0,
    "requests_inside_retry_after": 0,
    "unknown_paths": 0,
    "wildcard_filters": 0,
    "requests_with_expired_token": 0,
    "answers_429": 0,
}
CREATE = {"method": "POST", "path": "/phones", "route": "/phones", "user_agent": f"jitprov/1 (provisioning {PID})"}
GOOD = Evidence(
    accepted={EVENT: USER},
    records={PID: RECORD},
    by_event={EVENT: PID},
    users={USER: HAS},
    oracle=KEPT,
    journal=[CREATE],
    logs='{"event": "step_ended"}',
    secrets={"key": b"s3cret"},
    keys=["jitprov:users", f"jitprov:p:{PID}", "unacked"],
    held=b"",
    queued=0,
    chains={PID: 1},
    went_back=[],
    acl_log=[],
    quiet_within_s=1.0,
)


def test_nothing_is_found_where_all_is_well() -> None:
    """A run in which all held is not suspected."""
    assert judge(GOOD) == {}
    assert judge(replace(GOOD, users={USER: LEADS})) == {}


def _stands(**changes: Any) -> dict[str, Any]:
    return {"records": {PID: replace(RECORD, **changes)}}


def _has(**changes: Any) -> dict[str, Any]:
    return {"users": {USER: HAS | changes}}


@pytest.mark.parametrize(
    ("invariant", "changes"),
    [
        ("I1", {"by_event": {}}),
        ("I1", _stands(state=State.RUNNING, step=Step.CREATE_PHONE)),
        ("I1", _stands(state=State.FAILED, failure=a_failure())),
        ("I1", _stands(user_id="another") | {"users": {"another": HAS}}),
        ("I2", _has(phones=HAS["phones"] * 2)),
        ("I2", _has(phones=[])),
        ("I2", _has(phones=[{"id": "another", "station_id": "station"}])),
        ("I3", _has(skills=HAS["skills"][:1])),
        ("I3", _has(default_station_id="another")),
        ("I3", {"users": {USER: LEADS | {"queues": ["Overflow"]}}}),
        ("I3", {"users": {USER: LEADS | {"groups": ["Retail Floor", "Seasonal Team"]}}}),
        ("I3", {"users": {USER: LEADS | {"roles": [{"name": "employee"}]}}}),
        ("I3", {"users": {USER: LEADS | {"utilization": None}}}),
        ("I4", {"oracle": KEPT | {"windows_over": 1}}),
        ("I4", {"oracle": KEPT | {"requests_inside_retry_after": 1}}),
        ("I5", {"journal": [CREATE | {"user_agent": "curl/8"}]}),
        ("I5", {"journal": [CREATE | {"user_agent": "jitprov/1 (provisioning 0b9a1c7e-3f52-4d68-9a01-5c7e3f520000)"}]}),
        ("I6", {"went_back": [PID]}),
        ("I6", _stands(steps=dict.fromkeys(CORRIDOR, StepRecord(attempts=8)))),
        ("I7", {"logs": "token=s3cret"}),
        ("I7", {"held": b"x s3cret x"}),
        ("I8", {"logs": "Traceback (most recent call last):"}),
        ("I8", {"acl_log": [{"reason": "command"}]}),
        ("I9", {"keys": ["jitprov:heap"]}),
        ("I10", {"quiet_within_s": None}),
        ("I10", {"queued": 1}),
        ("I11", {"chains": {PID: 2}}),
    ],
)
def test_each_wrong_is_found(invariant: str, changes: dict[str, Any]) -> None:
    """Evidence of one wrong is found by the invariant that forbids it."""
    assert invariant in judge(replace(GOOD, **changes))


def test_every_invariant_is_seen_to_fail() -> None:
    """None of the eleven is there for show."""
    marks = test_each_wrong_is_found.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for mark in marks for case in mark.args[1]} == set(INVARIANTS)


def test_chains_are_counted_by_what_was_pushed() -> None:
    """A first step sent anew counts; Celery's own retry, a message given back, another step and rubbish do not."""

    def message(task: str = "jitprov.fetch_profile", retries: int = 0, *, redelivered: bool = False) -> str:
        headers = {"task": task, "argsrepr": f"('{PID}',)", "retries": retries}
        return json.dumps({"headers": headers, "properties": {"delivery_info": {"redelivered": redelivered}}})

    pushed = [message(), message(), message(retries=1), message(redelivered=True), message("jitprov.create_phone"), "x"]

    assert chains_begun(pushed) == {PID: 2}
