"""A whole stack under faults, at DEBUG, with marked secrets and people: where the marks turn up, and who was refused.

Searched byte for byte: logs, Redis' keys and values, its append-only file, Flower's pages and API, refusals of the
receiver, command lines. A process' own environment (/proc/PID/environ) holds what that part is told and is readable by
its user only, so there it is checked that no part is told another's secret. Department and title of an agent whom no
rule covers are named in the failure on purpose: they are what the operator makes a rule from.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from jitprov.domain.provisioning import State
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import read_settings
from jitprov.stack.part import PartState
from jitprov.stack.run import Running, Stack
from jitprov.wiring import make_ledger
from own_redis import wait_until
from reliability.report import Row, record

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

KEYS = {
    name: f"canary{uuid4().hex}{uuid4().hex[:8]}"
    for name in ("client_secret", "webhook_key", "webhook_key_next", "operator_key", "viewer_key", "data_key")
}
# What strangers bring must not be written down either: a wrong key is often a right one of elsewhere.
BROUGHT = {name: f"canary{uuid4().hex}{uuid4().hex[:8]}" for name in ("wrong_key", "in_a_body", "in_a_header")}
PARTS = ("receiver", "worker", "reconciler", "flower")
AGENTS, UNCOVERED = 12, 2
DEPARTMENT = f"Departmentcanary{uuid4().hex[:8]}"
RULES = f"""
version: 1
rules:
  - name: marked
    when: {{department: {DEPARTMENT}}}
    skills: {{Customer_Service: 3}}
