"""The login host: client credentials in, bearer token out; and who a bearer token is.

Knows one client and one grant. Scopes do not exist for this grant.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from jitprov.sandbox.answers import ApiError, Json, Reply
from jitprov.sandbox.identifiers import Identifiers, token_hash
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.ratelimit import WINDOW_S, Meter, Watch


@dataclass(slots=True)
class Token:
    """A token that was issued, and how it has been used."""

    hash: str
    client_id: str
    expires_at_s: float
    meter: Meter = field(default_factory=Meter)
    watch: Watch = field(default_factory=Watch)
    paused_until_s: float = 0.0


class LoginDesk:
    """Issues tokens and recognises them."""

    def __init__(self, ids: Identifiers) -> None:
        """Begin without tokens."""
        self.tokens: dict[str, Token] = {}
        self._ids = ids
        self._issued_at_s: deque[float] = deque()

    def issue(self, headers: Mapping[str, str], form: bytes, now_s: float, options: SandboxOptions) -> Reply:
        """Answer a token request: 200 with a token, or 400 in OAuth's own error shape."""
        if not self._within_limit(now_s, options):
            return _refusal("invalid_request", "rate limit exceeded for the token endpoint")
        if not headers.get("Content-Type", "").lower().startswith("application/x-www-form-urlencoded"):
            return _refusal("invalid_request", "the body must be a form")
        grants = parse_qs(form.decode("utf-8", "replace")).get("grant_type", [])
        if not grants:
            return _refusal("invalid_request", "grant_type is missing")
        if not _is_client(headers.get("Authorization", ""), options):
            return _refusal("invalid_client", "client not found: invalid client")
        if grants != ["client_credentials"]:
            return _refusal("unsupported_grant_type", "only client_credentials is served")
        secret = hashlib.sha256(self._ids.new("token").encode()).hexdigest()
        token = Token(token_hash(secret), options.client_id, now_s + options.token_lifetime_s)
        self.tokens[secret] = token
        if options.token_calls_count:
            token.watch.see(now_s, options.limit_per_min)
            token.meter.take(now_s, options)
        body: Json = {"access_token": secret, "token_type": "bearer", "expires_in": options.token_lifetime_s}
        return Reply(200, body)

    def recognise(self, authorization: str | None) -> Token | None:
        """Return the token of an Authorization header, expired or not; None when it was never issued."""
        scheme, _, secret = (authorization or "").partition(" ")
        return self.tokens.get(secret) if scheme.lower() == "bearer" else None

    def _within_limit(self, now_s: float, options: SandboxOptions) -> bool:
        if options.token_requests_per_min == 0:
            return True
        times = self._issued_at_s
        while times and times[0] <= now_s - WINDOW_S:
            times.popleft()
        if len(times) >= options.token_requests_per_min:
            return False
        times.append(now_s)
        return True


def unauthenticated(authorization: str | None) -> ApiError:
    """Return the 401 for a missing, unknown or expired token."""
    if not authorization:
        return ApiError(401, "authentication.required", "No bearer token was given")
    return ApiError(401, "bad.credentials", "The bearer token is not valid")


def _is_client(authorization: str, options: SandboxOptions) -> bool:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, f"{options.client_id}:{options.client_secret}".encode())


def _refusal(error: str, description: str) -> Reply:
    return Reply(400, {"error": error, "description": description, "error_description": description})
