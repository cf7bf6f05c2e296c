"""Settings → services, once per process and after the fork; the only place that makes clocks and connections."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from jitprov.budget import Budget
from jitprov.budget.redis import RedisBudget
from jitprov.cache import Cache
from jitprov.cache.redis import RedisCache
from jitprov.domain.outcomes import RetryPolicy
from jitprov.errors import ConfigurationError, DependencyDown, WorkerStops
from jitprov.genesys.access import AccessClient
from jitprov.genesys.actual import ActualReader
from jitprov.genesys.audits import AuditClient
from jitprov.genesys.auth import TokenSource
from jitprov.genesys.belongings import Belongings
from jitprov.genesys.catalogue import Catalogue
from jitprov.genesys.client import GenesysClient
from jitprov.genesys.holdings import HoldingsClient
from jitprov.genesys.removal import RemovalClient
from jitprov.genesys.sign_on import SignOnClient
from jitprov.genesys.transport import Transport
from jitprov.ledger import Ledger
from jitprov.ledger.book import BookMemory
from jitprov.ledger.redis import RedisLedger
from jitprov.ledger.redis_overview import RedisOverview
from jitprov.rules.living import LivingRules
from jitprov.sealing import Seals
from jitprov.settings import KEY_CHARS_MIN, Settings, settings
from jitprov.stop import StopSign, stop_sign

# Where workers leave why they did not take a changed rules file.
RULES_REFUSED = "rules:refused"
_DAY_S = 86_400.0


class RealClock:
    """This machine's clock; waits end early by the sandbox's time scale.

    Args:
        time_scale: API seconds per real second; 1.0 against Genesys Cloud.
        stop: Ends waits early; this process' own when None.
    """

    def __init__(self, time_scale: float = 1.0, stop: StopSign | None = None) -> None:
        self._time_scale = time_scale
        self._stop = stop or stop_sign()

    def monotonic_s(self) -> float:
        """See `Clock.monotonic_s`."""
        return time.monotonic()

    def wall_s(self) -> float:
        """See `Clock.wall_s`."""
        return time.time()

    def now(self) -> datetime:
        """Return this machine's instant, aware UTC; for what the ledger's clock cannot be asked for."""
        return datetime.fromtimestamp(time.time(), UTC)

    def wait(self, api_s: float) -> None:
        """See `Clock.wait`."""
        if api_s > 0 and self._stop.wait(api_s / self._time_scale):
            raise WorkerStops("this worker was told to stop while the step waited", wait_s=0.0)


@dataclass(frozen=True, slots=True)
class Services:
    """What a process of jitprov works with."""

    settings: Settings
    clock: RealClock
    ledger: Ledger
    budget: Budget
    cache: Cache
    seals: Seals
    genesys: GenesysClient
    catalogue: Catalogue
    belongings: Belongings
    access: AccessClient
    holdings: HoldingsClient
    removals: RemovalClient
    audits: AuditClient
    transport: Transport
    rules: LivingRules
    policy: RetryPolicy
    chance: Callable[[], float]

    def actual_reader(self) -> ActualReader:
        """Return what reads what agents have."""
        return ActualReader(self.genesys, self.access, self.holdings)


def make_seals(settings: Settings) -> Seals:
    """Return what seals and opens personal data; without a key it does neither.

    Raises:
        ConfigurationError: A key is too short to be one.
    """
    for name in ("data_key", "data_key_old"):
        key = getattr(settings, name).get_secret_value()
        if key and len(key) < KEY_CHARS_MIN:
            raise ConfigurationError(
                f"JITPROV_{name.upper()}: shorter than {KEY_CHARS_MIN} characters. Make it of random ones"
            )
    return Seals(settings.data_key.get_secret_value(), settings.data_key_old.get_secret_value())


def make_ledger(settings: Settings, *, timeout_s: float = 5.0) -> RedisLedger:
    """Return the ledger alone: all that receiver, reconciler and operator's commands need.

    Raises:
        ConfigurationError: See `make_seals`; or the file that remembers the ledger cannot be used.
    """
    memory = BookMemory(settings.ledger_memory)
    memory.check()
    url, seals = settings.redis_url.get_secret_value(), make_seals(settings)
    return RedisLedger.connect(url, settings.key_prefix, seals=seals, memory=memory, timeout_s=timeout_s)


def match_data_key(settings: Settings) -> None:
    """Make sure, if Redis answers, that this process has the data key of all others; see `Ledger.match_key`.

    Raises:
        ConfigurationError: It has another.
    """
    ledger = make_ledger(settings)
    with suppress(DependencyDown):
        ledger.match_key()
    ledger.close()


def make_overview(settings: Settings, *, timeout_s: float = 5.0) -> RedisOverview:
    """Return the ledger as the operator's room sees it.

    Raises:
        ConfigurationError: See `make_seals`.
    """
    url, seals = settings.redis_url.get_secret_value(), make_seals(settings)
    return RedisOverview.connect(url, settings.key_prefix, seals=seals, timeout_s=timeout_s)


def make_cache(settings: Settings) -> RedisCache:
    """Return the shared cache alone."""
    return RedisCache.connect(settings.redis_url.get_secret_value(), settings.key_prefix)


def make_budget(settings: Settings) -> RedisBudget:
    """Return the shared meter alone."""
    return RedisBudget.from_settings(settings)


def make_services(settings: Settings) -> Services:
    """Return all services of a worker.

    Raises:
        ConfigurationError: Genesys client or data key is not set, or the rules file is wrong.
    """
    if not settings.data_key.get_secret_value():
        raise ConfigurationError(
            "no key for personal data: set JITPROV_DATA_KEY to 32 random characters or more, the same for all workers, "
            "receivers and operators"
        )
    return assemble(settings, ledger=make_ledger(settings), budget=make_budget(settings), cache=make_cache(settings))


def assemble(settings: Settings, *, ledger: Ledger, budget: Budget, cache: Cache) -> Services:
    """Return all services of a worker over given stores; see `make_services`."""
    clock = RealClock(settings.time_scale)
    transport = _make_transport(settings, budget, cache, clock)
    rules = LivingRules(settings.rules_file, clock.monotonic_s, functools.partial(_note_refused_rules, cache))
    genesys, access = GenesysClient(transport, rules.looks_at_location, rules.names_roles), AccessClient(transport)
    return Services(
        settings=settings,
        clock=clock,
        ledger=ledger,
        budget=budget,
        cache=cache,
        seals=make_seals(settings),
        genesys=genesys,
        catalogue=Catalogue(genesys, cache, clock, settings),
        belongings=Belongings(access, cache, clock, settings),
        access=access,
        holdings=HoldingsClient(transport, rules.looks_at_location),
        removals=RemovalClient(transport),
        audits=AuditClient(transport, clock),
        transport=transport,
        rules=rules,
        policy=RetryPolicy(
            attempts_max=settings.attempts_max,
            backoff_base_s=settings.backoff_base_s,
            backoff_cap_s=settings.backoff_cap_s,
            settle_s=settings.settle_s,
            waited_max_s=settings.waited_max_s,
        ),
        chance=random.SystemRandom().random,
    )


def make_audits(settings: Settings, *, budget: Budget, cache: Cache) -> AuditClient:
    """Return the reader of audits alone, under the shared budget: all that the reconciler asks the API for.

    Raises:
        ConfigurationError: The Genesys client is not set.
    """
    clock = RealClock(settings.time_scale)
    return AuditClient(_make_transport(settings, budget, cache, clock), clock)


def make_sign_on(settings: Settings) -> SignOnClient:
    """Return the reader of identity providers alone, under the shared budget.

    Raises:
        ConfigurationError: The Genesys client is not set.
    """
    clock, budget, cache = RealClock(settings.time_scale), make_budget(settings), make_cache(settings)
    return SignOnClient(_make_transport(settings, budget, cache, clock))


def _make_transport(settings: Settings, budget: Budget, cache: Cache, clock: RealClock) -> Transport:
    if not settings.client_id or not settings.client_secret.get_secret_value():
        msg = "no Genesys OAuth client: set JITPROV_CLIENT_ID and JITPROV_CLIENT_SECRET (client credentials grant)"
        raise ConfigurationError(msg)
    return Transport(settings, budget, clock, TokenSource(settings, cache, clock, budget))


def _note_refused_rules(cache: Cache, cause: str | None) -> None:
    # For the doctor, who may be on another machine. What agents wait for does not hang on it.
    with suppress(DependencyDown):
        if cause is None:
            cache.drop(RULES_REFUSED)
        else:
            cache.put(RULES_REFUSED, cause.encode(), ttl_s=_DAY_S)


@functools.cache
def services() -> Services:
    """Return this process' services, made at the first call."""
    return make_services(settings())
