"""The audits over HTTP, from the sandbox: both doors find the same, across pages, and say what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.cache.memory import MemoryCache
from jitprov.errors import Refused, SetupMissing, Unavailable
from jitprov.genesys.audits import AuditClient
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.transport import Transport
from jitprov.sandbox.control_client import SandboxControl
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import read_settings
from jitprov.wiring import RealClock

SCALE = 300.0
AHEAD = timedelta(days=1)


@contextmanager
def audits(**options: Any) -> Iterator[tuple[AuditClient, SandboxControl]]:
    """A reader of audits and the sandbox behind it, in whose time five minutes are a second."""
    with SandboxThread(SandboxOptions(time_scale=SCALE, limit_per_min=100_000, **options)) as sandbox:
        clock = RealClock(SCALE)
        client = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
        settings = read_settings(_env_file=None, api_url=sandbox.base_url, time_scale=SCALE, **client)
        rate = BudgetRate.of(12_000, headroom=0.5, time_scale=SCALE)
        budget = MemoryBudget(rate, clock.monotonic_s, lanes=1, failures_max=5)
        tokens = TokenSource(settings, MemoryCache(clock.monotonic_s), clock, budget)
        yield AuditClient(Transport(settings, budget, clock, tokens), clock), sandbox.control


def created(client: AuditClient, **since: float) -> list[str]:
    """Return who was created since then, in the order in which the audits tell it."""
    now = datetime.now(UTC)
    begin = now - timedelta(**(since or {"hours": 1}))
    found = client.read({"user"}, {"create"}, begin, now + AHEAD, now=now)
    assert {(record.action, record.entity_type, record.succeeded) for record in found} <= {("Create", "User", True)}
    assert all(record.audit_id and record.client_id for record in found)
    return [record.entity_id for record in found]


@pytest.mark.parametrize(("realtime", "calls"), [(True, 2 + 3), (False, 2 + 1 + 2 + 1)])
def test_both_doors_find_everyone(realtime: bool, calls: int) -> None:
    """Everybody who was created is found, once, by either query; the calls are those that the docstring tells."""
    with audits(audits_in_realtime=realtime) as (client, control):
        users = [str(user["id"]) for user in control.sign_in_silently(250)[0]]

        assert created(client) == users
        assert control.oracle()["calls"] == calls


def test_more_than_a_page_is_fetched_by_its_cursor() -> None:
    """The slower query's next page is where its cursor leads."""
    with audits(audits_in_realtime=False) as (client, control):
        users = [str(user["id"]) for user in control.sign_in_silently(1001)[0]]

        assert created(client) == users


def test_what_is_older_than_a_fortnight_is_asked_for_the_slower_way() -> None:
    """An interval that the realtime query refuses is read in spans that the other one takes."""
    with audits() as (client, control):
        users = [str(user["id"]) for user in control.sign_in_silently(3)[0]]

        assert created(client, days=45) == users
        routes = control.oracle()["calls_by_route"]
        assert routes["POST /api/v2/audits/query"] == 2
        assert "POST /api/v2/audits/query/realtime" not in routes


def test_an_organization_without_such_audits_is_told() -> None:
    """Where no service knows the entity, that is said, and nothing passes for nobody having been created."""
    now = datetime.now(UTC)
    with audits() as (client, _), pytest.raises(SetupMissing, match="knows create of robot"):
        client.read({"robot"}, {"create"}, now - AHEAD, now, now=now)


def test_a_missing_permission_is_named() -> None:
    """A 403 says which permission the OAuth client lacks."""
    with audits() as (client, control):
        route = {"method": "POST", "route": "/api/v2/audits/query/realtime"}
        control.faults([{"match": route, "action": {"kind": "status", "code": 403}}])
        with pytest.raises(Refused) as caught:
            created(client)

        assert "audits:audit:view" in caught.value.remedy


def test_a_query_that_never_ends_is_given_up() -> None:
    """A query that runs for over five minutes ends the look, so that the next one begins anew."""
    endless = {"audits_in_realtime": False, "audit_query_s": 100_000}
    with audits(**endless) as (client, _), pytest.raises(Unavailable, match="over 5 minutes"):
        created(client)
