"""The access token: one for all workers, made once per lifetime, never in the clear in Redis (decision 0010)."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import AbstractContextManager, suppress
from typing import NoReturn

import requests
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jitprov.budget import Budget
from jitprov.cache import Cache
from jitprov.domain.clock import Clock
from jitprov.errors import DependencyDown, RateLimited, Refused, Unavailable
from jitprov.genesys.organization import organization_key
from jitprov.genesys.reading import PlainSession, Unreadable, answered_at_s, read_body, retry_after_s
from jitprov.genesys.slot import pause_all, take_slot
from jitprov.settings import Settings

_EARLY_S = 60.0
_HOLD_S = 40.0


class TokenSource:
    """Hands out the token that all workers share.

    Args:
        settings: Client, login host, timeouts.
        cache: Where the sealed token lies.
        clock: Tells when it ends.
        budget: Charged for the token call as well.
    """

    def __init__(self, settings: Settings, cache: Cache, clock: Clock, budget: Budget) -> None:
        self._settings = settings
        self._cache = cache
        self._clock = clock
        self._budget = budget
        secret = settings.client_secret.get_secret_value().encode()
        key = HKDF(SHA256(), 32, salt=None, info=b"jitprov access token").derive(secret)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._name = f"token:{organization_key(settings)}"
        self._lock = threading.Lock()
        self._held: tuple[str, float] | None = None

    def token(self) -> str:
        """Return a token that is good for a while.

        Raises:
            Refused: The login host does not accept the client.
            RateLimited: It wants fewer token requests.
            Unavailable: It does not answer as it should.
            BudgetDenied: No slot in time.
        """
        held = self._held
        if held and held[1] > self._clock.wall_s():
            return held[0]
        return self._replace(stale=held[0] if held else None)

    def refresh(self, stale: str) -> str:
        """Return another token than `stale`, which was refused; asks for one only if no other worker did."""
        return self._replace(stale=stale)

    def _replace(self, stale: str | None) -> str:
        with self._lock:
            shared = self._shared()
            if shared and shared[0] != stale:
                self._held = shared
                return shared[0]
            with self._single_flight() as waited:
                shared = self._shared() if waited else None
                if shared is None or shared[0] == stale:
                    shared = self._fetch()
            self._held = shared
            return shared[0]

    def _single_flight(self) -> AbstractContextManager[bool]:
        scale = self._settings.time_scale

        def wait(real_s: float) -> None:
            self._clock.wait(real_s * scale)

        return self._cache.single_flight(self._name, hold_s=_HOLD_S, wait=wait, wait_max_s=_HOLD_S)

    def _shared(self) -> tuple[str, float] | None:
        sealed = self._cache.get(self._name)
        if sealed is None:
            return None
        try:
            token, until = json.loads(self._fernet.decrypt(sealed))
        except (InvalidToken, ValueError):
            return None  # sealed with another secret, before a rotation
        return (token, until) if until > self._clock.wall_s() else None

    def _fetch(self) -> tuple[str, float]:
        take_slot(self._budget, self._clock, self._settings)
        chosen = self._settings
        try:
            began_s = self._clock.monotonic_s()
            with PlainSession() as session:
                # The environment's proxies are for the real region: a sandbox is on this machine.
                session.trust_env = not chosen.api_url
                with session.post(
                    f"{chosen.login_base_url}/oauth/token",
                    data={"grant_type": "client_credentials"},
                    auth=(chosen.client_id, chosen.client_secret.get_secret_value()),
                    timeout=(chosen.connect_timeout_s, chosen.read_timeout_s),
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    return self._read(answer, read_body(answer, self._clock, began_s=began_s))
        except (requests.RequestException, Unreadable) as error:
            raise Unavailable(f"the login host does not answer well ({type(error).__name__})") from None

    def _pause(self, answer: requests.Response) -> NoReturn:
        # For everyone: without a token nobody gets anywhere, and each would ask the login host again.
        headers = answer.headers
        wait_s = retry_after_s(headers.get("Retry-After"), now_s=answered_at_s(headers, self._clock))
        pause_all(self._budget, wait_s / self._settings.time_scale, "the login host wants fewer token requests")
        raise RateLimited(
            "the login host wants fewer token requests",
            wait_s=wait_s,
            http_status=answer.status_code,
            correlation_id=headers.get("ININ-Correlation-Id"),
        )

    def _read(self, answer: requests.Response, raw: bytes) -> tuple[str, float]:
        status, trace = answer.status_code, answer.headers.get("ININ-Correlation-Id")
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError):
            content = None
        content = content if isinstance(content, dict) else {}
        said = str(content.get("error_description", content.get("description", ""))).lower()
        if status == 429 or (status == 400 and "rate limit" in said):  # noqa: PLR2004  HTTP
            self._pause(answer)
        if status in {400, 401, 403}:
            raise Refused(
                f"the login host refused the OAuth client ({content.get('error', 'no reason given')})",
                http_status=status,
                correlation_id=trace,
                remedy="Check JITPROV_CLIENT_ID, JITPROV_CLIENT_SECRET and JITPROV_REGION, then: jitprov retry ID",
            )
        token, lifetime_s = content.get("access_token"), content.get("expires_in")
        if status != 200 or not isinstance(token, str) or not token or not isinstance(lifetime_s, int | float):  # noqa: PLR2004
            raise Unavailable("the login host's answer holds no token", http_status=status, correlation_id=trace)
        real_s = float(lifetime_s) / self._settings.time_scale
        good_for_s = max(real_s - _EARLY_S / self._settings.time_scale, real_s / 2)
        until = self._clock.wall_s() + good_for_s
        with suppress(DependencyDown):  # the token is good all the same; the next worker asks for its own
            self._cache.put(self._name, self._fernet.encrypt(json.dumps([token, until]).encode()), ttl_s=good_for_s)
        return token, until
