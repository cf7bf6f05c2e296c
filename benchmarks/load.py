"""A load of events over many kept connections, with little work of its own: prepared bytes, bare streams."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Load:
    """How a server took the load.

    Attributes:
        per_s: Answers a second.
        p50_ms: Median time to answer.
        p99_ms: Time that 99 of 100 answers took at most.
        statuses: Answers by status; 0 for a broken connection.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    statuses: dict[int, int]

    @property
    def errors(self) -> int:
        """Answers other than 202."""
        return sum(number for status, number in self.statuses.items() if status != 202)


def events(number: int) -> list[bytes]:
    """Return bodies of distinct create events in EventBridge's envelope."""
    bodies = []
    for _ in range(number):
        user_id = str(uuid4())
        body = {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": "v2.audits.entitytype.{id}.entityid.{id}",
            "source": "aws.partner/genesys.com/cloud/89d202df-41e6-4554-850f-c5a6922aa038/bench",
            "detail": {
                "topicName": f"v2.audits.entitytype.User.entityid.{user_id}",
                "version": "2",
                "eventBody": {
                    "id": str(uuid4()),
                    "serviceName": "Directory",
                    "action": "Create",
                    "entityType": "User",
                    "entity": {"id": user_id, "name": "Bench Agent"},
                    "propertyChanges": [{"property": "state", "newValues": ["active"]}],
                },
            },
        }
        bodies.append(json.dumps(body).encode())
    return bodies


def apply_load(port: int, bodies: Sequence[bytes], *, key: str, connections: int = 50) -> Load:
    """Send all bodies to `/events` and return how they were answered."""
    head = f"POST /events HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    prepared = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    return asyncio.run(_run(port, prepared, connections))


async def _run(port: int, prepared: list[bytes], connections: int) -> Load:
    took: list[float] = []
    statuses: Counter[int] = Counter()
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    began = time.perf_counter()

    async def drive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while prepared:
            request = prepared.pop()
            sent = time.perf_counter()
            writer.write(request)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                statuses[int(head[9:12])] += 1
            except (asyncio.IncompleteReadError, ConnectionError, IndexError):
                statuses[0] += 1
                return
            took.append(time.perf_counter() - sent)

    await asyncio.gather(*(drive(reader, writer) for reader, writer in streams))
    whole = time.perf_counter() - began
    for _, writer in streams:
        writer.close()
    took.sort()
    return Load(
        per_s=len(took) / whole,
        p50_ms=took[len(took) // 2] * 1000,
        p99_ms=took[int(len(took) * 0.99)] * 1000,
        statuses=dict(statuses),
    )
