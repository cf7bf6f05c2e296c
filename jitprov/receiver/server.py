"""The socket and the HTTP server of the front door, with every bound set. Knows no routes."""

from __future__ import annotations

import gc
import logging
import socket

import uvicorn
from fastapi import FastAPI

from jitprov.errors import ConfigurationError
from jitprov.receiver.wire import BoundedHttp
from jitprov.settings import Settings

_KEEP_ALIVE_S = 30
_STOP_WITHIN_S = 10
_BACKLOG = 2048
_QUIET_S = 1.0


class _Seldom(logging.Filter):
    """Lets each text through once a second: uvicorn warns at each request that is not HTTP, and strangers send them."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log it; what is worse than a warning always."""
        text = str(record.msg)
        if record.levelno > logging.WARNING:
            return True
        if record.created - self._told_at_s.get(text, 0.0) < _QUIET_S:
            return False
        self._told_at_s[text] = record.created
        return True


_SELDOM = _Seldom()  # one: added twice it is the same


def make_server(app: FastAPI, settings: Settings, http: type[BoundedHttp] = BoundedHttp) -> uvicorn.Server:
    """Return the server that runs the receiver, with every bound set; it listens on the sockets given to its `run`.

    Args:
        app: The receiver.
        settings: Where it listens, for uvicorn's own lines.
        http: The protocol, for other bounds.
    """
    logging.getLogger("uvicorn.error").addFilter(_SELDOM)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.receiver_host,
            port=settings.receiver_port,
            loop="uvloop",
            http=http,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_STOP_WITHIN_S,
        )
    )


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        ConfigurationError: The address is taken, or not this machine's.
    """
    where = (settings.receiver_host, settings.receiver_port)
    family = socket.AF_INET6 if ":" in settings.receiver_host else socket.AF_INET
    try:
        return socket.create_server(where, family=family, backlog=_BACKLOG)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        msg = f"cannot listen on {where[0]} port {where[1]} ({cause}): change JITPROV_RECEIVER_HOST or _PORT"
        raise ConfigurationError(msg) from error


def spare_what_stands() -> None:
    """Take all that is in memory now out of the garbage collector's rounds: it stays until the end anyway.

    A full round goes through every object: with Celery and FastAPI loaded that is a fifth of a million, for which all
    senders waited a tenth of a second. Afterwards it goes through what deliveries leave behind. To be called once,
    when everything is loaded and before anything is served (decision 0027).
    """
    gc.collect()
    gc.freeze()
