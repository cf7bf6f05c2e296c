"""The Celery tasks, one per step: each turns the runner's outcome into Celery's verb, and nothing else.

Celery's retry counter is not consulted (`max_retries=None`): attempts are counted by the ledger.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import cache
from typing import NoReturn
from uuid import uuid4

from celery import Task, signals
from celery.exceptions import Ignore, Reject

from jitprov import logs
from jitprov.celery import app
from jitprov.domain.ids import parse_task_id
from jitprov.domain.outcomes import Done, Outcome, Retry, Skip, Snooze
from jitprov.domain.provisioning import EVERY_STEP, Step
from jitprov.errors import ConfigurationError, DependencyDown
from jitprov.genesys.shelf import Shelf
from jitprov.genesys.stations import StationLore
from jitprov.pipeline.chain import BEGUN, enqueue, wait_for_a_turn
from jitprov.pipeline.grants import Grants
from jitprov.pipeline.kit import Kit
from jitprov.pipeline.names import task_name
from jitprov.pipeline.profiles import ProfileReader
from jitprov.pipeline.pulse import Pulse, silence_s
from jitprov.pipeline.runner import Runner
from jitprov.settings import settings
from jitprov.stop import stop_sign
from jitprov.tracing.start import start_tracing, stop_tracing
from jitprov.wiring import Services, make_services, match_data_key, services

# Longer waits live in the ledger: a countdown beyond the visibility timeout would run the task several times.
COUNTDOWN_MAX_S = 120.0
_LEDGER_AWAY_S = 5.0
# As the commands of jitprov end.
_CONFIGURATION = 5
# A step that runs for longer hangs: above the time limit of celeryconfig.py, which threads do not have.
_STEP_MAX_S = 120.0
_log = logging.getLogger(__name__)


class ProvisioningFailed(Exception):  # noqa: N818  the name is what Flower shows
    """A step failed for good; the text is what the operator reads in Flower."""


class StepWaits(Exception):  # noqa: N818  the name is what Flower shows
    """A step waits; the text says for what."""


def make_runner(kept: Services) -> Runner:
    """Return the runner over a process' services."""
    chosen = kept.settings
    profiles = ProfileReader(
        kept.genesys, kept.cache, kept.ledger, kept.clock, kept.seals, time_scale=chosen.time_scale
    )
    kit = Kit(
        genesys=kept.genesys,
        catalogue=kept.catalogue,
        rules=kept.rules,
        profiles=profiles,
        access=kept.access,
        holdings=kept.holdings,
        removals=kept.removals,
        belongings=kept.belongings,
        grants=Grants(
            kept.access, kept.belongings, kept.rules, profiles, kept.ledger, Shelf(kept.cache, kept.clock, chosen)
        ),
        stations=StationLore(kept.cache, kept.clock, chosen),
        hold=lambda: None,
        profile_wait_max_s=chosen.profile_wait_max_s,
        time_scale=chosen.time_scale,
        station_source=chosen.station_source,
    )
    return Runner(
        ledger=kept.ledger,
        clock=kept.clock,
        kit=kit,
        policy=kept.policy,
        station_wait_max_s=chosen.station_wait_max_s,
        chance=kept.chance,
        lease_s=chosen.lease_s,
        pulse=Pulse(
            lambda claim, lease_s: kept.ledger.still_held(claim, lease_s=lease_s),
            silence_s=silence_s(chosen.lease_s),
            longest_s=_STEP_MAX_S,
        ),
        grace_s=chosen.message_grace_s,
        time_scale=chosen.time_scale,
    )


@cache
def _runner() -> Runner:
    kept = services()
    kept.ledger.match_key()  # once Redis answers: with another key it must not begin anything
    start_tracing(settings(), "worker")
    return make_runner(kept)


@signals.worker_init.connect(weak=False)
def _refuse_to_start_in_vain(**_: object) -> None:
    # A worker that could do no step would turn each message into a failure; it had better not take any.
    try:
        make_services(settings())
        match_data_key(settings())
    except ConfigurationError as error:
        sys.stderr.write(f"worker: {error}\n")
        raise SystemExit(_CONFIGURATION) from None


@signals.worker_init.connect(weak=False)
def _prepare_to_stop(**_: object) -> None:
    stop_sign()  # before the pool forks its children, so that they hear it


@signals.worker_process_shutdown.connect(weak=False)
def _send_last_spans(**_: object) -> None:
    stop_tracing()  # the pool's children end without Python's own ending


@signals.worker_shutting_down.connect(weak=False)
def _give_back_what_waits(**_: object) -> None:
    # A step that waits for its slot ends now, without spending an attempt, and its message goes to another worker.
    stop_sign().call()


def _wait(task: Task, wait_s: float, why: str) -> NoReturn:
    if wait_s > COUNTDOWN_MAX_S:
        raise Ignore(why)  # the reconciler sends it again when the ledger says it is due
    # It keeps its place: at its own priority it would come behind all who have the same, begun or not.
    raise task.retry(countdown=wait_s, exc=StepWaits(why), priority=BEGUN)


def act(task: Task, outcome: Outcome) -> None:
    """Turn an outcome into Celery's verb: return, retry, ignore or fail."""
    match outcome:
        case Done(priority):
            if task.request.chain:
                wait_for_a_turn(task.request.chain[-1], priority)  # Celery keeps the rest of a chain last step first
        case Skip(chain_goes_on=True):
            return
        case Skip(reason):
            raise Ignore(reason)  # the rest of this chain has no business either
        case Snooze(failure=failure, keeps_its_place=True):
            raise Reject(f"{failure.code}: {failure.message}", requeue=True)
        case Snooze(failure=failure, parked=True):
            # The reconciler sends it, when an event or the time comes.
            raise Ignore(f"{failure.code}: {failure.message}")
        case Snooze(wait_s, failure) | Retry(wait_s, failure):
            _wait(task, wait_s, f"{failure.code}: {failure.message}")
        case _:
            raise ProvisioningFailed(outcome.failure.told(task.request.id))


def _register(step: Step) -> None:
    @app.task(name=task_name(step), bind=True, max_retries=None, default_retry_delay=_LEDGER_AWAY_S)
    def run(self: Task, provisioning_id: str) -> None:
        task_id = parse_task_id(self.request.id)
        if task_id is None or task_id.provisioning_id != provisioning_id:
            raise Ignore("not one of jitprov's messages")
        try:
            with logs.bind(worker=self.request.hostname):
                outcome = _runner().run(provisioning_id, step, task_id.generation, token=uuid4().hex)
        except (DependencyDown, ConfigurationError) as error:
            raise self.retry(countdown=_LEDGER_AWAY_S, exc=StepWaits(str(error))) from None
        if isinstance(outcome, Done) and outcome.joined and not self.request.chain:
            _send_joined(provisioning_id, task_id.generation, outcome.joined)
        act(self, outcome)


def _send_joined(provisioning_id: str, generation: int, joined: Sequence[str]) -> None:
    # The chain was sent before the rules had asked for these steps. Lost here, the reconciler sends them.
    steps = [Step(step) for step in joined]
    try:
        enqueue(provisioning_id, generation=generation, first=steps[0], steps=steps)
    except DependencyDown:
        logs.event(_log, "publish_failed", level=logging.WARNING, provisioning_id=provisioning_id)


for _step in EVERY_STEP:
    _register(_step)