"""


def people() -> list[dict[str, str]]:
    """Return agents whose every word is a mark; the last ones are of a department without a rule, which is none."""
    return [
        {
            "name": f"Canary{number} Namecanary{uuid4().hex[:8]}",
            "email": f"mailcanary{uuid4().hex[:10]}@canaries.test",
            "title": f"Titlecanary{uuid4().hex[:8]}" if number < AGENTS - UNCOVERED else "Title",
            "department": DEPARTMENT if number < AGENTS - UNCOVERED else "Without_A_Rule",
        }
        for number in range(AGENTS)
    ]


@dataclass
class Ran:
    """What is left to look at, all gathered before the end."""

    people: list[dict[str, str]]
    secrets: dict[str, str]
    logs: dict[str, bytes] = field(default_factory=dict)
    redis: bytes = b""
    aof: bytes = b""
    flower: dict[str, bytes] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    command_lines: dict[str, bytes] = field(default_factory=dict)
    environments: dict[str, bytes] = field(default_factory=dict)
    denials: list[Any] = field(default_factory=list)
    states: Mapping[State, int] = field(default_factory=dict)
    kills: int = 0
    faults: int = 0
    commands: list[subprocess.CompletedProcess[str]] = field(default_factory=list)
    flower_closed: dict[str, int] = field(default_factory=dict)
    elsewhere: list[int] = field(default_factory=list)


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        told = "".join(f"{name}: {value}\n" for name, value in answer.getheaders())
        return answer.status, told.encode() + answer.read()
    finally:
        connection.close()


FLOWER = {"Authorization": "Basic " + base64.b64encode(f"operator:{KEYS['operator_key']}".encode()).decode()}


class Run:
    """One run, from the first event to the last look."""

    def __init__(self, running: Running, sandbox: SandboxThread, folder: Path, ran: Ran) -> None:
        self.running, self.sandbox, self.folder, self.ran = running, sandbox, folder, ran
        self.settings = running.settings
        self.ledger = make_ledger(self.settings)

    def post(self, event: object, key: str = KEYS["webhook_key"]) -> int:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        given = {"X-API-Key": key, "Content-Type": "application/json", "X-Canary": BROUGHT["in_a_header"]}
        status, told = ask(self.settings.receiver_port, "/events", method="POST", body=body, headers=given)
        if status != 202:
            self.ran.answers.append(told)
        return status

    def operate(self, path: str, method: str = "GET", key: str = KEYS["operator_key"]) -> int:
        status, told = ask(self.settings.receiver_port, path, method=method, headers={"X-Operator-Key": key})
        if status != 200:
            self.ran.answers.append(told)
        return status

    def kill(self, name: str) -> None:
        before = {status.name: status for status in self.running.supervisor.status()}[name]
        os.kill(before.pid or 0, signal.SIGKILL)
        self.ran.kills += 1

        def back() -> bool:
            now = {status.name: status for status in self.running.supervisor.status()}[name]
            return now.restarts > before.restarts and now.state is PartState.UP

        wait_until(back, within_s=60)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        given = dict(re.findall(r"export (\w+)=(.*)", self.running.shell_file.read_text()))
        environment = {**os.environ, **{name: value.strip("'") for name, value in given.items() if name != "PATH"}}
        done = subprocess.run(
            [sys.executable, "-m", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        self.ran.commands.append(done)
        return done

    # --- what happens -------------------------------------------------------------------------------------------

    def misbehave(self) -> None:
        """Let the API fail in every manner, each a few times."""
        rules: list[dict[str, Any]] = [
            {"action": {"kind": "status", "code": 503}, "match": {"nth": 3}},
            {"action": {"kind": "retry_after", "value": 1}, "match": {"nth": 7}},
            {"action": "reset", "phase": "after_apply", "match": {"method": "POST", "nth": 3}},
            {"action": "bad_json", "match": {"nth": 11}},
            {"action": "html200", "match": {"nth": 13}},
            {"action": {"kind": "truncate", "n": 20}, "phase": "after_apply", "match": {"nth": 17}},
            {"action": "expire_token", "match": {"nth": 19}},
            {
                "action": {"kind": "status", "code": 500, "body": {"message": BROUGHT["in_a_body"]}},
                "match": {"nth": 23},
            },
        ]
        self.sandbox.control.faults([{"id": f"f{number}", "times": 1, **rule} for number, rule in enumerate(rules)])

    def send_wrong_things(self) -> None:
        """Send what must be refused, each with a mark in it."""
        mark = BROUGHT["in_a_body"]
        assert self.post({"detail": {}}, key=BROUGHT["wrong_key"]) == 401
        assert self.post({"detail": {}}, key=KEYS["webhook_key"][:-1]) == 401
        wrong = [b"{" + mark.encode(), b'"' + mark.encode() + b'"', json.dumps({"detail": {"x": mark}}).encode()]
        wrong.append(json.dumps({"detail": {"action": "Create", "entity": {"id": f"../{mark}"}}}).encode())
        assert {self.post(body) // 100 for body in wrong} == {4}
        assert self.operate("/api/provisionings", key=BROUGHT["wrong_key"]) == 401
        assert self.operate("/api/provisionings?state=" + mark) in {400, 422}
        assert self.operate(f"/api/provisionings/{mark}") == 404
        assert self.operate(f"/{mark}") == 404

    def come_from_elsewhere(self, provisioning_id: str) -> None:
        """Try to change something as a foreign page in an operator's browser would."""
        path, own = f"/api/provisionings/{provisioning_id}/retry", {"X-Operator-Key": KEYS["operator_key"]}
        password = {"Authorization": "Basic " + base64.b64encode(f"x:{KEYS['operator_key']}".encode()).decode()}
        for headers in (
            password,  # which a browser adds by itself
            own | {"Sec-Fetch-Site": "cross-site"},
            own | {"Sec-Fetch-Site": "same-site"},
            own | {"Origin": "https://evil.test"},
            own | {"Origin": "null"},
        ):
            status, told = ask(self.settings.receiver_port, path, method="POST", headers=headers)
            self.ran.answers.append(told)
            self.ran.elsewhere.append(status)
        status, told = ask(self.settings.receiver_port, path, method="OPTIONS", headers={"Origin": "https://evil.test"})
        self.ran.elsewhere.append(0 if b"access-control-allow" in told.lower() else status)

    def look_around(self) -> None:
        """Look as operators do: every page of Flower, the board, the commands."""
        [failed, *_] = self.ledger.page((State.FAILED,))
        [ready, *_] = self.ledger.page((State.READY,))
        for path in ("/", "/workers", "/tasks", "/broker", "/metrics", "/api/workers?refresh=1", "/api/tasks",
                     "/api/queues/length", f"/task/{failed.task_id()}", f"/task/{ready.task_id()}",
                     f"/api/task/info/{failed.task_id()}"):  # fmt: skip
            status, told = ask(self.settings.flower_port, path, headers=FLOWER)
            assert status == 200, path
            self.ran.flower[path] = told
        for path in ("/", "/api/provisionings", "/api/budget", f"/agents/{failed.provisioning_id}"):
            assert self.operate(path) == 200, path
        self.come_from_elsewhere(failed.provisioning_id)
        assert self.operate(f"/api/provisionings/{failed.provisioning_id}/retry", "POST") == 200
        assert self.operate(f"/api/provisionings/{failed.provisioning_id}/cancel", "POST") == 200
        assert self.command("jitprov", "show", ready.findings.profile.email).returncode == 0  # type: ignore[union-attr]
        assert self.command("jitprov", "retry", failed.provisioning_id).returncode == 0
        assert self.command("celery", "-A", "jitprov", "inspect", "ping").returncode == 0
        self.command("jitprov", "doctor")

    def gather(self) -> None:
        ran, root = self.ran, json.loads((self.folder / "keys.json").read_text())["redis_password"]
        ran.secrets |= {"redis_password of admin": root}
        for status in self.running.supervisor.status():
            for pid in group_of(status.pid or 0):
                ran.command_lines[f"{status.name} {pid}"] = read(f"/proc/{pid}/cmdline")
            ran.environments[status.name] = read(f"/proc/{status.pid}/environ")
        for part in PARTS:
            [password] = re.findall(rf"redis://{part}:([^@]+)@".encode(), ran.environments[part])
            ran.secrets[f"redis_password of {part}"] = password.decode()
        with Redis(port=self.settings.redis_port, username="admin", password=root) as admin:
            ran.denials = list(admin.acl_log(count=128))
            keys = list(admin.scan_iter(count=1000))
            ran.redis = b"\n".join([*keys, *(whole(admin, key) for key in keys)])
        ran.aof = b"".join(path.read_bytes() for path in sorted(self.folder.rglob("*.aof*")))
        ran.states = self.ledger.count()
        ran.faults = sum(int(cell.get("fired", 0)) for cell in self.sandbox.control.coverage())


