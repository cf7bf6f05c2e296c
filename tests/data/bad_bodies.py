"""Bodies that must be refused, as data: name, bytes, the status expected, the field that the answer names."""

from __future__ import annotations

import json
from dataclasses import dataclass

USER = "92d2d43f-b8ba-4273-81a2-5f30ff1596b6"
AUDIT = "9596c6ec-80db-4315-829c-e257a286f06a"
REDUCED = {"detail": {"action": "Create", "entity": {"id": USER}}}
_TEXT = json.dumps(REDUCED)


@dataclass(frozen=True, slots=True)
class BadBody:
    name: str
    body: bytes
    field: str
    status: int = 400


def _reduced(user_id: object) -> bytes:
    return json.dumps({"detail": {"action": "Create", "entity": {"id": user_id}}}).encode()


def _audit(**changes: object) -> bytes:
    event_body: dict[str, object] = {"id": AUDIT, "action": "Create", "entityType": "User", "entity": {"id": USER}}
    event_body |= changes
    kept = {name: value for name, value in event_body.items() if value is not ...}
    return json.dumps(
        {"detail": {"topicName": f"v2.audits.entitytype.User.entityid.{USER}", "eventBody": kept}}
    ).encode()


def _beside(text: str) -> bytes:
    """Return the reduced event with one more member."""
    return f'{_TEXT[:-1]}, "more": {text}}}'.encode()


def deep(levels: int) -> bytes:
    """Return a valid event that is so many objects and arrays deep."""
    return _beside("[" * (levels - 1) + "]" * (levels - 1))


_ENCODING = [
    BadBody("byte order mark", b"\xef\xbb\xbf" + _TEXT.encode(), "body"),
    BadBody("UTF-16", _TEXT.encode("utf-16"), "body"),
    BadBody("UTF-16 without mark", _TEXT.encode("utf-16-le"), "body"),
    BadBody("UTF-32", _TEXT.encode("utf-32"), "body"),
    BadBody("Latin-1", _beside('"ü"').decode().encode("latin-1"), "body"),
    BadBody("overlong slash", _beside('"').replace(b'"}', b'\xc0\xaf"}'), "body"),
    BadBody("half a surrogate pair", _beside('"\\ud800"'), "body"),
    BadBody("half a surrogate pair as key", _beside('{"\\uDC00": 1}'), "body"),
    BadBody("surrogates as bytes", _beside('"').replace(b'"}', b'\xed\xa0\x80"}'), "body"),
    BadBody("raw NUL", _beside('"\x00"'), "body"),
    BadBody("raw line feed in a text", _beside('"\n"'), "body"),
]

_JSON = [
    BadBody("nothing", b"", "body"),
    BadBody("spaces", b" \r\n\t ", "body"),
    BadBody("one byte", b"{", "body"),
    BadBody("only NUL", b"\x00" * 20, "body"),
    BadBody("bytes after the end", _TEXT.encode() + b"x", "body"),
    BadBody("two documents", _TEXT.encode() * 2, "body"),
    BadBody("trailing comma", _TEXT[:-1].encode() + b",}", "body"),
    BadBody("single quotes", _TEXT.replace('"', "'").encode(), "body"),
    BadBody("comment", _TEXT.encode() + b"// no", "body"),
    BadBody("NaN", _beside("NaN"), "body"),
    BadBody("Infinity", _beside("Infinity"), "body"),
    BadBody("minus Infinity", _beside("-Infinity"), "body"),
    BadBody("1e999", _beside("1e999"), "body"),
    BadBody("minus 1e999", _beside("-1e999"), "body"),
    BadBody("5,000 digits", _beside("9" * 5000), "body"),
    BadBody("33 deep", deep(33), "body"),
    BadBody("499 deep", deep(499), "body"),
    BadBody("995 deep", deep(995), "body"),
    BadBody("100,000 deep", deep(100_000), "body"),
    BadBody("100,000 open", b"[" * 100_000, "body"),
    BadBody("100,000 objects open", b'{"a":' * 100_000, "body"),
    BadBody("key twice", _beside("{" + '"a": 1, "a": 1' + "}"), "body"),
    BadBody("id twice", _TEXT.replace('"id"', f'"id": "{AUDIT}", "id"').encode(), "body"),
    BadBody("detail twice", _TEXT[:-1].encode() + b', "detail": {}}', "body"),
    BadBody("form", b"action=Create&id=1", "body"),
    BadBody("XML", b"<event/>", "body"),
]

