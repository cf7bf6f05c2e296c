"""The operator's commands over real parts: what they say, what they change, how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import a_failure, an_opening
from jitprov.domain import provisioning as moves
from jitprov.domain.provisioning import State
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, free_port, wait_until
from running import RealParts, ended

pytestmark = pytest.mark.integration

RULES = """
version: 1
match: first
unmatched: fail
rules:
  - name: Retail
    when: {department: Seasonal_Retail}
    skills: {SKILL: 2.5}
"""


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path) -> Iterator[RealParts]:
    with SandboxThread(SandboxOptions(time_scale=20)) as sandbox, RealParts(own_redis, sandbox, tmp_path) as running:
        yield running


def told(parts: RealParts, *command: str) -> Any:
    done = parts.run(*command, "--json")
    return json.loads(done.stdout)


def write_rules(parts: RealParts, skill: str) -> None:
    path = parts.folder / "rules.yaml"
    path.write_text(RULES.replace("SKILL", skill))
    parts.settings["JITPROV_RULES_FILE"] = str(path)


def accept(parts: RealParts, department: str = "Seasonal_Retail") -> str:
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=[department])
    ledger = parts.ledger()
    ledger.accept([an_opening(user_id=user["id"])], look_after_s=0)
    ledger.close()
    return str(user["id"])


def await_state(parts: RealParts, user_id: str, state: State) -> None:
    ledger = parts.ledger()
    try:
        wait_until(lambda: ended(ledger, user_id, state), within_s=60)
    finally:
        ledger.close()


def test_a_failed_agent_is_mended_and_retried_by_the_failed_tasks_id(parts: RealParts) -> None:
    """An unknown skill fails with the nearest name; after the mend, retry of the failed task's id finishes the rest."""
    write_rules(parts, "Custmer_Service")
    worker = parts.worker()
    parts.start("reconciler")
    user_id = accept(parts)
    await_state(parts, user_id, State.FAILED)

    shown = told(parts, "show", user_id)["provisioning"]
    assert shown["failure"]["code"] == "skill_unknown"
    assert "Customer_Service" in shown["failure"]["message"]
    failed_task = shown["task_id"]
    listed = told(parts, "list", "--state", "failed")
    assert [each["user_id"] for each in listed["provisionings"]] == [user_id]
    assert listed["counts"]["failed"] == 1

    parts.end(worker)
    write_rules(parts, "Customer_Service")
    parts.worker()
    answer = told(parts, "retry", failed_task)
    assert (answer["verdict"], answer["provisioning"]["generation"]) == ("done", 2)
    assert answer["provisioning"]["task_id"] != failed_task
    await_state(parts, user_id, State.READY)

    again = told(parts, "retry", failed_task)
    assert again["verdict"] == "nothing_to_do"
    [user] = parts.sandbox.control.state(user_id)["users"]
    assert [(skill["name"], skill["proficiency"]) for skill in user["skills"]] == [("Customer_Service", 2.5)]
    assert len(user["phones"]) == 1


def test_all_that_match_are_retried_after_a_preview(parts: RealParts) -> None:
    """A filter previews and does nothing; with --yes those that match are opened again, and the log says why."""
    user_id = accept(parts)
    ledger = parts.ledger()
    seen = ledger.find(user_id)
    assert seen is not None
    failure = a_failure(code="skill_unknown", retry_helps=False)
    assert ledger.change(seen, moves.fail(seen, ledger.ping(), failure), look_after_s=1)

    previewed = told(parts, "retry", "--error", "skill_unknown", "--since", "1h")
    assert (previewed["preview"]["agents"], previewed["preview"]["hopeless"], previewed["act"]) == (1, 1, None)
    assert ledger.count()[State.FAILED] == 1
    done = told(parts, "retry", "--failed", "--why", "mended", "--yes")
    assert (done["act"]["outcome"], done["act"]["why"]) == ("1 retried", "mended")
    assert ledger.count()[State.ACCEPTED] == 1
    ledger.close()


def test_every_id_shows_the_agent(parts: RealParts) -> None:
    """Task id of any step, user id, provisioning id and e-mail address show the same agent; an unknown one says so."""
    parts.worker()
    parts.start("reconciler")
    user_id = accept(parts)
    await_state(parts, user_id, State.READY)
    shown = told(parts, "show", user_id)["provisioning"]

    names = [shown["provisioning_id"], shown["event_id"], shown["findings"]["profile"]["email"]]
    names += [step["task_id"] for step in shown["steps"]]
    assert {told(parts, "show", name)["provisioning"]["user_id"] for name in names} == {user_id}
    unknown = parts.run("show", "nobody@example.test")
    assert (unknown.returncode, "jitprov list" in unknown.stderr) == (1, True)
    plain = parts.run("show", user_id)
    assert all(step["step"] in plain.stdout for step in shown["steps"])


def test_a_cancelled_agent_stays_so_until_retried(parts: RealParts) -> None:
    """Cancel ends an agent that waits; its messages run nothing; retry takes it up again."""
    user_id = accept(parts)
    assert told(parts, "cancel", user_id)["verdict"] == "done"
    parts.worker()
    parts.start("reconciler")
    assert told(parts, "show", user_id)["provisioning"]["state"] == "cancelled"

    assert told(parts, "retry", user_id)["verdict"] == "done"
    await_state(parts, user_id, State.READY)


def test_send_goes_through_the_receiver(parts: RealParts) -> None:
    """`send` posts an event with the key of the settings, and says what the receiver answered."""
    parts.settings["JITPROV_RECEIVER_PORT"] = str(free_port())
    parts.settings["JITPROV_OPERATOR_KEY"] = "o" * 40
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    assert parts.run("send", user["id"]).returncode == 6

    parts.start("receiver", until="receiver_listening")
    sent = told(parts, "send", user["id"])
    assert sent["status"] == 202
    assert sent["answer"]["accepted"][0]["duplicate"] is False
    assert told(parts, "send", user["id"])["answer"]["accepted"][0]["duplicate"] is True
    assert parts.run("send", "not-an-id").returncode == 2
    parts.worker()
    await_state(parts, user["id"], State.READY)


def test_doctor_finds_what_is_well_and_what_is_not(parts: RealParts) -> None:
    """All well: 0. A skill that does not exist: 5, with its name and line. Redis away: so said. Never a secret."""
    assert "reconciler" in parts.run("doctor").stdout
    parts.start("reconciler", until="reconciler_started")
    parts.worker()
    well = parts.run("doctor", "--settings")
    assert well.returncode == 0, well.stdout
    assert "sandbox-secret" not in well.stdout

    write_rules(parts, "Nowhere")
    wrong = parts.run("doctor", "--json")
    assert wrong.returncode == 5
    [check] = [check for check in json.loads(wrong.stdout)["checks"] if check["health"] == "configuration"]
    assert "Nowhere" in check["found"] + check["remedy"]
    assert "line 8" in check["found"]
    down = parts.run("doctor", "--json", JITPROV_REDIS_URL="redis://127.0.0.1:1/0", JITPROV_RULES_FILE="")
    assert down.returncode in {5, 6}
    assert {check["health"] for check in json.loads(down.stdout)["checks"] if check["name"] == "Redis"} == {"down"}


def test_a_wrong_setting_is_named(parts: RealParts) -> None:
    """A setting that does not fit ends any command with 5 and the variable's name."""
    done = parts.run("list", JITPROV_REGION="nowhere.example")

    assert (done.returncode, "JITPROV_REGION" in done.stderr) == (5, True)