def whole(admin: Redis, key: bytes) -> bytes:
    """Return everything that a key holds, as it is."""
    kind = admin.type(key)
    reading: dict[Any, Any] = {
        b"hash": lambda: [part for pair in admin.hgetall(key).items() for part in pair],
        b"zset": lambda: admin.zrange(key, 0, -1),
        b"list": lambda: admin.lrange(key, 0, -1),
        b"set": lambda: admin.smembers(key),
        b"string": lambda: [admin.get(key)],
    }
    return b"\n".join(part for part in reading[kind]() if part)


def read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def group_of(pid: int) -> list[int]:
    """Return a process and those below it."""
    children = read(f"/proc/{pid}/task/{pid}/children").decode().split()
    return [pid, *(below for child in children for below in group_of(int(child)))]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One run of the whole stack on a sandbox that takes the marked client for its own."""
    folder = tmp_path_factory.mktemp("canaries") / "data"
    options = SandboxOptions(
        time_scale=20.0, client_id="canary-client", client_secret=KEYS["client_secret"], station_lag_s=(0.0, 0.0)
    )
    ran = Ran(people(), dict(KEYS) | BROUGHT)
    rules = tmp_path_factory.mktemp("rules") / "rules.yaml"
    rules.write_text(RULES)
    with SandboxThread(options) as sandbox:
        chosen = read_settings(
            client_id="canary-client",
            api_url=sandbox.base_url,
            time_scale=20.0,
            log_level="DEBUG",
            rules_file=rules,
            worker_concurrency=4,
            lease_s=20.0,
            message_grace_s=1.0,
            reconcile_every_s=0.5,
            **KEYS,
        )
        with Stack(chosen, data_dir=folder, own_ports=True) as running:
            run = Run(running, sandbox, folder, ran)
            ran.flower_closed = knock(running.settings.flower_port)
            signed_in = {"agents": ran.people, "announce": False, "return_events": True}
            events = sandbox.control._object("POST", "/sign-in", signed_in)["events"]
            run.misbehave()
            assert {run.post(event) for event in events} == {202}
            run.send_wrong_things()
            wait_until(lambda: run.ledger.count()[State.READY] >= 2, within_s=60)
            run.kill("redis")
            run.kill("worker")
            run.kill("reconciler")
            wait_until(lambda: sum(run.ledger.count()[state] for state in State if state.ended) == AGENTS, within_s=90)
            run.look_around()
            run.gather()
            run.ledger.close()
        ran.logs = {path.name: path.read_bytes() for path in (folder / "logs").glob("*.log*")}
    return ran


def knock(port: int) -> dict[str, int]:
    """Return how Flower answers to each of its routes without a key, and to one who sends from another site."""
    from flower.urls import handlers  # noqa: PLC0415  a list of its own

    answers = {}
    for handler in handlers:
        pattern = str((getattr(handler, "matcher", None) and handler.matcher.regex.pattern) or handler[0])  # type: ignore[index]
        path = re.sub(r"\(\.[*+]\)|\.\*", "x", pattern.rstrip("$").replace("/?", "")) or "/"
        path = path if path.startswith("/") else f"/{path}"
        for method in ("GET", "POST"):
            answers[f"{method} {path}"] = ask(port, path, method=method, body=b"")[0]
    elsewhere = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    for path in ("/api/task/send-task/jitprov.create_phone", "/api/worker/shutdown/x", "/api/task/revoke/x"):
        for how, more in (("here", {}), ("elsewhere", elsewhere)):
            status, _ = ask(port, path, method="POST", body=b"", headers=FLOWER | more)
            answers[f"with the key, from {how}: POST {path}"] = status
    return answers


def hits(ran: Ran, hay: Mapping[str, bytes], *, people: bool = True) -> list[str]:
    """Return which mark stands where, be it plain, in hexadecimal or in base64."""
    marks = dict(ran.secrets)
    if people:
        for number, person in enumerate(ran.people):
            marks |= {f"{what} of agent {number}": word for what, word in person.items() if "canary" in word.lower()}
    found = []
    for name, value in marks.items():
        plain = value.encode()
        forms = {plain, plain.hex().encode(), *(base64.b64encode(b"x" * at + plain)[4:-4] for at in range(3))}
        found += [f"{name} in {place}" for place, text in hay.items() if any(form in text for form in forms)]
    SEARCHED.append(len(marks) * len(hay))
    return found


SEARCHED: list[int] = []


def test_the_run_was_rough_and_ended_well(ran: Ran) -> None:
    """What is searched below comes from a run with kills and faults, after which every agent had ended."""
    assert sum(ran.states.values()) == AGENTS
    assert ran.states[State.READY] >= AGENTS - UNCOVERED - 1
    assert ran.kills == 3
    assert ran.faults >= 6
    assert all(len(text) > 100 for name, text in ran.logs.items() if name.split(".")[0] in PARTS), ran.logs.keys()


def test_the_search_finds(ran: Ran) -> None:
    """What is there is found, in each form: a search that cannot fail would prove nothing."""
    secret, person = ran.secrets["client_secret"].encode(), ran.people[0]["email"].encode()

    hay = {"plain": b"x" + secret, "hex": secret.hex().encode(), "base64": base64.b64encode(b"ab" + person + b"c")}
    assert [hit.split(" in ")[1] for hit in hits(ran, hay)] == ["plain", "hex", "base64"]
    assert b"jitprov:p:" in ran.redis
    assert b"jitprov:p:" in ran.aof
    assert any(b"jitprov.create_phone" in page for page in ran.flower.values())


def test_nothing_stands_in_a_log(ran: Ran) -> None:
    """No secret and nobody's name, address, title or department stands in any log, at DEBUG, whatever went wrong."""
    assert hits(ran, ran.logs) == []


