"""Posts events to the webhook as an EventBridge API destination does.

Five seconds a try, retries of 429, 5xx and silence with growing jittered waits, `Retry-After` heeded, other refusals
straight to the dead letters. Times here are real seconds: the receiver does not live in sandbox time.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable

import aiohttp

from jitprov.sandbox.answers import Json
from jitprov.sandbox.options import SandboxOptions

_WAIT_MAX_S = 30.0
_LATENCIES_MAX = 10_000
_DEAD_LETTERS_MAX = 1_000
_TOO_MANY, _SERVER_ERRORS = 429, 500
_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Amazon/EventBridge/ApiDestinations",
    "Range": "bytes=0-1048575",
    "Accept-Encoding": "gzip,deflate",
}


class Webhook:
    """Deliveries under way and what became of them."""

    def __init__(self, options: Callable[[], SandboxOptions], seed: int) -> None:
        """Begin with nothing to deliver.

        Args:
            options: Returns the options now in force.
            seed: Decides the jitter.
        """
        self._options = options
        self._jitter = random.Random(f"webhook-{seed}")  # noqa: S311  repeatable on purpose
        self._queue: deque[Json] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None
        self._under_way = 0
        self._delivered = 0
        self._skipped = 0
        self._attempts = 0
        self._dead: deque[Json] = deque(maxlen=_DEAD_LETTERS_MAX)
        self._dead_count = 0
        self._outcomes: Counter[str] = Counter()
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES_MAX)
        self._first_wall_s: float | None = None
        self._last_wall_s: float | None = None

    def post(self, events: list[Json]) -> None:
        """Have events delivered in the background; without a webhook they are only counted."""
        options = self._options()
        if options.webhook_url is None:
            self._skipped += len(events)
            return
        self._queue.extend(events)
        wanted = min(options.webhook_concurrency, len(self._queue) + len(self._workers))
        while len(self._workers) < wanted:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        self._queue.clear()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
            self._client = None

    def report(self) -> Json:
        """Return how deliveries stand; latencies are those of answered attempts, in real milliseconds."""
        ordered = sorted(self._latencies_ms)
        return {
            "pending": len(self._queue) + self._under_way,
            "delivered": self._delivered,
            "dead": self._dead_count,
            "skipped": self._skipped,
            "attempts": self._attempts,
            "outcomes": dict(self._outcomes),
            "first_wall_s": self._first_wall_s,
            "last_wall_s": self._last_wall_s,
            "latency_p50_ms": _share_of(ordered, 0.5),
            "latency_p99_ms": _share_of(ordered, 0.99),
            "dead_letters": list(self._dead),
        }

    async def _work(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            self._under_way += 1
            try:
                await self._deliver(event)
            finally:
                self._under_way -= 1

    async def _deliver(self, event: Json) -> None:
        options = self._options()
        body = json.dumps(event).encode()
        for attempt in range(1, options.webhook_attempts_max + 1):
            outcome, retry_after_s = await self._try(body, options)
            self._outcomes[outcome] += 1
            if outcome.startswith("2"):
                self._delivered += 1
                return
            is_final = outcome.startswith(("1", "3", "4")) and outcome != str(_TOO_MANY)
            if is_final or retry_after_s < 0 or attempt == options.webhook_attempts_max:
                break
            backoff_s = min(_WAIT_MAX_S, options.webhook_retry_base_s * 2.0 ** min(attempt - 1, 16))
            await asyncio.sleep(max(retry_after_s, backoff_s * self._jitter.uniform(0.5, 1.0)))
        self._dead_count += 1
        self._dead.append({"outcome": outcome, "attempts": attempt, "event": event})

    async def _try(self, body: bytes, options: SandboxOptions) -> tuple[str, float]:
        """Return the status, or `timeout` or `unreachable`, and the Retry-After in seconds, 0.0 without one."""
        headers = _HEADERS | {options.webhook_header: options.webhook_key}
        if not options.webhook_pooled:
            headers["Connection"] = "close"
        began = time.perf_counter()
        self._attempts += 1
        if self._first_wall_s is None:
            self._first_wall_s = time.time()
        try:
            async with self._session().post(
                options.webhook_url or "",
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=options.webhook_timeout_s),
                allow_redirects=False,
            ) as response:
                await response.read()
        except TimeoutError:
            return "timeout", 0.0
        except (aiohttp.ClientError, OSError):
            return "unreachable", 0.0
        finally:
            self._last_wall_s = time.time()
        self._latencies_ms.append((time.perf_counter() - began) * 1000)
        is_refused = response.status >= _SERVER_ERRORS or response.status == _TOO_MANY
        return str(response.status), _seconds(response.headers.get("Retry-After")) if is_refused else 0.0

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._client


def _seconds(retry_after: str | None) -> float:
    try:
        return float(retry_after or 0.0)
    except ValueError:
        return 0.0


def _share_of(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
