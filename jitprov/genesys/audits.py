"""What the organization's audit service says happened: who was created while nobody listened. Judges nothing.

Two doors lead to the same records. The realtime query answers at once, for the last 14 days and for certain services;
the other is begun, waited for and fetched, for all of them. Which service keeps the creation of users is not
documented and may differ by how they came (an administrator, SCIM), so the service mapping is asked, and every service
that knows the wanted entity and action is read, by the realtime query where that will do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from jitprov.domain.clock import Clock
from jitprov.errors import Refused, SetupMissing, Unavailable
from jitprov.genesys.payloads import Malformed, entities_of, object_of, pages_of, text_of
from jitprov.genesys.sorting import NotFound
from jitprov.genesys.transport import Transport
from jitprov.genesys.understanding import understood

# Of the realtime query, as documented, less what two clocks may differ by.
REALTIME_SPAN = timedelta(days=14) - timedelta(hours=1)
# No span is documented for the other query; shorter ones are asked for one after the other.
_SPAN_MAX = timedelta(days=30)
# The realtime query documents no largest page: what the API takes elsewhere. The other documents 500.
_PER_REALTIME_PAGE, _PER_PAGE = 100, 500
_PAGES_MAX = 200
_LOOK_AGAIN_S, _LOOK_AGAIN_MAX_S, _RUNS_MAX_S = 1.0, 15.0, 300.0
_AUDITS = "/api/v2/audits/query"
_OLDEST_FIRST = [{"name": "Timestamp", "sortOrder": "ascending"}]
_REMEDY = "Give a role of the OAuth client the permission audits:audit:view"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record; what it lacks is empty.

    Attributes:
        audit_id: The same id that the record's event has.
        entity_id: Of what it happened to.
        client_id: OAuth client that did it.
        succeeded: False when it tells of an attempt.
    """

    audit_id: str
    action: str
    entity_type: str
    entity_id: str
    client_id: str
    succeeded: bool = True


@dataclass(frozen=True, slots=True)
class _Question:
    """One thing to ask for, in the audit service's own words."""

    service: str
    entity_type: str
    action: str

    def body(self, since: datetime, until: datetime) -> dict[str, Any]:
        return {
            "interval": f"{_written(since)}/{_written(until)}",
            "serviceName": self.service,
            "filters": [
                {"property": "EntityType", "value": self.entity_type},
                {"property": "Action", "value": self.action},
            ],
            "sort": _OLDEST_FIRST,
        }


