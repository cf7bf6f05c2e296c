"""Settings → the parts of this room; the only module here that reads settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jitprov.alerts.conditions import Bounds
from jitprov.alerts.facts import FactsOf
from jitprov.alerts.keeper import Keeper
from jitprov.alerts.schedule import Schedule
from jitprov.alerts.webhook import Webhook
from jitprov.budget import Budget
from jitprov.cache import Cache
from jitprov.errors import ConfigurationError
from jitprov.ledger.overview import Overview
from jitprov.settings import Settings


def facts_of(settings: Settings, ledger: Overview, budget: Budget, cache: Cache) -> FactsOf:
    """Return what gathers the facts.

    Raises:
        ConfigurationError: The schedule cannot be read.
    """
    try:
        schedule = Schedule.read(settings.alert_expect_sign_ins, settings.alert_time_zone)
    except ValueError as error:
        raise ConfigurationError(f"JITPROV_ALERT_EXPECT_SIGN_INS, JITPROV_ALERT_TIME_ZONE: {error}") from error
    bounds = Bounds(
        silence_s=settings.alert_silence_s,
        failed_share=settings.alert_failed_share,
        paused_s=settings.alert_paused_s,
        refused_share=settings.alert_refused_share,
        republished=settings.alert_republished,
    )
    return FactsOf(ledger, budget.state, cache, schedule, bounds)


def keeper_of(settings: Settings, facts: FactsOf, now: Callable[[], datetime]) -> Keeper:
    """Return what keeps the alerts.

    Args:
        settings: Where they are told.
        facts: How things stand.
        now: This machine's clock.
    """
    url = settings.alert_webhook_url.get_secret_value()
    return Keeper(facts.cache, facts.now, facts.bounds, tell=Webhook(url).tell if url else None, now=now)