def test_nothing_lies_in_redis(ran: Ran) -> None:
    """No key, no value and no byte of the append-only file holds a secret or says who somebody is."""
    assert hits(ran, {"keys and values": ran.redis, "append-only file": ran.aof}) == []


def test_flower_shows_nothing(ran: Ran) -> None:
    """No page of Flower and no answer of its API shows a secret or a person."""
    assert hits(ran, ran.flower) == []


def test_no_answer_repeats_what_was_brought(ran: Ran) -> None:
    """No refusal of the receiver or the operator's API holds a secret, a person, or the wrong thing that was sent."""
    assert len(ran.answers) >= 10
    assert hits(ran, {f"answer {number}": text for number, text in enumerate(ran.answers)}) == []


def test_no_command_line_holds_a_secret(ran: Ran) -> None:
    """Whoever lists the processes learns no secret."""
    assert len(ran.command_lines) >= len(PARTS) + 1
    assert hits(ran, ran.command_lines) == []


def test_each_part_is_told_its_own_secrets_only(ran: Ran) -> None:
    """A part's environment, which its own user can read, holds the secrets that it needs and no other's."""
    told = {
        part: {hit.split(" in ")[0] for hit in hits(ran, {part: ran.environments[part]}, people=False)}
        for part in (*PARTS, "redis")
    }

    webhook = {"webhook_key", "webhook_key_next", "operator_key", "viewer_key", "data_key"}
    assert told == {
        "redis": set(),
        "receiver": {"redis_password of receiver", *webhook},
        "worker": {"redis_password of worker", "client_secret", "data_key"},
        "reconciler": {"redis_password of reconciler"},
        "flower": {"redis_password of flower", "operator_key", "viewer_key"},
    }


