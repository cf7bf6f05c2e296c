"""Requests as bytes on the wire, with what must be answered: what no HTTP library would send.

`{key}` stands for the header line of the right key, `{secret}` for the key where none counts. `taken` tells how many events reach the ledger: a request that two
servers would read differently must be read one way only, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

USER = "0b6f9a52-3c1e-4f5e-9a37-6d2f0c8b1e44"
EVENT = b'{"detail":{"action":"Create","entity":{"id":"%s"}}}' % USER.encode()
_LENGTH = len(EVENT)
_CHUNKED = b"Transfer-Encoding: chunked"


class Stage(StrEnum):
    """How far a request comes; what comes later no longer matters to its answer."""

    WIRE = "wire"  # refused before anybody looks for a key
    HEADERS = "headers"  # refused before its body is read, once its key is right
    LEDGER = "ledger"  # its body is read, and the ledger is needed to answer


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One connection's bytes.

    Attributes:
        name: What is odd about it.
        raw: The bytes; `{key}` and `{secret}` are replaced.
        statuses: Of the answers, in order; none when the connection just ends.
        stage: How far it comes.
        taken: Events that reach the ledger with the right key.
    """

    name: str
    raw: bytes
    statuses: tuple[int, ...]
    stage: Stage
    taken: int = 0


def _post(
    *lines: bytes, body: bytes = EVENT, start: bytes = b"POST /events HTTP/1.1", host: bytes | None = b"Host: x"
) -> bytes:
    """Return a delivery with these lines more; its length is declared unless a line does so."""
    given = [start, *([] if host is None else [host]), b"{key}", b"Content-Type: application/json", *lines]
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines):
        given.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*given, b"", body])


def _chunked(*, size: bytes = b"%x" % _LENGTH, end: bytes = b"0\r\n\r\n") -> bytes:
    return size + b"\r\n" + EVENT + b"\r\n" + end


def _refused(name: str, raw: bytes, status: int = 400) -> RawRequest:
    return RawRequest(name, raw, (status,), Stage.WIRE)


def _taken(name: str, raw: bytes, *, statuses: tuple[int, ...] = (202,), taken: int = 1) -> RawRequest:
    return RawRequest(name, raw, statuses, Stage.LEDGER, taken)


def _target(target: bytes) -> bytes:
    return _post(start=b"POST " + target + b" HTTP/1.1")


_LENGTHS = [
    _refused("length and chunks", _post(b"Content-Length: %d" % _LENGTH, _CHUNKED, body=_chunked())),
    _refused("chunks and length", _post(_CHUNKED, b"Content-Length: 4", body=_chunked())),
    _refused("chunked twice", _post(_CHUNKED, _CHUNKED, body=_chunked())),
    *[
        _refused(f"coding {coding!r}", _post(b"Transfer-Encoding: " + coding, body=_chunked()))
        for coding in (
            *(b"chunked, identity", b"identity, chunked", b"gzip, chunked", b"xchunked", b"\x0bchunked"),
            *(b'"chunked"', b"chunked;q=1", b"identity", b""),
        )
    ],
    _refused("space before the colon", _post(b"Transfer-Encoding : chunked", body=_chunked())),
    *[
        _refused(f"length {length!r}", _post(b"Content-Length: " + length))
        for length in (
            *(b"+%d" % _LENGTH, b"-1", b"0x%x" % _LENGTH, b"1_0", b"1e2", b"", b"%d, %d" % (_LENGTH, _LENGTH)),
            *(b"18446744073709551616", b"9" * 26, b"x"),
        )
    ],
    _refused("length twice", _post(b"Content-Length: %d" % _LENGTH, b"Content-Length: %d" % _LENGTH)),
    _refused("two lengths", _post(b"Content-Length: %d" % _LENGTH, b"Content-Length: 5")),
    _taken("length with zeros before", _post(b"Content-Length: 000%d" % _LENGTH)),
    _taken("length too short", _post(b"Content-Length: %d" % (_LENGTH - 5)), statuses=(400,), taken=0),
    _taken("length 0", _post(b"Content-Length: 0"), statuses=(400,), taken=0),
    _taken("no length", _post(b"Content-Length: 0", body=b"").replace(b"Content-Length: 0\r\n", b""), statuses=(400,), taken=0),
    RawRequest("length too long, then the end", _post(b"Content-Length: %d" % (_LENGTH + 5)), (), Stage.LEDGER),
]

