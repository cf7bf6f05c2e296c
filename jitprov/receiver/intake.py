"""One delivery, from its headers to its answer: verify → read → write → answer. Decides which answer; knows no routes.

Nothing is answered with 202 before the ledger has it, and nothing with 400 before the quarantine has it: while the
ledger is away both are 503, since the sender repeats a 503 and no 4xx.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from jitprov import logs
from jitprov.domain.events import Acceptance, Opening
from jitprov.domain.ids import provisioning_id_from, task_id_of
from jitprov.errors import DependencyDown, LedgerLost
from jitprov.receiver import answers
from jitprov.receiver.auth import Doorkeeper
from jitprov.receiver.body import Ignored, Reading, Refused, StartRule, read_body
from jitprov.receiver.group_commit import GroupCommit
from jitprov.receiver.incoming import BODY_WITHIN_S, check_headers, read_stream
from jitprov.receiver.measures import Measures
from jitprov.receiver.quarantine import Item, Quarantine, describe
from jitprov.receiver.signature import Claim, Signatures
from jitprov.sealing import Seals
from jitprov.strangers import Strangers, source_of
from jitprov.tracing import spans

_log = logging.getLogger(__name__)

# EventBridge gives up after 5 s; the promise is an answer within 2.5 s of the whole body, on a busy machine too.
WRITE_WITHIN_S = 1.5

_ASIDE_BYTES = 65_536
_CHANCE = random.Random()  # noqa: S311  seeded by the system with more than 122 bits, at the start


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes deliveries.

    Attributes:
        doorkeeper: Who may come in.
        signatures: Who may come in signed instead.
        rule: What starts a provisioning.
        commit: Writes openings.
        quarantine: Writes what was refused.
        seals: Seal what goes into quarantine.
        measures: Counts.
        strangers: Who brought wrong keys.
        forwarded_header: See `strangers.source_of`.
        body_max_bytes: Larger bodies get 413.
        body_within_s: For the whole body.
        write_within_s: For the ledger, from the whole body on.
        wall_s: Seconds since the epoch, for signed timestamps.
    """

    doorkeeper: Doorkeeper
    signatures: Signatures
    rule: StartRule
    commit: GroupCommit
    quarantine: Quarantine
    seals: Seals
    measures: Measures
    strangers: Strangers
    forwarded_header: bytes
    body_max_bytes: int
    body_within_s: float = BODY_WITHIN_S
    write_within_s: float = WRITE_WITHIN_S
    wall_s: Callable[[], float] = time.time

    async def take(self, request: Request) -> Response:
        """Return the answer to one delivery. Never raises; safe to repeat by the sender."""
        began = time.perf_counter()
        try:
            answer = await self._take(request)
        except answers.Turned as turned:
            answer = turned.answer
        except ClientDisconnect:
            answer = Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it
        except DependencyDown as error:
            answer = answers.come_again(str(error), crowded=self.commit.alive)
        except Exception as error:  # noqa: BLE001  a defect of ours must not cost the sender's event
            logs.event(_log, "intake_broken", level=logging.ERROR, cause=type(error).__name__)
            answer = answers.come_again("a defect of the receiver")
        self.measures.count_answer(answer.status_code, time.perf_counter() - began)
        if answer.status_code >= HTTPStatus.BAD_REQUEST and self.measures.is_news(answer.status_code):
            # Once a second and status: whoever hammers the door must not fill the log. The counts are in /metrics.
            logs.event(_log, "delivery_refused", level=logging.WARNING, status=answer.status_code)
        return answer

    async def _take(self, request: Request) -> Response:
        headers, began_ns = request.scope["headers"], time.time_ns()
        claim = self.signatures.claim(headers, self.wall_s()) if self.signatures.wanted(headers) else None
        if not self._may_go_on(headers, claim):
            return self._turn_away(request)
        check_headers(headers, self.body_max_bytes)
        raw = await read_stream(request, self.body_max_bytes, self.body_within_s)
        if claim and not self.signatures.holds(claim, raw):
            return self._turn_away(request)
        if len(raw) > _ASIDE_BYTES:
            # A megabyte takes tens of milliseconds to read; the others shall not wait for it.
            readings = await asyncio.to_thread(read_body, raw, self.rule, new_id)
        else:
            readings = read_body(raw, self.rule, new_id)
        refused = [reading for reading in readings if isinstance(reading, Refused)]
        answered = await self._write(
            [reading for reading in readings if isinstance(reading, Opening)],
            describe(raw, refused, self.seals) if refused else None,
        )
        # A change of somebody whom jitprov never provisioned is served by nothing.
        accepted = [acceptance for acceptance in answered if acceptance.provisioning_id]
        self._count(readings, accepted, strangers=len(answered) - len(accepted))
        if spans.is_on():
            _trace(accepted, began_ns, headers)
        return _answer(readings, accepted, refused)

    def _may_go_on(self, headers: list[tuple[bytes, bytes]], claim: Claim | None) -> bool:
        """Tell whether the body may be read: with a right key, or signed; what is offered must all be right."""
        if claim is None and self.signatures.wanted(headers):
            return False
        if claim is not None and not self.doorkeeper.sees_any(headers):
            return True
        return self.doorkeeper.lets_in(headers)

    def _turn_away(self, request: Request) -> Response:
        peer = request.client.host if request.client else ""
        source = source_of(peer, request.scope["headers"], self.forwarded_header)
        wait_s = self.strangers.met(source, time.monotonic())
        return answers.too_often(wait_s) if wait_s else answers.wrong_key()

    async def _write(self, openings: Sequence[Opening], item: Item | None) -> list[Acceptance]:
        """Write openings and quarantine item side by side.

        Raises:
            Turned: 503; what was written is found again when the sender repeats it.
        """
        waited_for: list[Future[Any]] = []
        if openings:
            waited_for.append(self.commit.submit(openings))
        if item is not None:
            logs.event(_log, "events_refused", level=logging.WARNING, **item.entry)
            waited_for.append(self.quarantine.submit(item))
        if not waited_for:
            return []
        waiting = [_awaitable(future) for future in waited_for]
        try:
            async with asyncio.timeout(self.write_within_s):
                await (asyncio.gather(*waiting) if len(waiting) > 1 else waiting[0])
        except TimeoutError:
            raise answers.Turned(answers.come_again("the ledger is slow to answer")) from None
        except LedgerLost:
            raise answers.Turned(answers.come_again(answers.LEDGER_LOST)) from None
        except DependencyDown:
            raise answers.Turned(answers.come_again("the ledger does not answer")) from None
        return waiting[0].result() if openings else []

    def _count(self, readings: Sequence[Reading], accepted: Sequence[Acceptance], *, strangers: int) -> None:
        duplicates = sum(acceptance.duplicate for acceptance in accepted)
        reasons = [reading.reason for reading in readings if isinstance(reading, Ignored)]
        self.measures.count_events("accepted", len(accepted) - duplicates)
        self.measures.count_events("duplicate", duplicates)
        self.measures.count_events("ignored", len(reasons) + strangers)
        self.measures.count_events("refused", len(readings) - len(accepted) - len(reasons) - strangers)
        if own := reasons.count("own_client"):
            remedy = "if another program creates users with jitprov's OAuth client, give it one of its own"
            logs.event(_log, "own_creates_ignored", level=logging.WARNING, count=own, remedy=remedy)