def test_commands_tell_no_secret(ran: Ran) -> None:
    """The operator's commands work as Redis' operator, show the agent's name to who holds the key, and no secret."""
    told = {f"command {number}": (one.stdout + one.stderr).encode() for number, one in enumerate(ran.commands)}

    assert hits(ran, told, people=False) == []
    assert any(person["name"] in ran.commands[0].stdout for person in ran.people)


def test_redis_refused_nothing(ran: Ran) -> None:
    """In the whole run, kills and faults and operator included, no part asked Redis for anything that it may not."""
    assert [f"{one['username']}: {one['reason']} {one['object']}" for one in ran.denials] == []


def test_flower_is_closed_on_every_route(ran: Ran) -> None:
    """Without a key each route of Flower answers 401 but health; with it, nothing can be changed."""
    open_ = {path for path, status in ran.flower_closed.items() if status == 200}
    assert open_ == {"GET /healthcheck"}
    bare = {path: status for path, status in ran.flower_closed.items() if path.startswith(("GET", "POST"))}
    assert len(bare) >= 50
    assert {status for path, status in bare.items() if path not in open_} <= {401, 403, 404, 405}
    pages = ("GET /", "GET /tasks", "GET /task/x", "GET /workers", "GET /broker", "GET /api/tasks", "GET /api/workers")
    assert {bare[path] for path in pages} == {401}
    with_password = {status for path, status in ran.flower_closed.items() if path.startswith("with")}
    assert with_password == {403}


def test_a_foreign_page_changes_nothing(ran: Ran) -> None:
    """With what a browser adds by itself, or from another site, no change of the operator's API goes through."""
    assert ran.elsewhere == [401, 403, 403, 403, 403, 405]


def test_what_was_found_is_told(ran: Ran) -> None:
    """The figures of this run stand in build/reliability.json, for docs/reliability.md."""
    every = {**ran.logs, "redis": ran.redis, "aof": ran.aof, **ran.flower, **ran.command_lines}
    every |= {f"answer {number}": text for number, text in enumerate(ran.answers)}
    found = hits(ran, every)
    command = "make test PYTEST_ARGS=tests/integration/test_canaries.py"
    record(
        "canaries",
        command=command,
        rows=[
            Row("marked secrets and personal words", len(ran.secrets) + sum(len(person) for person in ran.people)),
            Row("places searched (logs at DEBUG, Redis, AOF, pages, answers, command lines)", len(every)),
            Row("bytes searched", sum(map(len, every.values()))),
            Row("parts killed", ran.kills),
            Row("API faults", ran.faults),
            Row("hits", len(found), bar="0"),
        ],
        untested=["Core dumps and swap are not searched for secrets.", "A process' memory holds what it works with."],
    )
    record(
        "acl_denials",
        command=command,
        rows=[Row("commands refused to jitprov's own users in that run", len(ran.denials), bar="0")],
        untested=["Redis' users are tested on Redis 6.2; on 7 and later where such a server is on the path."],
    )
    assert found == []
