"""How a fault looks on the wire: cut, silent, cut short, or an answer that is not what it should be.

Touches one connection at a time and no state.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from email.utils import formatdate
from typing import Any

from aiohttp import web

from jitprov.sandbox.answers import ApiError, Json, Reply

RETRY_AFTER_HUGE_S = 86_400
_LINGER_NONE = struct.pack("ii", 1, 0)
_HTML = b"<html><head><title>Service</title></head><body><h1>Please stand by</h1></body></html>"
_CUTS = frozenset({"reset", "close"})


def cut(request: web.BaseRequest, kind: str) -> web.StreamResponse:
    """End the connection without an answer: `reset` sends RST, `close` a plain end."""
    transport = request.transport
    if transport is not None:
        if kind == "reset":
            connection: Any = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        transport.abort()
    return web.Response()


async def hang(request: web.BaseRequest) -> web.StreamResponse:
    """Answer nothing until the client has gone."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110  tells nobody
        await asyncio.sleep(0.05)
    return web.Response()


async def send_half(
    request: web.BaseRequest, reply: Reply, headers: dict[str, str], kind: str, delay_ms: float
) -> None:
    """Send head and half of the body, then cut, hang, or wait and send the rest."""
    body = json.dumps(reply.body).encode()
    response = await _begin(request, reply.status, headers, len(body))
    half = len(body) // 2
    await response.write(body[:half])
    if kind == "hang":
        await hang(request)
    elif kind in _CUTS:
        await asyncio.sleep(0.01)  # lets the first half leave before the end overtakes it
        cut(request, kind)
    else:
        await asyncio.sleep(delay_ms / 1000)
        await response.write(body[half:])
        await response.write_eof()


async def send_truncated(request: web.BaseRequest, reply: Reply, headers: dict[str, str], sent_bytes: int) -> None:
    """Announce the whole body, send `sent_bytes` of it, and end the connection."""
    body = json.dumps(reply.body).encode()
    response = await _begin(request, reply.status, headers, len(body))
    await response.write(body[: min(sent_bytes, max(len(body) - 1, 0))])
    await asyncio.sleep(0.01)
    if request.transport is not None:
        request.transport.close()


def spoil(kind: str, settings: Json, reply: Reply) -> tuple[int, bytes, str] | None:
    """Return status, body and content type of a reply that a fault has spoilt; None for faults that do not."""
    if kind == "bad_json":
        return reply.status, json.dumps(reply.body).encode()[:-1] + b",,", "application/json"
    if kind == "html200":
        return 200, _HTML, "text/html"
    if kind == "huge":
        padding = "x" * int(settings.get("bytes", 10_000_000))
        whole = reply.body if isinstance(reply.body, dict) else {}
        return 200, json.dumps(whole | {"padding": padding}).encode(), "application/json"
    if kind == "wrong_type":
        return 200, json.dumps(_mistyped(reply.body, settings.get("field"))).encode(), "application/json"
    return None


def made_up(kind: str, settings: Json, correlation_id: str) -> Reply | None:
    """Return the error a fault answers with in place of the route; None for faults that do not."""
    if kind == "status":
        status = int(settings.get("code", 503))
        error = ApiError(status, "internal.server.error" if status >= 500 else "bad.request", "Fault rule")  # noqa: PLR2004
        reply = error.reply(correlation_id)
        reply.body = settings.get("body", reply.body)
        reply.headers |= {name: str(value) for name, value in settings.get("headers", {}).items()}
        return reply
    if kind == "retry_after":
        error = ApiError(429, "too.many.requests.retry.after", "Rate limit exceeded by fault rule")
        value = _retry_after(settings)
        error.headers |= {} if value is None else {"Retry-After": value}
        return error.reply(correlation_id)
    return None


def _retry_after(settings: Json) -> str | None:
    value = settings.get("value", 1)
    if value == "none":
        return None
    if value == "huge":
        return str(RETRY_AFTER_HUGE_S)
    if value == "negative":
        return "-1"
    if value == "http-date":
        return formatdate(time.time() + float(settings.get("after_s", 5)), usegmt=True)
    return str(value)


def _mistyped(body: Any, field: str | None) -> Any:
    if field is not None and isinstance(body, dict):
        return body | {field: {"unexpected": True} if not isinstance(body.get(field), dict) else "unexpected"}
    return [body] if isinstance(body, dict) else {"unexpected": body}


async def _begin(request: web.BaseRequest, status: int, headers: dict[str, str], length: int) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    response.content_type = "application/json"
    response.content_length = length
    await response.prepare(request)
    return response
