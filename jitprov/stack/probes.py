"""How the supervisor asks a part over HTTP whether it does its work. Follows nothing, sends no secret."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Collection

_TIMEOUT_S = 2.0


def answers_http(host: str, port: int, path: str, statuses: Collection[int]) -> Callable[[], bool]:
    """Return a probe that tells whether GET `path` is answered with one of `statuses`."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse().status in statuses
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe
