"""The way out for alerts: one POST of Slack-compatible JSON, `{"text": …}`, to one address. Never repeats by itself.

The only HTTP out beside genesys/, and deliberately so: pyproject.toml names this module. It follows no redirect, reads
no answer's body, sends no credentials but what the address holds, and never tells the address: whoever has it may post.
"""

from __future__ import annotations

import logging
from html import escape

import requests

from jitprov import __version__, logs

_CONNECT_S, _READ_S = 2.0, 3.0
_log = logging.getLogger(__name__)


class _Plain(requests.Session):
    """A session that looks at no redirect: requests would read its body without bound, unasked."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: there is nowhere to go."""


class Webhook:
    """Posts to one address. One thread at a time.

    Args:
        url: http or https; a secret.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def tell(self, text: str) -> bool:
        """Post a text; False when it did not get through, which is logged without the address."""
        # Slack reads &, < and > as its own marks.
        body = {"text": escape(text, quote=False)}
        try:
            with (
                _Plain() as session,
                session.post(
                    self._url,
                    json=body,
                    timeout=(_CONNECT_S, _READ_S),
                    allow_redirects=False,
                    stream=True,  # the body is not read
                    auth=_as_it_is,
                    headers={"User-Agent": f"jitprov/{__version__}"},
                ) as answer,
            ):
                status = answer.status_code
        except (requests.RequestException, ValueError) as error:
            logs.event(_log, "alert_not_told", level=logging.WARNING, error_type=type(error).__name__)
            return False
        if not 200 <= status < 300:  # noqa: PLR2004  HTTP
            logs.event(_log, "alert_not_told", level=logging.WARNING, status=status)
            return False
        return True


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep a .netrc from adding a password."""
    return request
