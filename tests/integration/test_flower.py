"""Flower 2.2 as `jitprov flower` starts it: behind the board's keys, without secrets, with a retry, not forgetting."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis

from builders import an_opening
from jitprov.domain.provisioning import State
from jitprov.pipeline.names import task_name
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.stack.redis_users import ADMIN, USERS, users_conf
from own_redis import OwnRedis, free_port, wait_until
from running import RealParts, ended

pytestmark = pytest.mark.integration

OPERATOR, VIEWER = ("Kim", "o" * 40), ("Robin", "v" * 40)
RULES = """version: 1
match: first
unmatched: fail
rules:
  - name: Everybody
    when: {{department: {department}}}
    skills: {{Customer_Service: 1.0}}
"""


@pytest.fixture
def parts(own_redis: OwnRedis, tmp_path: Path) -> Iterator[RealParts]:
    options = SandboxOptions(time_scale=20, station_lag_s=(0.0, 0.0))
    with SandboxThread(options) as sandbox, RealParts(own_redis, sandbox, tmp_path) as running:
        ports = {f"JITPROV_{name}_PORT": str(free_port()) for name in ("FLOWER", "RECEIVER")}
        running.settings.update({**ports, "JITPROV_VIEWER_KEY": "v" * 40})
        yield running


def url(parts: RealParts, path: str, part: str = "FLOWER") -> str:
    return f"http://127.0.0.1:{parts.settings[f'JITPROV_{part}_PORT']}{path}"


def ask(
    parts: RealParts,
    path: str,
    *,
    key: tuple[str, str] | None = OPERATOR,
    method: str = "GET",
    **headers: str,
) -> tuple[int, str]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        answer = requests.request(method, url(parts, path), auth=key, headers=given, timeout=10, allow_redirects=False)
    except requests.RequestException:
        return 0, ""
    return answer.status_code, answer.text


@contextmanager
def as_users(redis: OwnRedis) -> Iterator[Callable[[str], str]]:
    """Give a test's Redis the users of a stack; hand out their addresses, and look that none asked for too much."""
    passwords = dict.fromkeys((*USERS, ADMIN), "of-one-test")
    with Redis.from_url(redis.url, decode_responses=True) as owner:
        major, minor, *_ = owner.info("server")["redis_version"].split(".")
        for line in users_conf(passwords, prefix="jitprov:", version=(int(major), int(minor))).splitlines():
            _, name, *rules = line.split()
            if name in USERS:
                owner.execute_command("ACL SETUSER", name, *rules)
        yield lambda user: redis.url.replace("//", f"//{user}:of-one-test@")
        assert owner.acl_log() == []


def knock(parts: RealParts, path: str, authorizations: Sequence[str]) -> tuple[int, str]:
    """Return how Flower answers a request with these Authorization headers, in this order."""
    with closing(HTTPConnection("127.0.0.1", int(parts.settings["JITPROV_FLOWER_PORT"]), timeout=20)) as connection:
        connection.putrequest("GET", path)
        for each in authorizations:
            connection.putheader("Authorization", each)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def basic(who: str, key: str, scheme: str = "Basic", encoding: str = "utf-8") -> str:
    return f"{scheme} {base64.b64encode(f'{who}:{key}'.encode(encoding)).decode()}"


RIGHT = basic(*OPERATOR)
NOT_QUITE = [
    *([], [""], ["Basic"], ["Basic "], ["Basic ===="], ["Basic Kim:" + "o" * 40], [RIGHT, RIGHT], [RIGHT, "Basic x"]),
    *([f"{RIGHT} {RIGHT}"], [f"{RIGHT}, {RIGHT}"], [RIGHT.replace("Basic", "Bearer")], ["Bearer " + "o" * 40]),
    *([basic("o" * 40, "Kim")], [basic("", "")], [basic("Kim", "")], [basic("Kim", ":" + "o" * 40)]),
    *([basic("Kim", key)] for key in ("o" * 39, "o" * 41, "O" * 40, "o" * 40 + "\x00", " " + "o" * 40, "ö" * 40, "*")),
    *([basic("Kim", "o" * 40, encoding=encoding)] for encoding in ("utf-16", "utf-32")),
    *([basic("Kim", "ö" * 40, encoding="latin-1")], [basic("Kim", "x" * 20_000)], [basic("Kim", "o" * 40, "Digest")]),
]


def tasks(parts: RealParts) -> dict[str, Any]:
    status, body = ask(parts, "/api/tasks")
    return dict(json.loads(body)) if status == 200 else {}


