"""Requests made up from the receiver's own OpenAPI document: it keeps what it promises, and nothing brings it down.

`make fuzz` does the same with more of them (FUZZ_EXAMPLES).
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from own_redis import OwnRedis
from receiver_process import OPERATOR_KEY, ReceiverProcess
from reliability.report import Row, record

pytestmark = pytest.mark.integration

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10"))
KEY = "webhook-" + "w" * 40
HEADERS = {"X-API-Key": KEY, "X-Operator-Key": OPERATOR_KEY}
# Held to their every word. Of the operator's rooms the document does not tell all answers yet: they may not break.
OWN = {"/events", "/healthz", "/readyz", "/metrics"}
ANSWER = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CHECKS: dict[GenerationMode, list[Any]] = {
    GenerationMode.POSITIVE: [*ANSWER, positive_data_acceptance],
    # Not that it is refused: an event of another kind, and a wrong one among good ones, is a 200 by design.
    GenerationMode.NEGATIVE: ANSWER,
}


def send(operation: Any, mode: GenerationMode) -> int:
    """Send requests made up for an operation, judge the answers, and return how many there were."""
    sent = 0

    @seed(20261124)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        nonlocal sent
        sent += 1
        checks = CHECKS[mode] if operation.path in OWN else [not_a_server_error]
        case.call_and_validate(headers=HEADERS, checks=checks, timeout=20)

    one()
    return sent


def test_contract_is_kept(own_redis: OwnRedis, tmp_path: Path) -> None:
    """Right requests are taken, wrong ones are refused in the shape that the document says; no 5xx at all."""
    sent: Counter[str] = Counter()
    with ReceiverProcess(tmp_path, own_redis.url, webhook_key=KEY, data_key="data-" + "d" * 40) as receiver:
        document = schemathesis.openapi.from_url(f"{receiver.url}/openapi.json")
        for found in document.get_all_operations():
            operation = cast("Any", found).ok()
            for mode in CHECKS:
                # Without a body there is next to nothing that could be wrong.
                if mode is GenerationMode.POSITIVE or operation.body:
                    sent[operation.label] += send(operation, mode)
        assert receiver.alive

    assert sent["POST /events"] > EXAMPLES
    assert "Traceback" not in receiver.log.read_text()
    record(
        "schema",
        command="make fuzz" if "FUZZ_EXAMPLES" in os.environ else f"python -m pytest {Path(__file__).name}",
        rows=[
            Row("operations of the OpenAPI document", len(sent)),
            Row("requests made up from it, right and wrong", sum(sent.values())),
            Row("answers of the receiver's own that it does not promise", 0, bar="0"),
            Row("5xx of any operation", 0, bar="0"),
        ],
    )