_ROOT = [
    BadBody("text", b'"Create"', "body"),
    BadBody("null", b"null", "body"),
    BadBody("true", b"true", "body"),
    BadBody("number", b"-0", "body"),
    BadBody("empty array", b"[]", "body"),
    BadBody("1,001 events", json.dumps([REDUCED] * 1001).encode(), "body"),
    BadBody("array of null", b"[null]", "[0]"),
    BadBody("array in array", json.dumps([[REDUCED]]).encode(), "[0]"),
    BadBody("array of wrong events", json.dumps([{"detail": 1}, {}]).encode(), "[0].detail"),
    BadBody("object without detail", b"{}", "detail"),
    BadBody("disguised type", b'{"__type__": "datetime", "__value__": "2026"}', "detail"),
    BadBody("prototype", b'{"__proto__": {"detail": {}}}', "detail"),
    BadBody("eventBody at the root", json.dumps({"eventBody": {"id": AUDIT}}).encode(), "detail"),
]

_NOT_OBJECTS: list[object] = [None, 1, True, "", "x", [], [REDUCED["detail"]]]
_NOT_TEXTS: list[object] = [None, 1, True, "", [], {}]
_SHAPE = [
    *[BadBody(f"detail is {value!r}", json.dumps({"detail": value}).encode(), "detail") for value in _NOT_OBJECTS],
    BadBody("empty detail", b'{"detail": {}}', "detail.action"),
    *[
        BadBody(
            f"action is {value!r}",
            json.dumps({"detail": {"action": value, "entity": {"id": USER}}}).encode(),
            "detail.action",
        )
        for value in _NOT_TEXTS
    ],
    BadBody("no entity", b'{"detail": {"action": "Create"}}', "detail.entity"),
    BadBody("entity is a text", json.dumps({"detail": {"action": "Create", "entity": USER}}).encode(), "detail.entity"),
    BadBody("no id", b'{"detail": {"action": "Create", "entity": {}}}', "detail.entity.id"),
    BadBody(
        "entityType is a number",
        json.dumps({"detail": {"action": "Create", "entityType": 1, "entity": {"id": USER}}}).encode(),
        "detail.entityType",
    ),
    BadBody("eventBody is null", b'{"detail": {"eventBody": null}}', "detail.eventBody"),
    BadBody("eventBody is an array", b'{"detail": {"eventBody": []}}', "detail.eventBody"),
    BadBody("topicName is a number", b'{"detail": {"topicName": 1, "eventBody": {}}}', "detail.topicName"),
    BadBody("audit without entityType", _audit(entityType=...), "detail.eventBody.entityType"),
    BadBody("audit without action", _audit(action=...), "detail.eventBody.action"),
    BadBody("audit without entity", _audit(entity=...), "detail.eventBody.entity"),
    BadBody("audit with an empty entity", _audit(entity={}), "detail.eventBody.entity.id"),
    BadBody("audit id is a number", _audit(id=7), "detail.eventBody.id"),
    BadBody("audit id is no UUID", _audit(id="7"), "detail.eventBody.id"),
    BadBody("audit id is an object", _audit(id={"a": 1}), "detail.eventBody.id"),
    BadBody(
        "users topic without action",
        json.dumps({"detail": {"topicName": f"v2.users.{USER}", "eventBody": {"id": USER}}}).encode(),
        "detail.eventBody.action",
    ),
    BadBody(
        "users topic without id",
        json.dumps({"detail": {"topicName": f"v2.users.{USER}", "eventBody": {"action": "Create"}}}).encode(),
        "detail.eventBody.id",
    ),
]

_IDS: list[object] = [
    *("", " ", "../", "..%2f", "%00", "%252e", "a/b", "a?x=1", "a#b", "a;b", "a&b", "a\r\nX: y", "*", "?", "[a-z]"),
    *(
        "{id}",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "' OR 1=1",
        "<script>",
        "a:b",
        "\x1b[31m",
        "\u202e",
        "\U0001f600",
        "a" * 10_000,
    ),
    *(
        f"{{{USER}}}",
        f"urn:uuid:{USER}",
        USER.replace("-", ""),
        f"{USER} ",
        f" {USER}",
        f"{USER}\n",
        f"{USER}0",
        USER[:-1],
    ),
    *(
        f"../{USER}",
        f"{USER}/../x",
        USER.replace("9", "\uff19"),
        USER.replace("a", "\u0430"),
        USER.replace("-", "\u2010"),
    ),
    # As long as a UUID, and none.
    *(
        "*" * 36,
        f"../{USER[3:]}",
        f"{USER[:-3]}/..",
        f"{USER[:-1]}?",
        f"{USER[:-1]}g",
        f"{USER[:-1]}\n",
        USER.replace("-", "_"),
    ),
    *(None, 1, 1.5, True, [], [USER], {}, {"id": USER}),
]

BAD_BODIES = [
    *_ENCODING,
    *_JSON,
    *_ROOT,
    *_SHAPE,
    *[BadBody(f"user id {str(value)[:40]!r}", _reduced(value), "detail.entity.id") for value in _IDS],
    *[
        BadBody(f"audited id {str(value)[:40]!r}", _audit(entity={"id": value}), "detail.eventBody.entity.id")
        for value in _IDS
    ],
]