def test_flower_shows_steps_and_reasons_and_nothing_personal(parts: RealParts) -> None:
    """Each step of each agent is there with its state, the failed one with reason and remedy, no name or secret."""
    parts.start("flower")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)
    parts.worker()
    good, _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    bad, _ = parts.sandbox.control.sign_in_silently(1, departments=["Nobody_Knows"])
    sent = {user["id"]: an_opening(user_id=user["id"]) for user in [*good, *bad]}
    ledger = parts.ledger()
    ledger.accept(list(sent.values()), look_after_s=0)
    parts.start("reconciler")
    wait_until(lambda: ended(ledger, good[0]["id"], State.READY), within_s=60)
    wait_until(lambda: ended(ledger, bad[0]["id"], State.FAILED), within_s=60)
    failed = ledger.find(bad[0]["id"])
    ready = ledger.find(good[0]["id"])
    ledger.close()
    assert failed is not None
    assert ready is not None

    wait_until(lambda: tasks(parts).get(failed.task_id(), {}).get("state") == "FAILURE", within_s=15)
    wait_until(lambda: tasks(parts).get(ready.task_id(), {}).get("state") == "SUCCESS", within_s=15)
    shown = tasks(parts)
    for step in ready.steps:
        assert (shown[ready.task_id(step)]["name"], shown[ready.task_id(step)]["state"]) == (task_name(step), "SUCCESS")
    reason = shown[failed.task_id()]["exception"]
    assert "no_rule_matched" in reason
    assert "rules.yaml" in reason or "rule" in reason

    _, page = ask(parts, f"/task/{failed.task_id()}")
    assert "no_rule_matched: no rule covers" in page
    assert "ProvisioningFailed" not in page
    assert f"jitprov show {failed.task_id()}" in page  # the board is not there: another way to ask is told
    everything = json.dumps(shown) + page + parts.logs()
    for private in (good[0]["name"], good[0]["email"], bad[0]["name"], bad[0]["email"], "sandbox-secret", "w" * 40):
        assert private not in everything


def saves(parts: RealParts) -> dict[str, int]:
    """Return when each file of Flower's history was written last."""
    return {file.name: file.stat().st_mtime_ns for file in (parts.folder / "data").glob("flower.db*")}


def rests(parts: RealParts) -> bool:
    """Tell, after half a second, whether nothing of Flower's history was written in it."""
    before = saves(parts)
    time.sleep(0.5)
    return saves(parts) == before


