"""Bodies that look wrong and are not, as data: name, bytes, and the status expected. One user is in all that are taken."""

from __future__ import annotations

import json
from dataclasses import dataclass

from data.bad_bodies import AUDIT, deep
from data.raw_requests import USER


@dataclass(frozen=True, slots=True)
class OddBody:
    name: str
    body: bytes
    status: int = 202


def _event(**more: object) -> dict[str, object]:
    """Return the reduced event with more members at its root; `...` takes one away."""
    members: dict[str, object] = {"detail": {"action": "Create", "entity": {"id": USER}}} | more
    return {name: value for name, value in members.items() if value is not ...}


def _audit(detail: dict[str, object] | None = None, **root: object) -> bytes:
    body = {"id": AUDIT, "action": "Create", "entityType": "User", "entity": {"id": USER}} | (detail or {})
    envelope = {
        "version": "0",
        "id": AUDIT,
        "detail-type": "v2.audits.entitytype.{id}.entityid.{id}",
        "source": "aws.partner/genesys.com/cloud/x/y",
        "account": "123456789012",
        "region": "eu-central-1",
        "time": "2026-11-24T09:00:00Z",
        "resources": [],
    }
    members = envelope | root
    kept: dict[str, object] = {name: value for name, value in members.items() if value is not ...}
    topic = f"v2.audits.entitytype.User.entityid.{USER}"
    return json.dumps(kept | {"detail": {"topicName": topic, "eventBody": body}}).encode()


def _beside(text: str) -> bytes:
    return (json.dumps(_event())[:-1] + f', "more": {text}}}').encode()


_NOT_TEXTS: list[object] = [..., None, 0, True, [], {}, "", "x" * 100_000]

ODD_BODIES = [
    *[
        OddBody(f"{size} bytes", json.dumps(_event()).encode().ljust(size))
        for size in (20_000, 262_144, 1_048_575, 1_048_576)
    ],
    OddBody("one byte more than the limit", json.dumps(_event()).encode().ljust(1_048_577), 413),
    OddBody("10 MB", b" " * 10_000_000, 413),
    OddBody("31 deep", deep(31).replace(b"92d2d43f-b8ba-4273-81a2-5f30ff1596b6", USER.encode())),
    OddBody("32 deep", deep(32).replace(b"92d2d43f-b8ba-4273-81a2-5f30ff1596b6", USER.encode())),
    *[
        OddBody(name, _beside(text))
        for name, text in {
            "minus nothing": "-0",
            "minus nothing point nothing": "-0.0",
            "4,000 digits": "9" * 4_000,
            "1e-999": "1e-999",
            "emoji": '"\U0001f600"',
            "emoji as a pair": '"\\ud83d\\ude00"',
            "right to left": '"\u202e\u2066"',
            "escaped NUL": '"\\u0000"',
            "ANSI escapes": '"\\u001b[31m\\r\\nX: y"',
            "10,000 combining marks": f'"a{chr(0x301) * 10_000}"',
            "not normalized": '"A\u030a \u212b"',
            "not a character": '"\ufffe\uffff"',
            "100,000 keys": json.dumps({str(number): 0 for number in range(60_000)}, separators=(",", ":")),
            "100,000 numbers": "[" + ",".join("1" * 1 for _ in range(100_000)) + "]",
            "a key that differs in case": '{"ID": 1, "Id": 2, "id": 3}',
            "prototype": '{"__proto__": {"admin": true}, "constructor": {"prototype": {}}}',
            "disguised type": '{"__type__": "datetime", "__value__": "2026"}',
            "pickle": '{"py/object": "os.system", "py/reduce": []}',
            "template": '"{{7*7}} ${jndi:ldap://x} %(x)s {0} <script>"',
            "escaped key": '{"\\u0069d": 1}',
        }.items()
    ],
    OddBody("disguised type at the root", json.dumps(_event(__type__="x", __value__={"a": 1})).encode()),
    OddBody(
        "disguised type in detail",
        json.dumps({"detail": {"action": "Create", "entity": {"id": USER}, "__type__": "x", "__value__": 1}}).encode(),
    ),
    OddBody("upper case id", json.dumps(_event()).replace(USER, USER.upper()).encode()),
    OddBody("escaped id", json.dumps(_event()).replace("0b6f", "\\u0030b6f").encode()),
    OddBody("escaped solidus", json.dumps(_event(more="a/b")).replace("/", "\\/").encode()),
    OddBody("an array of one", json.dumps([_event()]).encode()),
    OddBody("a thousand times the same", json.dumps([_event()] * 1000).encode()),
    *[
        OddBody(f"{name} is {str(value)[:10]}", _audit(None, **{name: value}))
        for name in ("id", "detail-type", "source", "version")
        for value in _NOT_TEXTS
    ],
    *[
        OddBody(f"time {time!r}", _audit(time=time))
        for time in ("1970-01-01T00:00:00Z", "2999-12-31T23:59:59Z", "2016-12-31T23:59:60Z", "yesterday", 0, None)
    ],
    OddBody("another account", _audit(account="000000000000")),
    OddBody("another region", _audit(region="us-gov-west-1")),
    OddBody("many resources", _audit(resources=["arn:aws:x"] * 20_000)),
    OddBody("resources of no kind", _audit(resources={"a": 1})),
    OddBody("more members", _audit({"level": "USER", "status": "SUCCESS", "propertyChanges": [{"property": "email"}]})),
    OddBody("client of no kind", _audit({"clientId": 7})),
    OddBody("no audit id", _audit({"id": ""})),
    # Of somebody who is known: a change may matter.
    *[OddBody(f"action {action!r}", _audit({"action": action})) for action in ("create", "CREATE", "Update", "Delete")],
    *[
        OddBody(f"action {action!r}", _audit({"action": action}), 200)
        for action in ("Create ", "\u0421reate", "Create\u0000", "x" * 10_000)
    ],
    *[
        OddBody(f"entity type {kind!r}", _audit({"entityType": kind}), 200)
        for kind in ("Queue", "User ", "user\n", "\u0421ontact")
    ],
]
