"""Who may enter the operator API, as header lines on the wire, with what must be answered.

In lines and bodies stand for what only the test knows: `{operator}` and `{viewer}` the keys, `{webhook}` the receiver's,
`{session}` and `{viewer_session}` cookies of either role, `{csrf}` and `{viewer_csrf}` what their forms bring along,
`{host}` the address.
"""

from __future__ import annotations

from dataclasses import dataclass

IN, NOT, STRANGER = 200, 403, 401  # IN stands for whatever the route itself says to one who may come in


@dataclass(frozen=True, slots=True)
class KeyCase:
    """One way to ask.

    Attributes:
        name: What is special about it.
        lines: Header lines beside Host.
        reads: How every GET is answered.
        acts: How every POST is answered.
        opens: How every GET of the quarantine is answered; as `reads` when None.
        query: Put behind the path.
        body: Sent with a POST, as a form.
    """

    name: str
    lines: tuple[bytes, ...]
    reads: int
    acts: int
    opens: int | None = None
    query: bytes = b""
    body: bytes = b""


OWN = b"X-Operator-Key: {operator}"
SESSION = b"Cookie: jitprov_session={session}"
FORM = b"csrf={csrf}"
_SAME = b"Sec-Fetch-Site: same-origin"


def _stranger(name: str, *lines: bytes, query: bytes = b"") -> KeyCase:
    return KeyCase(name, lines, STRANGER, STRANGER, query=query)


_KEYS = [
    KeyCase("the operator's", (OWN,), IN, IN),
    KeyCase("the operator's, name in capitals", (b"X-OPERATOR-KEY: {operator}",), IN, IN),
    KeyCase("the operator's, spaces before it", (b"X-Operator-Key: \t {operator}",), IN, IN),  # no part of it: RFC 9110, 5.5
    _stranger("a space behind it", b"X-Operator-Key: {operator} "),  # none either, but the parser leaves it there
    KeyCase("the viewer's", (b"X-Operator-Key: {viewer}",), IN, NOT, NOT),
    _stranger("none"),
    _stranger("empty", b"X-Operator-Key:"),
    _stranger("only spaces", b"X-Operator-Key:    "),
    _stranger("wrong", b"X-Operator-Key: " + b"w" * 40),
    _stranger("in capitals", b"X-Operator-Key: {OPERATOR}"),
    _stranger("without its last letter", b"X-Operator-Key: {operator-}"),
    _stranger("with a letter more", b"X-Operator-Key: {operator}o"),
    _stranger("in quotes", b'X-Operator-Key: "{operator}"'),
    _stranger("after a word", b"X-Operator-Key: Bearer {operator}"),
    _stranger("twice in one", b"X-Operator-Key: {operator}, {operator}"),
    _stranger("twice", OWN, OWN),
    _stranger("right, then wrong", OWN, b"X-Operator-Key: x"),
    _stranger("wrong, then right", b"X-Operator-Key: x", OWN),
    _stranger("right, then empty", OWN, b"X-Operator-Key:"),
    _stranger("operator's and viewer's", OWN, b"X-Operator-Key: {viewer}"),
    _stranger("no ASCII", b"X-Operator-Key: " + "ö".encode() * 40),
    _stranger("no text", b"X-Operator-Key: \xff\xfe\xed\xa0\x80"),
    _stranger("20,000 letters", b"X-Operator-Key: " + b"o" * 20_000),
    KeyCase("a million letters", (b"X-Operator-Key: " + b"o" * 1_000_000,), 431, 431),
    KeyCase("with a NUL", (b"X-Operator-Key: {operator}\x00",), 400, 400),
    KeyCase("on two lines", (b"X-Operator-Key: {operator}\r\n x",), 400, 400),
    _stranger("with underscores", b"X_Operator_Key: {operator}"),
    _stranger("under the webhook's name", b"X-API-Key: {operator}"),
    _stranger("the webhook's", b"X-Operator-Key: {webhook}"),
    _stranger("the webhook's under its own name", b"X-API-Key: {webhook}"),
]

_ELSEWHERE = [
    *[_stranger(f"in the query as {name!r}", query=b"?" + name + b"={operator}") for name in (b"X-Operator-Key", b"operator_key", b"key", b"access_token", b"csrf")],
    _stranger("as a cookie", b"Cookie: X-Operator-Key={operator}"),
    _stranger("as the session", b"Cookie: jitprov_session={operator}"),
    _stranger("as the target's user", b"X-Forwarded-User: {operator}", b"Forwarded: by={operator}"),
]

