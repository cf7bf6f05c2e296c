"""One thread's way to the API: a connection that stays open, and one attempt per call.

`requests` knows the environment's proxies and certificates, and is asked for them once. It would merge them, cookies
and headers into each request anew, in as much time as sending it takes: so what is sent leaves through urllib3, on
which it stands.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import requests
from urllib3 import BaseHTTPResponse, Retry, Timeout
from urllib3.exceptions import HTTPError

from jitprov.genesys.last_moment import Body
from jitprov.genesys.punctual import PunctualAdapter
from jitprov.settings import Settings

#: What `send` raises when there is no answer. ValueError: a header that cannot be sent.
SILENCES = (HTTPError, OSError, ValueError)

# Neither repeated nor redirected: that would be a request that budget and ledger do not see.
_ONCE = Retry(total=False)


class ApiConnection:
    """Sends; not to be shared by threads.

    Args:
        settings: Base URL and timeouts.
    """

    def __init__(self, settings: Settings) -> None:
        base = settings.api_base_url
        with requests.Session() as session:
            # Proxies of the environment are for the real region: a sandbox is on this machine.
            session.trust_env = not settings.api_url
            surroundings = session.merge_environment_settings(base, {}, True, None, None)
        verify, cert = surroundings["verify"], surroundings["cert"]
        self._adapter = PunctualAdapter(settings.connect_timeout_s + settings.read_timeout_s)
        # One that is behind a proxy is reached through a tunnel, since a proxy stands only before the region's https.
        self.pool: Any = self._adapter.get_connection_with_tls_context(
            requests.Request("GET", base).prepare(), verify, proxies=surroundings["proxies"], cert=cert
        )
        self._adapter.cert_verify(self.pool, base, verify, cert)  # type: ignore[no-untyped-call]
        self._before = urlsplit(base).path
        self._connect_timeout_s = settings.connect_timeout_s
        self._timeout = Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s)

    def open_ahead(self) -> bool:
        """Open it if it is not, and tell whether it is.

        Why it cannot be opened is for the request itself to meet, with a slot that pays for it.
        """
        with suppress(HTTPError, OSError):
            self.pool.open_one(self._connect_timeout_s)
            return True
        return False

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Body | None = None,
    ) -> BaseHTTPResponse:
        """Send a request once and return the answer, its body not read yet; it must be closed.

        Args:
            method: HTTP method.
            path: From the host on.
            headers: All but those of the body.
            params: Query; a sequence stands for a name that comes more than once.
            json: Of the body; none when None.
            data: The body, where it waits for its moment.

        Raises:
            HTTPError: No answer, as urllib3 says; `ConnectTimeoutError` and its kinds: nothing was sent.
            OSError: No answer.
            ValueError: A header that cannot be sent; nothing was.
            TooLate: See `punctual.leaving_by`.
            StoodStill: See `last_moment`.
        """
        body: bytes | Body | None = data
        if json is not None:
            body = jsonlib.dumps(json, allow_nan=False).encode()
            headers = {**headers, "Content-Type": "application/json"}
        elif data is not None:
            headers = {**headers, "Content-Length": str(len(data))}
        target = f"{self._before}{path}"
        return cast(
            "BaseHTTPResponse",
            self.pool.urlopen(
                method,
                f"{target}?{urlencode(params, doseq=True)}" if params else target,
                body=body,
                headers=headers,
                retries=_ONCE,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
                preload_content=False,
                decode_content=False,
            ),
        )

    def close(self) -> None:
        """Close it."""
        self.pool.close()
        self._adapter.close()
