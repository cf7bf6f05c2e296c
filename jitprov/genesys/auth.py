"""The access tokens: one per lane for all workers, made once per lifetime, never in the clear in Redis.

One lane unless the settings say more (decision 0010). Nobody gets anywhere without a token, so a refused OAuth client
opens the circuit for everyone: nothing is asked but a probe now and then, and no agent fails for it.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import NoReturn

import requests
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jitprov.budget import Budget, Permit
from jitprov.cache import Cache
from jitprov.domain.clock import Clock
from jitprov.errors import DependencyDown, NotLetIn, NotNow, RateLimited, Unavailable
from jitprov.genesys.organization import organization_key
from jitprov.genesys.reading import PlainSession, Unreadable, answered_at_s, read_body, retry_after_s
from jitprov.genesys.slot import pause_all, take_slot, tell_failure, tell_success
from jitprov.settings import Settings

_EARLY_S = 60.0
_HOLD_S = 40.0
_WORD = re.compile(r"[a-z_.-]{1,40}")


class TokenSource:
    """Hands out the tokens that all workers share.

    Args:
        settings: Client, login host, timeouts, number of lanes.
        cache: Where the sealed tokens lie.
        clock: Tells when they end.
        budget: Charged for the token calls as well.
    """

    def __init__(self, settings: Settings, cache: Cache, clock: Clock, budget: Budget) -> None:
        self._settings = settings
        self._cache = cache
        self._clock = clock
        self._budget = budget
        secret = settings.client_secret.get_secret_value().encode()
        key = HKDF(SHA256(), 32, salt=None, info=b"jitprov access token").derive(secret)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._organization = organization_key(settings)
        self._locks = [threading.Lock() for _ in range(settings.api_tokens)]
        self._held: list[tuple[str, float] | None] = [None] * settings.api_tokens

    def lanes(self) -> tuple[int, ...]:
        """Return the lanes that have a token, having asked for those that are missing.

        Raises:
            NotLetIn: The login host does not accept the client.
            RateLimited: It wants fewer token requests.
            Unavailable: It does not answer as it should.
            BudgetDenied: No slot in time.
        """
        ready, missing = [], None
        for lane in range(len(self._held)):
            try:
                self.token(lane)
            except (NotNow, Unavailable) as error:
                missing = error
            else:
                ready.append(lane)
        if missing is not None and not ready:
            raise missing
        return tuple(ready)

    def token(self, lane: int = 0) -> str:
        """Return a lane's token that is good for a while; errors as `lanes`."""
        held = self._held[lane]
        if held and held[1] > self._clock.wall_s():
            return held[0]
        return self._replace(lane, stale=held[0] if held else None)

    def at_hand(self, lane: int) -> str:
        """Return the token of a lane that `lanes` returned, at once: for a slot that has come, which cannot wait.

        Its life may have come to the last minute since then, or to its end: then the API answers 401.
        """
        held = self._held[lane]
        if held is None:
            msg = "only a lane that lanes() returned has a token at hand"
            raise RuntimeError(msg)
        return held[0]

    def refresh(self, stale: str, lane: int = 0) -> str:
        """Return another token than `stale`, which was refused; asks for one only if no other worker did."""
        return self._replace(lane, stale=stale)

    def _replace(self, lane: int, stale: str | None) -> str:
        with self._locks[lane]:
            shared = self._shared(lane)
            if shared and shared[0] != stale:
                self._held[lane] = shared
                return shared[0]
            with self._single_flight(lane) as waited:
                shared = self._shared(lane) if waited else None
                if shared is None or shared[0] == stale:
                    shared = self._fetch(lane)
            self._held[lane] = shared
            return shared[0]

    def _name(self, lane: int) -> str:
        return f"token:{self._organization}:{lane}"

    def _single_flight(self, lane: int) -> AbstractContextManager[bool]:
        scale = self._settings.time_scale

        def wait(real_s: float) -> None:
            self._clock.wait(real_s * scale)

        return self._cache.single_flight(self._name(lane), hold_s=_HOLD_S, wait=wait, wait_max_s=_HOLD_S)

    def _shared(self, lane: int) -> tuple[str, float] | None:
        sealed = self._cache.get(self._name(lane))
        if sealed is None:
            return None
        try:
            token, until = json.loads(self._fernet.decrypt(sealed))
        except (InvalidToken, ValueError):
            return None  # sealed with another secret, before a rotation
        return (token, until) if until > self._clock.wall_s() else None

    def _fetch(self, lane: int) -> tuple[str, float]:
        permit = take_slot(self._budget, self._clock, self._settings, lanes=(lane,))
        try:
            token, lifetime_s = self._ask(permit)
        except Unavailable as error:
            tell_failure(self._budget, permit, error.message)
            raise
        except RateLimited:
            tell_success(self._budget, permit)
            raise
        tell_success(self._budget, permit)
        return self._keep(lane, token, lifetime_s)

    def _ask(self, permit: Permit) -> tuple[str, float]:
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
                    return self._read(answer, read_body(answer.raw, self._clock, began_s=began_s), permit)
        except (requests.RequestException, Unreadable) as error:
            raise Unavailable(f"the login host does not answer well ({type(error).__name__})") from None

    def _pause(self, answer: requests.Response, permit: Permit) -> NoReturn:
        # For everyone: without its token the lane gets nowhere, and each would ask the login host again.
        headers = answer.headers
        wait_s = retry_after_s(headers.get("Retry-After"), now_s=answered_at_s(headers, self._clock))
        why = "the login host wants fewer token requests"
        pause_all(self._budget, permit, wait_s / self._settings.time_scale, why)
        raise RateLimited(
            why, wait_s=wait_s, http_status=answer.status_code, correlation_id=headers.get("ININ-Correlation-Id")
        )

    def _refuse(self, answer: requests.Response, content: Mapping[str, object], permit: Permit) -> NoReturn:
        word = str(content.get("error") or "")
        why = f"the login host refused the OAuth client ({word if _WORD.fullmatch(word) else 'no reason given'})"
        open_s = tell_failure(self._budget, permit, why, final=True)
        raise NotLetIn(
            why,
            wait_s=open_s * self._settings.time_scale,
            http_status=answer.status_code,
            correlation_id=answer.headers.get("ININ-Correlation-Id"),
        )

    def _read(self, answer: requests.Response, raw: bytes, permit: Permit) -> tuple[str, float]:
        status, trace = answer.status_code, answer.headers.get("ININ-Correlation-Id")
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError):
            content = None
        content = content if isinstance(content, dict) else {}
        said = str(content.get("error_description", content.get("description", ""))).lower()
        if status == 429 or (status == 400 and "rate limit" in said):  # noqa: PLR2004  HTTP
            self._pause(answer, permit)
        if status in {400, 401, 403}:
            self._refuse(answer, content, permit)
        token, lifetime_s = content.get("access_token"), content.get("expires_in")
        if status != 200 or not isinstance(token, str) or not token or not isinstance(lifetime_s, int | float):  # noqa: PLR2004
            raise Unavailable("the login host's answer holds no token", http_status=status, correlation_id=trace)
        return token, float(lifetime_s)

    def _keep(self, lane: int, token: str, lifetime_s: float) -> tuple[str, float]:
        real_s = lifetime_s / self._settings.time_scale
        good_for_s = max(real_s - _EARLY_S / self._settings.time_scale, real_s / 2)
        until = self._clock.wall_s() + good_for_s
        with suppress(DependencyDown):  # the token is good all the same; the next worker asks for its own
            self._cache.put(
                self._name(lane), self._fernet.encrypt(json.dumps([token, until]).encode()), ttl_s=good_for_s
            )
        return token, until