def _awaitable(future: Future[Any]) -> asyncio.Future[Any]:
    """Return what this event loop can wait for; cancelling it cancels the future.

    asyncio's own `wrap_future` wakes the loop once for each. A lane that delivers on the loop has it woken once for all
    that one write carried; for any other, this does as asyncio does.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[Any] = loop.create_future()

    def tell() -> None:
        if waiting.done():
            return
        if error := future.exception():
            waiting.set_exception(error)
        else:
            waiting.set_result(future.result())

    def told(_: Future[Any]) -> None:
        if threading.get_ident() == home:
            tell()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(tell)

    home = threading.get_ident()
    future.add_done_callback(told)
    waiting.add_done_callback(lambda given_up: future.cancel() if given_up.cancelled() else None)
    return waiting


def new_id() -> str:
    """Return a provisioning id."""
    # Not uuid4(): it asks the system each time, and the thread that waits for the answer stands in line for the
    # interpreter again, for milliseconds when the writer is busy. Ids must be unique, not secret.
    return provisioning_id_from(UUID(int=_CHANCE.getrandbits(128), version=4))


def _trace(accepted: Sequence[Acceptance], began_ns: int, headers: list[tuple[bytes, bytes]]) -> None:
    """Begin the trace of each provisioning that was opened; a duplicate goes on in the first one's."""
    sender = next((value.decode("latin-1") for name, value in headers if name == b"traceparent"), "")
    for acceptance in accepted:
        if not acceptance.duplicate:
            spans.accepted(
                acceptance.provisioning_id,
                began_ns=began_ns,
                traceparent=sender,
                user_id=acceptance.user_id,
                method="POST",
                route="/events",
            )


def _answer(readings: Sequence[Reading], accepted: Sequence[Acceptance], refused: Sequence[Refused]) -> Response:
    told: list[dict[str, object]] = [
        {
            "index": reading.index,
            "field": reading.error.field,
            "cause": reading.error.cause,
            "remedy": reading.error.remedy,
        }
        for reading in refused
        if reading.index is not None
    ]
    if len(refused) == len(readings):
        return answers.invalid(refused[0].error, told)
    body: dict[str, object] = {
        "accepted": [
            {
                "provisioning_id": acceptance.provisioning_id,
                "task_id": task_id_of(acceptance.provisioning_id, 1, 1),
                "user_id": acceptance.user_id,
                "duplicate": acceptance.duplicate,
            }
            for acceptance in accepted
        ],
        "ignored": len(readings) - len(accepted) - len(refused),
    }
    status = HTTPStatus.ACCEPTED if accepted else HTTPStatus.OK
    return answers.as_json(status, body | ({"refused": told} if told else {}))