def test_flower_is_closed_and_keeps_its_history(parts: RealParts) -> None:
    """Without a key nothing is shown, with one nothing of Flower's own can be done; a kill -9 forgets nothing old."""
    flower = parts.start("flower")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)
    for path in ("/", "/tasks", "/workers", "/broker", "/api/tasks", "/metrics", "/logout", "/task/x", "/nothing"):
        assert ask(parts, path, key=None)[0] == 401, path
    assert [ask(parts, "/", key=("Kim", "wrong"))[0] for _ in range(6)] == [401] * 5 + [429]
    for given in NOT_QUITE:
        status, told = knock(parts, "/api/workers", given)
        assert status in {401, 429}, given
        assert "Traceback" not in told, given
    assert ask(parts, "/healthcheck", key=None) == (200, "OK")
    for key in (OPERATOR, VIEWER):
        assert [ask(parts, path, key=key)[0] for path in ("/", "/tasks", "/api/tasks", "/metrics")] == [200] * 4
        for act in (
            *(
                "task/send-task/jitprov.create_phone",
                "task/apply/jitprov.create_phone",
                "task/revoke/x",
                "task/abort/x",
            ),
            *("task/timeout/jitprov.create_phone", "worker/shutdown/x", "worker/pool/grow/x"),
        ):
            assert ask(parts, f"/api/{act}", key=key, method="POST")[0] == 403, act
    assert ask(parts, "/api/tasks", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors")[0] == 403
    assert ask(parts, "/api/tasks", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 403
    assert ask(parts, "/tasks", Origin="https://evil.test")[0] == 403
    assert ask(parts, "/tasks", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200  # a link in a chat

    parts.worker()
    [user], _ = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    ledger = parts.ledger()
    ledger.accept([an_opening(user_id=user["id"])], look_after_s=0)
    parts.start("reconciler")
    wait_until(lambda: ended(ledger, user["id"], State.READY), within_s=60)
    record = ledger.find(user["id"])
    ledger.close()
    assert record is not None
    wait_until(lambda: record.task_id() in tasks(parts), within_s=15)
    wait_until(lambda: any((parts.folder / "data").glob("flower.db*")), within_s=15)
    saved = saves(parts)
    wait_until(lambda: saves(parts) != saved, within_s=15)
    wait_until(lambda: rests(parts), within_s=15)  # not amid the save itself, which takes several files
    parts.end(flower)
    parts.start("flower")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)

    assert tasks(parts)[record.task_id()]["state"] == "SUCCESS"


def test_flower_shows_the_valve(parts: RealParts) -> None:
    """The worker's page shows the rate of each step that calls the API, and the new one once it was turned by hand."""
    parts.start("flower")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)
    parts.worker("--hostname", "valved@here")
    page = "/worker/valved@here"

    wait_until(lambda: "jitprov.create_phone [rate_limit=6000/m]" in ask(parts, page)[1], within_s=20)
    assert "jitprov.fetch_profile [" not in ask(parts, page)[1]

    turned = parts.celery("control", "rate_limit", "jitprov.create_phone", "120/m")
    assert "new rate limit set successfully" in turned.stdout, turned.stderr
    wait_until(lambda: "jitprov.create_phone [rate_limit=120/m]" in ask(parts, page)[1], within_s=20)


def test_the_operator_turns_a_valve_on_the_workers_page(parts: RealParts) -> None:
    """What the page sends changes the worker's rate and is noted; no other key, site, task, worker or value does.

    Flower and worker are the users of Redis that they are in a stack, and ask for nothing that those may not.
    """
    with as_users(parts.redis) as address:
        parts.start("flower", JITPROV_REDIS_URL=address("flower"))
        parts.start("receiver", until="receiver_listening", JITPROV_REDIS_URL=address("receiver"))
        parts.worker("--hostname", "valved@here", JITPROV_REDIS_URL=address("worker"))
        _turns_a_valve(parts)


def _turns_a_valve(parts: RealParts) -> None:
    page, valve = "/worker/valved@here", "/api/task/rate-limit/jitprov.create_phone"
    wait_until(lambda: "jitprov.create_phone [rate_limit=6000/m]" in ask(parts, page)[1], within_s=30)

    def turn(path: str = valve, *, rate: str = "120/m", worker: str = "valved@here", **more: Any) -> tuple[int, str]:
        form = {"workername": worker, "ratelimit": rate}
        answer = requests.post(url(parts, path), data=form, timeout=20, **{"auth": OPERATOR, **more})
        return answer.status_code, answer.text

    assert "jitprov-valve" in ask(parts, page)[1]
    assert "jitprov-valve" not in ask(parts, page, key=VIEWER)[1]
    assert "worker-shutdown" not in ask(parts, page)[1]
    assert turn(auth=VIEWER)[0] == 403
    assert turn(auth=None)[0] == 401
    for foreign in (
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
    ):
        assert turn(headers=foreign)[0] == 403, foreign
    for task in ("celery.ping", "jitprov.fetch_profile", "jitprov.nothing"):
        assert turn(f"/api/task/rate-limit/{task}")[0] == 404, task
    assert turn(worker="another@here")[0] == 404
    for rate in ("", "fast", "120/x", "NaN", "-1/m"):
        status, told = turn(rate=rate)
        assert (status, "such as 120/m" in told) == (400, True), rate
    assert "jitprov.create_phone [rate_limit=6000/m]" in ask(parts, page)[1]

    own = {"Sec-Fetch-Site": "same-origin", "Origin": url(parts, "")}
    status, told = turn(headers=own)
    assert (status, told) == (200, '{"message": "new rate limit set successfully"}')
    wait_until(lambda: "jitprov.create_phone [rate_limit=120/m]" in ask(parts, page)[1], within_s=20)
    acts = requests.get(url(parts, "/api/acts", "RECEIVER"), headers={"X-Operator-Key": "o" * 40}, timeout=10).json()
    assert [(act["who"], act["what"], act["whom"], act["outcome"]) for act in acts["acts"]] == [
        ("Kim", "turn", "the valve of jitprov.create_phone", "120/m on valved@here, until it starts again.")
    ]


def test_flower_refuses_to_start_without_a_key(parts: RealParts) -> None:
    """Without a key of the board, `jitprov flower` and Celery's own command end at once with 5 and name the setting."""
    for done in (
        parts.run("flower", JITPROV_OPERATOR_KEY=""),
        parts.celery("flower", JITPROV_VIEWER_KEY="short"),
    ):
        assert done.returncode == 5, done.stderr
        assert re.search("JITPROV_(OPERATOR|VIEWER)_KEY", done.stderr)
        assert "Traceback" not in done.stderr


def test_retry_chain_on_the_page_of_a_task(parts: RealParts) -> None:
    """With the operator's key a failed agent's chain is retried from its task's page, and noted; others cannot."""
    rules = parts.folder / "rules.yaml"
    rules.write_text(RULES.format(department="Nobody"))
    parts.settings["JITPROV_RULES_FILE"] = str(rules)
    parts.start("flower")
    parts.worker()
    parts.start("receiver", until="receiver_listening")
    [user], events = parts.sandbox.control.sign_in_silently(1, departments=["Seasonal_Retail"])
    sent = requests.post(url(parts, "/events", "RECEIVER"), json=events, headers={"X-API-Key": "w" * 40}, timeout=30)
    assert sent.status_code == 202, sent.text
    ledger = parts.ledger()
    wait_until(lambda: ended(ledger, user["id"], State.FAILED), within_s=60)
    failed = ledger.find(user["id"])
    assert failed is not None
    page = f"/task/{failed.task_id()}"
    wait_until(lambda: "FAILURE" in ask(parts, page)[1], within_s=30)
    assert f"/agents/{failed.provisioning_id}" in ask(parts, page)[1]
    assert "Retry chain" in ask(parts, page)[1]
    assert "Retry chain" not in ask(parts, page, key=VIEWER)[1]
    assert "may look, not act" in ask(parts, page, key=VIEWER)[1]

    retry = f"{page}/retry-chain"
    with requests.Session() as browser:
        browser.auth = OPERATOR
        preview = browser.get(url(parts, retry), timeout=10).text
        assert "API calls from the shared budget" in preview
        [token] = re.findall(r'name="_xsrf" value="([^"]+)"', preview)
        form = {"_xsrf": token, "why": "a rule was missing"}
        assert browser.post(url(parts, retry), data={"why": "no token"}, timeout=10).status_code == 403
        foreign = {"Origin": "https://evil.test"}
        assert browser.post(url(parts, retry), data=form, headers=foreign, timeout=10).status_code == 403
        assert browser.post(url(parts, retry), data=form, auth=VIEWER, timeout=10).status_code == 403
        assert browser.post(url(parts, retry), data=form, auth=("x", "x"), timeout=10).status_code == 401
        assert ledger.find(user["id"]) == failed

        rules.write_text(RULES.format(department="Seasonal_Retail"))
        time.sleep(2.5)  # workers look at the file at most every two seconds
        done = browser.post(url(parts, retry), data=form, timeout=10)
        assert (done.status_code, "It goes on where it stopped." in done.text) == (200, True), done.text[-500:]
        wait_until(lambda: ended(ledger, user["id"], State.READY), within_s=60)
        again = browser.post(url(parts, retry), data=form, timeout=10)
        assert "There was nothing to retry." in again.text
    ledger.close()

    acts = requests.get(url(parts, "/api/acts", "RECEIVER"), headers={"X-Operator-Key": "o" * 40}, timeout=10).json()
    assert {(act["who"], act["what"], act["whom"], act["why"]) for act in acts["acts"]} == {
        ("Kim", "retry", failed.provisioning_id, "a rule was missing")
    }
    assert [len(one["phones"]) for one in parts.sandbox.control.state(user["id"])["users"]] == [1]


def test_the_boards_session_leads_into_flower(parts: RealParts) -> None:
    """Who signed in on the board of the same host is let into Flower as the same visitor, without another question."""
    parts.start("flower")
    parts.start("receiver", until="receiver_listening")
    wait_until(lambda: ask(parts, "/api/workers")[0] == 200, within_s=30)
    with requests.Session() as browser:
        assert browser.get(url(parts, "/tasks"), timeout=10).status_code == 401
        entered = browser.post(url(parts, "/login", "RECEIVER"), data={"key": "v" * 40, "who": "Robin"}, timeout=10)
        assert entered.status_code == 200
        assert browser.get(url(parts, "/tasks"), timeout=10).status_code == 200
        assert browser.post(url(parts, "/api/task/revoke/x"), timeout=10).status_code == 403


def test_flower_knows_the_broker(parts: RealParts) -> None:
    """The broker's page and the queues' lengths are there: Flower tells the broker's kind by its URL."""
    parts.start("flower")
    wait_until(lambda: ask(parts, "/broker")[0] != 0, within_s=30)

    assert ask(parts, "/broker")[0] == 200
    status, body = ask(parts, "/api/queues/length")
    assert status == 200, body
