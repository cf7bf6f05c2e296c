"""Who may enter the operator API: every way to ask (tests/data/operator_keys.py), on every route, over real HTTP."""

from __future__ import annotations

import base64
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import requests

from data.operator_keys import IN, KEY_CASES, NOT, STRANGER, KeyCase
from jitprov.desk.session import Role, Sessions
from own_redis import OwnRedis, wait_until
from receiver_process import OPERATOR_KEY, ReceiverProcess
from reliability.report import Row, record
from running_receiver import read_all

pytestmark = pytest.mark.integration

VIEWER_KEY, WEBHOOK_KEY = "viewer-" + "v" * 40, "webhook-" + "w" * 40
CHANGES_WITHIN_S = 1.5
REFUSALS = {STRANGER, NOT, 400, 429, 431}
OTHER_METHODS = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE")
REFUSED = "refused by the matrix"


@dataclass
class Door:
    """The receiver's operator API; each request comes from another address, so that wrong keys are not slowed down."""

    receiver: ReceiverProcess
    known: Mapping[str, str]
    sources: Iterator[int] = field(default_factory=count)

    def ask(self, method: str, path: str, *lines: bytes, body: bytes = b"") -> tuple[int, bytes]:
        """Return status and head of the answer to a request on the wire."""
        source = next(self.sources)
        given = [
            f"{method} {path} HTTP/1.1".encode(),
            b"Host: {host}",
            f"X-Forwarded-For: 10.{source >> 16}.{source >> 8 & 255}.{source & 255}".encode(),
            b"Connection: close",
            b"Content-Length: %d" % len(self.filled(body)),
            *lines,
        ]
        raw = self.filled(b"\r\n".join([*given, b"", b""]) + body)
        with socket.create_connection(("127.0.0.1", self.receiver.port), timeout=20) as connection:
            connection.sendall(raw)
            answer = read_all(connection)
        return int(answer[9:12]), answer

    def filled(self, text: bytes) -> bytes:
        for name, value in self.known.items():
            text = text.replace(b"{%s}" % name.encode(), value.encode())
        return text

    def one(self, case: KeyCase, method: str, path: str) -> str:
        """Return what is wrong with the answer to one way of asking, on one route; empty when nothing is."""
        quarantine = path.startswith("/api/quarantine")
        expected = case.acts if method == "POST" else case.reads
        if method == "GET" and quarantine and case.opens is not None:
            expected = case.opens
        name = b"X-Operator-Name: " + (b"Kim" if expected == IN else REFUSED.encode())
        query = self.filled(case.query).decode()
        status, answer = self.ask(method, path + query, name, *case.lines, body=case.body if method == "POST" else b"")
        if (status not in REFUSALS or b"not understood" in answer) if expected == IN else status == expected:
            return ""
        return f"{method} {path} with {case.name}: {status} instead of {expected}"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    redis = OwnRedis(tmp_path_factory.mktemp("redis"))
    redis.start()
    secrets = {"webhook_key": WEBHOOK_KEY, "viewer_key": VIEWER_KEY, "forwarded_header": "X-Forwarded-For"}
    with ReceiverProcess(tmp_path_factory.mktemp("receiver"), redis.url, **secrets) as receiver:
        sessions: dict[str, str] = {}
        for role, key in (("", OPERATOR_KEY), ("viewer_", VIEWER_KEY)):
            cookie, form = signed_in(receiver.url, key)
            sessions |= {f"{role}session": cookie, f"{role}csrf": form}
        known = {
            "operator": OPERATOR_KEY,
            "OPERATOR": OPERATOR_KEY.upper(),
            "operator-": OPERATOR_KEY[:-1],
            "viewer": VIEWER_KEY,
            "webhook": WEBHOOK_KEY,
            "basic": base64.b64encode(f"x:{OPERATOR_KEY}".encode()).decode(),
            "basic_user": base64.b64encode(f"{OPERATOR_KEY}:x".encode()).decode(),
            "host": f"127.0.0.1:{receiver.port}",
            **sessions,
        }
        yield Door(receiver, known)
    redis.kill()


def signed_in(url: str, key: str) -> tuple[str, str]:
    """Sign in as a browser does; return the session's cookie and what its forms bring along."""
    answer = requests.post(f"{url}/login", data={"key": key, "who": "Kim"}, timeout=20, allow_redirects=False)
    cookie = str(answer.cookies["jitprov_session"]).strip('"')
    visitor = Sessions(lambda: {role: [key] for role in Role}).read(cookie, now_s=time.time())
    assert visitor is not None
    return cookie, visitor.csrf


def routes(door: Door) -> dict[str, set[str]]:
    """Return the methods of every path of the operator API, as its document has them."""
    paths = requests.get(f"{door.receiver.url}/openapi.json", timeout=20).json()["paths"]
    return {
        re.sub(r"\{[^}]*\}", "0b6f9a52-3c1e-4f5e-9a37-6d2f0c8b1e44", path): {method.upper() for method in methods}
        for path, methods in paths.items()
        if path.startswith("/api/")
    }


def test_the_matrix(door: Door) -> None:
    """On every route each way of asking is answered as its line says; nothing that was refused was done."""
    asked = [(method, path) for path, methods in routes(door).items() for method in sorted(methods)]
    wrong = [fault for case in KEY_CASES for method, path in asked if (fault := door.one(case, method, path))]

    assert len(asked) >= 15
    assert not wrong, "\n".join(wrong)
    own = {"X-Operator-Key": OPERATOR_KEY}
    acts = requests.get(f"{door.receiver.url}/api/acts?limit=500", headers=own, timeout=20).json()["acts"]
    assert acts
    assert REFUSED not in {act["who"] for act in acts}
    assert OPERATOR_KEY not in door.receiver.log.read_text()
    assert "Traceback" not in door.receiver.log.read_text()
    record(
        "operator keys",
        command=f"python -m pytest tests/integration/{Path(__file__).name}",
        rows=[
            Row("ways to ask the operator API", len(KEY_CASES)),
            Row("requests: each way on each of its routes", len(KEY_CASES) * len(asked)),
            Row("answers other than expected", len(wrong), bar="0"),
        ],
    )


def test_other_methods(door: Door) -> None:
    """No route answers another method, preflight least of all, and no answer lets another site's page read it."""
    preflight = (b"Origin: https://evil.test", b"Access-Control-Request-Method: POST")
    for path, methods in routes(door).items():
        for method in {*OTHER_METHODS, "GET", "POST"} - methods:
            status, head = door.ask(method, path, b"X-Operator-Key: {operator}", *preflight)
            assert status == 405, (method, path)
            assert b"access-control-" not in head.lower(), (method, path)
        if "GET" in methods:
            _, head = door.ask("GET", path, b"X-Operator-Key: {operator}", b"Origin: https://evil.test")
            assert b"access-control-" not in head.lower(), path
            assert b"\r\ncache-control: no-store\r\n" in head.lower(), path


def test_strangers_are_slowed(door: Door) -> None:
    """After five wrong keys a source is told to wait, on whatever route; the right key and others' still come in."""
    url, source = door.receiver.url, {"X-Forwarded-For": "192.0.2.1"}
    paths = ["/api/budget", "/api/quarantine", "/api/acts"]
    wrong = [requests.get(url + path, headers=source | {"X-Operator-Key": "x" * 40}, timeout=20) for path in paths * 3]

    assert [answer.status_code for answer in wrong] == [401] * 5 + [429] * 4
    assert int(wrong[-1].headers["Retry-After"]) > 0
    assert requests.get(url + paths[0], headers=source, timeout=20).status_code == 401
    for headers in (source | {"X-Operator-Key": OPERATOR_KEY}, {"X-Operator-Key": VIEWER_KEY}):
        assert requests.get(url + paths[0], headers=headers, timeout=20).status_code == 200


def test_rotation(own_redis: OwnRedis, tmp_path: Path) -> None:
    """A key is changed in its file without a restart: the new one counts and the old one ends, with its sessions."""
    new = "operator-" + "n" * 40
    with ReceiverProcess(tmp_path, own_redis.url, webhook_key=WEBHOOK_KEY, viewer_key=VIEWER_KEY) as receiver:
        session, _ = signed_in(receiver.url, OPERATOR_KEY)

        def status(**headers: str) -> int:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return requests.get(f"{receiver.url}/api/budget", headers=sent, timeout=20).status_code

        old_keys = [{"X_Operator_Key": OPERATOR_KEY}, {"Cookie": f"jitprov_session={session}"}]
        assert [status(**old) for old in old_keys] == [200, 200]
        receiver.secret("operator_key").write_text(new)
        receiver.secret("viewer_key").unlink()
        changed_at = time.monotonic()
        wait_until(lambda: status(X_Operator_Key=new) == 200, within_s=CHANGES_WITHIN_S)
        time.sleep(max(0.0, changed_at + CHANGES_WITHIN_S - time.monotonic()))

        # Whoever asked too early, with a key that was right, was slowed down a little.
        assert {status(**old) for old in (*old_keys, {"X_Operator_Key": VIEWER_KEY})} <= {401, 429}
        assert status(X_Operator_Key=new) == 200
        receiver.secret("operator_key").write_text("short")
        time.sleep(CHANGES_WITHIN_S)
        assert {status(X_Operator_Key="short"), status(X_Operator_Key=new)} <= {401, 429}
        assert receiver.alive