class AuditClient:
    """Reads the audits. Errors are those of `Transport.request` unless said.

    Args:
        transport: Sends, under the shared budget.
        clock: Waits for queries that take their time.
    """

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock

    def read(
        self,
        entity_types: Collection[str],
        actions: Collection[str],
        since: datetime,
        until: datetime,
        *,
        now: datetime,
    ) -> list[AuditRecord]:
        """Return the records of an interval, oldest first within each service.

        Args:
            entity_types: Lower case; any of them.
            actions: Likewise.
            since: Inclusive.
            until: Exclusive.
            now: The instant that counts for how far back the realtime query reaches.

        Raises:
            SetupMissing: No service of the organization's audits knows such things.
            Refused: With the permission that is missing, on 403.
            Unavailable: Also when a query fails, takes over five minutes, or finds more than can be fetched.

        Source: GET /api/v2/audits/query/servicemapping and …/realtime/servicemapping; POST …/realtime; POST
        /api/v2/audits/query, GET …/{transactionId} and …/results: audits:audit:view. Cost: 2, then for each service 1
        per 100 records, or of the slower query 3 and 1 per 500.
        """
        at_once = self._questions("/realtime", entity_types, actions)
        asked = dict.fromkeys([*at_once, *self._questions("", entity_types, actions)])
        if not asked:
            wanted = f"{', '.join(sorted(actions))} of {', '.join(sorted(entity_types))}"
            raise SetupMissing(f"no service of the organization's audits knows {wanted}")
        near = since >= now - REALTIME_SPAN
        found: list[AuditRecord] = []
        for question in asked:
            read = self._at_once if near and question in at_once else self._run
            found += read(question, since, until)
        return found

    def _questions(self, door: str, entity_types: Collection[str], actions: Collection[str]) -> list[_Question]:
        content = self._ask("GET", f"{_AUDITS}{door}/servicemapping")

        def parse() -> list[_Question]:
            return [
                _Question(text_of(service, "name"), text_of(entity, "name"), action)
                for service in _listed(content, "services")
                for entity in _listed(service, "entities")
                if text_of(entity, "name").casefold() in entity_types
                for action in entity.get("actions") or []
                if isinstance(action, str) and action.casefold() in actions
            ]

        return understood(parse)

    def _at_once(self, question: _Question, since: datetime, until: datetime) -> Iterator[AuditRecord]:
        for number in range(1, _PAGES_MAX + 1):
            body = question.body(since, until) | {"pageSize": _PER_REALTIME_PAGE, "pageNumber": number}
            content = self._ask("POST", f"{_AUDITS}/realtime", json=body)
            yield from understood(lambda content=content: _records(content))  # type: ignore[misc]
            if number >= understood(lambda content=content: pages_of(content)):  # type: ignore[misc]
                return
        raise _too_many(_PAGES_MAX * _PER_REALTIME_PAGE)

    def _run(self, question: _Question, since: datetime, until: datetime) -> Iterator[AuditRecord]:
        while since < until:
            ends = min(since + _SPAN_MAX, until)
            begun = self._ask("POST", _AUDITS, json=question.body(since, ends))
            query_id = understood(lambda begun=begun: text_of(begun, "id"))  # type: ignore[misc]
            self._wait_for(f"{_AUDITS}/{query_id}")
            yield from self._results(f"{_AUDITS}/{query_id}/results")
            since = ends

    def _wait_for(self, path: str) -> None:
        waited_s, wait_s = 0.0, _LOOK_AGAIN_S
        while waited_s < _RUNS_MAX_S:
            self._clock.wait(wait_s)
            waited_s, wait_s = waited_s + wait_s, min(wait_s * 2, _LOOK_AGAIN_MAX_S)
            content = self._ask("GET", path)
            state = understood(lambda content=content: text_of(content, "state"))  # type: ignore[misc]
            if state == "Succeeded":
                return
            if state in {"Failed", "Cancelled"}:
                raise Unavailable(f"the query of audits ended as {state}")
        raise Unavailable(f"the query of audits took over {_RUNS_MAX_S / 60:g} minutes")

    def _results(self, path: str) -> Iterator[AuditRecord]:
        cursor: Mapping[str, str] = {}
        for _ in range(_PAGES_MAX):
            content = self._ask("GET", path, params={"pageSize": _PER_PAGE, **cursor})
            yield from understood(lambda content=content: _records(content))  # type: ignore[misc]
            if not content.get("cursor"):
                return
            cursor = {"cursor": str(content["cursor"])}
        raise _too_many(_PAGES_MAX * _PER_PAGE)

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        try:
            # A query that is begun twice is read once.
            return self._transport.request(method, path, safe=True, **content)
        except NotFound as missing:
            raise Unavailable(
                "the API does not know its own query of audits", http_status=404, correlation_id=missing.correlation_id
            ) from None
        except Refused as error:
            if error.http_status == HTTPStatus.FORBIDDEN:
                error.remedy = _REMEDY
            raise


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _listed(content: Any, name: str) -> list[Mapping[str, Any]]:
    values = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise Malformed(name)
    return values


def _records(content: Any) -> list[AuditRecord]:
    """Return the records of a page. Source: model AuditLogMessage; absent things are missing, `{}` or empty."""
    return [
        AuditRecord(
            audit_id=str(entity.get("id") or ""),
            action=text_of(entity, "action"),
            entity_type=text_of(entity, "entityType"),
            entity_id=str(object_of(entity, "entity").get("id") or ""),
            client_id=str(object_of(entity, "client").get("id") or ""),
            succeeded=str(entity.get("status") or "SUCCESS").upper() != "FAILURE",
        )
        for entity in entities_of(content)
    ]


def _too_many(number: int) -> Unavailable:
    return Unavailable(f"over {number} audits in one interval", remedy="Ask for a shorter time: --since")