_AUTHORIZATION = [
    KeyCase("bearer", (b"Authorization: Bearer {operator}",), IN, STRANGER),
    KeyCase("bearer, in small letters", (b"authorization: bearer {operator}",), IN, STRANGER),
    KeyCase("bearer, the viewer's", (b"Authorization: Bearer {viewer}",), IN, STRANGER, NOT),
    KeyCase("basic", (b"Authorization: Basic {basic}",), IN, STRANGER),
    _stranger("bearer, two spaces", b"Authorization: Bearer  {operator}"),
    _stranger("bearer of nothing", b"Authorization: Bearer "),
    _stranger("bearer alone", b"Authorization: Bearer"),
    _stranger("without a scheme", b"Authorization: {operator}"),
    _stranger("another scheme", b"Authorization: Digest {operator}"),
    _stranger("basic, as the user", b"Authorization: Basic {basic_user}"),
    _stranger("basic, not encoded", b"Authorization: Basic x:{operator}"),
    _stranger("basic, encoded wrongly", b"Authorization: Basic ===="),
    _stranger("bearer twice", b"Authorization: Bearer {operator}", b"Authorization: Bearer {operator}"),
    _stranger("bearer and basic", b"Authorization: Bearer {operator}", b"Authorization: Basic {basic}"),
    # A proxy in front may use Authorization for its own ends.
    KeyCase("right beside another's Authorization", (OWN, b"Authorization: Basic eDp5"), IN, IN),
    _stranger("wrong beside a right bearer", b"X-Operator-Key: x", b"Authorization: Bearer {operator}"),
    _stranger("empty beside a right bearer", b"X-Operator-Key:", b"Authorization: Bearer {operator}"),
]

_SESSIONS = [
    KeyCase("session", (SESSION,), IN, NOT),
    KeyCase("session and its form", (SESSION, _SAME), IN, IN, body=FORM),
    KeyCase("session and its form, told by a browser that names no site", (SESSION, b"Origin: http://{host}"), IN, IN, body=FORM),
    KeyCase("session, form of another session", (SESSION, _SAME), IN, NOT, body=b"csrf={viewer_csrf}"),
    KeyCase("session, empty form", (SESSION, _SAME), IN, NOT, body=b"csrf="),
    KeyCase("session, form in the query", (SESSION, _SAME), IN, NOT, query=b"?csrf={csrf}"),
    KeyCase("session, form as JSON", (SESSION, _SAME, b"Content-Type: application/json"), IN, NOT, body=b'{"csrf":"{csrf}"}'),
    KeyCase("session, form as a header", (SESSION, _SAME, b"X-CSRF-Token: {csrf}"), IN, NOT),
    KeyCase("session and its form, from another site", (SESSION, b"Sec-Fetch-Site: cross-site"), IN, NOT, body=FORM),
    KeyCase("session and its form, from a neighbour", (SESSION, b"Sec-Fetch-Site: same-site"), IN, NOT, body=FORM),
    KeyCase("session and its form, from another origin", (SESSION, b"Origin: https://evil.test"), IN, NOT, body=FORM),
    KeyCase("viewer's session", (b"Cookie: jitprov_session={viewer_session}",), IN, NOT, NOT),
    KeyCase("viewer's session and its form", (b"Cookie: jitprov_session={viewer_session}", _SAME), IN, NOT, NOT, body=b"csrf={viewer_csrf}"),
    KeyCase("session and the right key", (SESSION, OWN), IN, IN),
    KeyCase("viewer's session and the operator's key", (b"Cookie: jitprov_session={viewer_session}", OWN), IN, IN),
    KeyCase("session and the viewer's key", (SESSION, b"X-Operator-Key: {viewer}"), IN, NOT, NOT),
    _stranger("session and a wrong key", SESSION, b"X-Operator-Key: x"),
    _stranger("session and an empty key", SESSION, b"X-Operator-Key:"),
    _stranger("session and a wrong bearer", SESSION, b"Authorization: Bearer x"),
    _stranger("session with a letter changed", b"Cookie: jitprov_session={session}0"),
    _stranger("session that nobody signed", b"Cookie: jitprov_session=eyJyb2xlIjoib3BlcmF0b3IifQ==."),
]

_SITES = [
    *[KeyCase(f"right key, {line.decode()}", (OWN, line), IN, IN) for line in (_SAME, b"Sec-Fetch-Site: none", b"Origin: http://{host}", b"Referer: https://evil.test/")],
    *[
        KeyCase(f"right key, {line.decode()}", (OWN, line), IN, NOT)
        for line in (
            *(b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Site: same-site", b"Sec-Fetch-Site: SAME-ORIGIN?", b"Sec-Fetch-Site:"),
            *(b"Origin: https://evil.test", b"Origin: null", b"Origin: http://{host}.evil.test", b"Origin: http://evil.test/{host}", b"Origin: x"),
        )
    ],
    KeyCase("right key, two sites", (OWN, _SAME, b"Sec-Fetch-Site: cross-site"), IN, NOT),
    *[KeyCase(f"right key, {kind.decode()}", (OWN, b"Content-Type: " + kind), IN, IN, body=b"x=y") for kind in (b"text/plain", b"multipart/form-data; boundary=x", b"x")],
]

_METHODS = [
    KeyCase(f"the viewer's, {line.decode()}", (b"X-Operator-Key: {viewer}", line), IN, NOT, NOT)
    for line in (b"X-HTTP-Method-Override: GET", b"X-HTTP-Method: GET", b"X-Method-Override: GET")
]

KEY_CASES = [*_KEYS, *_ELSEWHERE, *_AUTHORIZATION, *_SESSIONS, *_SITES, *_METHODS]