_CHUNKS = [
    _taken("chunked", _post(_CHUNKED, body=_chunked())),
    _taken("tab before chunked", _post(b"Transfer-Encoding:\tchunked", body=_chunked())),
    _taken("extension", _post(_CHUNKED, body=_chunked(size=b"%x;a=b" % _LENGTH))),
    _taken("key in the trailer", _post(_CHUNKED, body=_chunked(end=b"0\r\nX-API-Key: {secret}\r\n\r\n"))),
    _taken("a hundred trailers", _post(_CHUNKED, body=_chunked(end=b"0\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(100)) + b"\r\n"))),
    _taken("host and type in the trailer", _post(_CHUNKED, body=_chunked(end=b"0\r\nHost: a/b\r\nContent-Type: text/plain\r\n\r\n"))),
    _taken("an event in chunks of one byte", _post(_CHUNKED, body=b"".join(b"1\r\n%c\r\n" % each for each in EVENT) + b"0\r\n\r\n")),
    _taken("chunks with zeros before their length", _post(_CHUNKED, body=_chunked(size=b"000000%x" % _LENGTH))),
    _refused("coding in the trailer", _post(_CHUNKED, body=_chunked(end=b"0\r\nTransfer-Encoding: chunked\r\n\r\n"))),
    _refused("a trailer without a colon", _post(_CHUNKED, body=_chunked(end=b"0\r\nabc\r\n\r\n"))),
    RawRequest("chunks that stop in the middle", _post(_CHUNKED, body=b"%x\r\n%s" % (_LENGTH, EVENT)), (), Stage.LEDGER),
    RawRequest("chunks without the last", _post(_CHUNKED, body=b"%x\r\n%s\r\n" % (_LENGTH, EVENT)), (), Stage.LEDGER),
    _refused("length in the trailer", _post(_CHUNKED, body=_chunked(end=b"0\r\nContent-Length: 5\r\n\r\n"))),
    *[
        _refused(f"chunk of {size[:20]!r}", _post(_CHUNKED, body=_chunked(size=size)))
        for size in (b"-1", b"f" * 17, b"0x%x" % _LENGTH, b"%x " % _LENGTH, b"", b"g")
    ],
    _refused("chunk longer than told", _post(_CHUNKED, body=b"%x\r\n%sxx0\r\n\r\n" % (_LENGTH, EVENT))),
    _refused("chunks with bare line feeds", _post(_CHUNKED, body=b"%x\n%s\n0\n\n" % (_LENGTH, EVENT))),
    RawRequest("endless extension", _post(_CHUNKED, body=b"5;" + b"a" * 3_000_000), (400,), Stage.HEADERS),
    RawRequest(
        "endless trailer",
        _post(_CHUNKED, body=_chunked(end=b"0\r\nX: " + b"a" * 3_000_000)),
        (400,),
        Stage.HEADERS,
    ),
]

_HEADERS = [
    _refused("bare line feeds", _post().replace(b"\r\n", b"\n")),
    _refused("bare carriage returns", _post().replace(b"\r\n", b"\r")),
    *[
        _refused(f"header {line!r}", _post(line))
        for line in (b"X: y\r\n z", b"X: a\x00b", b"X: a\rb", b": x", b"abc", b"X Y: z", b"X(Y): z", b"X\xff: z")
    ],
    _taken("an empty line among the headers", _post(b""), statuses=(400,), taken=0),
    _taken("bytes that are no text in a header", _post(b"X: \xff\xfe")),
    _taken("key with underscores beside it", _post(b"X_API_Key: {secret}", b"Cookie: X-API-Key={secret}")),
    _taken("method to be changed", _post(b"X-HTTP-Method-Override: DELETE", b"X-Method-Override: DELETE")),
    _taken("range", _post(b"Range: bytes=0-1048575")),
    _taken("odd range", _post(b"Range: bytes=-1,5-3,x")),
    _taken("trailers wanted", _post(b"TE: trailers", b"Connection: TE")),
    _taken("expects to continue", _post(b"Expect: 100-continue"), statuses=(100, 202)),
    _taken("expects something else", _post(b"Expect: 200-maybe")),
    _taken("expects to continue, in capitals", _post(b"Expect: 100-CONTINUE"), statuses=(100, 202)),
    _taken("expects to continue, in chunks", _post(b"Expect: 100-continue", _CHUNKED, body=_chunked()), statuses=(100, 202)),
    _taken("expects to continue, with nothing to come", _post(b"Expect: 100-continue", b"Content-Length: 0", body=b""), statuses=(100, 400), taken=0),
    _taken("expects to continue, in HTTP/1.0", _post(b"Expect: 100-continue", start=b"POST /events HTTP/1.0")),
    RawRequest("expects to continue with too much", _post(b"Expect: 100-continue", b"Content-Length: 1048577"), (413,), Stage.HEADERS),
    RawRequest("expects to continue with what is no JSON", _post(b"Expect: 100-continue", b"Content-Encoding: gzip"), (415,), Stage.HEADERS),
    _refused("10,000 headers", _post(*[b"X-%d: a" % number for number in range(10_000)]), 431),
    _refused("101 headers", _post(*[b"X-%d: a" % number for number in range(98)]), 431),
    _refused("1 MB in one header", _post(b"X: " + b"a" * 1_000_000), 431),
    _refused("key of 1 MB", _post(b"X-API-Key: " + b"k" * 1_000_000), 431),
]

_HOSTS = [
    _refused("no host", _post(host=None)),
    _refused("two hosts", _post(b"Host: y")),
    _refused("host twice", _post(b"Host: x")),
    *[_refused(f"host {host!r}", _post(host=b"Host: " + host)) for host in (b"a/b", b"a@b", b"a b", b"a\\b", b"<a>", b"\xff")],
    _taken("empty host", _post(host=b"Host:")),
    _taken("host with a port", _post(host=b"Host: [::1]:8080")),
]

_VERSIONS = [
    RawRequest("HTTP/0.9", b"GET /healthz\r\n", (), Stage.WIRE),
    _refused("HTTP/0.9 with POST", b"POST /events\r\n\r\n"),
    _taken("HTTP/1.0", _post(start=b"POST /events HTTP/1.0")),
    _taken("HTTP/1.0 without host", _post(start=b"POST /events HTTP/1.0", host=None)),
    _refused("HTTP/1.0 with chunks", _post(_CHUNKED, start=b"POST /events HTTP/1.0", body=_chunked())),
    *[
        _refused(version.decode(), _post(start=b"POST /events " + version))
        for version in (b"HTTP/1.2", b"HTTP/2.0", b"HTTP/9.9", b"http/1.1", b"HTTP/1", b"ICE/1.0", b"HTTP/01.1")
    ],
    _refused("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    _refused("upgrade to websocket", _post(b"Connection: Upgrade", b"Upgrade: websocket")),
    _refused("upgrade to HTTP/2", _post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA")),
    _taken("upgrade that the connection does not name", _post(b"Upgrade: h2c")),
    _refused("CONNECT", b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"),
    RawRequest("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,), Stage.WIRE),
    RawRequest("nothing", b"", (), Stage.WIRE),
    RawRequest("only empty lines", b"\r\n" * 1000, (), Stage.WIRE),
    _refused("Redis' protocol", b"*1\r\n$4\r\nPING\r\n"),
    _refused("noise", bytes(range(256)) * 4),
]

_TARGETS = [
    *[_taken(f"target {target!r}", _target(target)) for target in (b"http://x/events", b"http://evil.example/events", b"https://x/events", b"/events?X-API-Key={secret}", b"/%65vents")],
    *[
        _refused(f"target {target[:30]!r}", _target(target), 404)
        for target in (
            *(b"/%2fevents", b"/x/../events", b"/events%00", b"/events%0d%0aX:%20y", b"/%zz", b"//events", b"/Events"),
            *(b"/events/", b"/events;a=b", b"/events%20", b"/../../etc/passwd", b"/..%2f..%2fetc%2fpasswd", b"/%ff%fe"),
            *(b"/${jndi:ldap://x}", b"/" + b"a" * 5000),
        )
    ],
    *[_refused(f"target {target!r}", _target(target)) for target in (b"events", b"\\events", b"/ev ents", b"/events\xff", b"/events#x", b"/a\tb", b"/a\x00b")],
    _refused("target of 40,000 characters", _target(b"/" + b"a" * 40_000), 431),
    _refused("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    *[_refused(f"method {method!r}", _post(start=method + b" /events HTTP/1.1")) for method in (b"post", b"GRAB", b"P" * 1000, b" POST", b"PO\x00ST")],
    *[_refused(f"method {method!r}", _post(start=method + b" /events HTTP/1.1"), 405) for method in (b"PUT", b"PATCH", b"DELETE", b"TRACE", b"OPTIONS", b"PROPFIND")],
]

_SEVERAL = [
    _taken("pipelined", _post() + _post() + _post(b"Connection: close"), statuses=(202, 202, 202), taken=3),
    _taken("empty lines before", b"\r\n\r\n" + _post()),
    _taken("sixty at once", _post() * 59 + _post(b"Connection: close"), statuses=(202,) * 60, taken=60),
    _taken("chunks, then another", _post(_CHUNKED, body=_chunked()) + _post(), statuses=(202, 202), taken=2),
    _taken("one that expects to continue amid others", _post() + _post(b"Expect: 100-continue") + _post(), statuses=(202, 100, 202, 202), taken=3),
    _taken("a bad one amid good ones", _post() + _post(body=b"{") + _post(), statuses=(202, 400, 202), taken=2),
    _taken("after one that asked to close", _post(b"Connection: close") + _post()),
    _taken("half of another after a good one", _post() + _post()[:60]),
    # The answer of the good one must not be the refusal of the other.
    _taken("rubbish after a good one", _post() + b"GARBAGE\r\n\r\n"),
    _taken("headers without end after a good one", _post() + b"POST /events HTTP/1.1\r\nX: " + b"a" * 200_000),
    _taken("a request beyond the length of another", _post(b"Content-Length: %d" % _LENGTH, body=EVENT + _post()), statuses=(202, 202), taken=2),
]

_TYPES = [
    *[
        RawRequest(f"type {line!r}", _post(line).replace(b"Content-Type: application/json\r\n", b"", 1), (415,), Stage.HEADERS)
        for line in (
            *(b"X: no type", b"Content-Type: text/plain", b"Content-Type: application/json; charset=utf-7", b"Content-Type:"),
            *(b"Content-Type: application/json; charset=utf-16", b"Content-Type: application/jsonx", b"Content-Type: text/json"),
            *(b"Content-Type: multipart/form-data; boundary=x", b"Content-Type: application/json, text/plain"),
        )
    ],
    RawRequest("two types", _post(b"Content-Type: application/json"), (415,), Stage.HEADERS),
    *[RawRequest(f"encoding {coding!r}", _post(b"Content-Encoding: " + coding), (415,), Stage.HEADERS) for coding in (b"gzip", b"br", b"identity, gzip", b"deflate")],
    RawRequest("length beyond the limit", _post(b"Content-Length: 1048577"), (413,), Stage.HEADERS),
    RawRequest("length of 10 GB", _post(b"Content-Length: 10000000000"), (413,), Stage.HEADERS),
]

RAW_REQUESTS = [*_LENGTHS, *_CHUNKS, *_HEADERS, *_HOSTS, *_VERSIONS, *_TARGETS, *_SEVERAL, *_TYPES]
