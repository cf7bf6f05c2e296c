"""One process each: `receiver`, `worker`, `reconciler`, `flower`, `sandbox`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from jitprov import logs
from jitprov.errors import ConfigurationError
from jitprov.rules.loader import load_rules
from jitprov.settings import Settings, files_mark, read_settings, settings
from jitprov.tracing.start import start_tracing

# A look costs Redis a dozen reads.
_ALERTS_EVERY_S = 10.0
# For a message that is under way.
_LAST_WORD_S = 5.0
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel="One process each")(receiver)
    app.command(rich_help_panel="One process each", context_settings=_PASS_ON)(worker)
    app.command(rich_help_panel="One process each")(reconciler)
    app.command(rich_help_panel="One process each", context_settings=_PASS_ON)(flower)
    app.command(rich_help_panel="One process each")(sandbox)


def receiver() -> None:
    """The webhook: takes events, writes them to the ledger, enqueues chains; and the board, on the same port.

    Example: jitprov receiver
    """
    from jitprov.alerts.assembly import facts_of  # noqa: PLC0415  each part loads only what it needs
    from jitprov.alerts.gauges import AlertGauges  # noqa: PLC0415
    from jitprov.alerts.tallies import door_teller  # noqa: PLC0415
    from jitprov.budget.gauges import BudgetGauges  # noqa: PLC0415
    from jitprov.desk.pace import pace_of  # noqa: PLC0415
    from jitprov.desk.quarantine import make_quarantine_room  # noqa: PLC0415
    from jitprov.desk.room import Desk, Guard, make_room  # noqa: PLC0415
    from jitprov.desk.session import Role  # noqa: PLC0415
    from jitprov.pipeline.chain import enqueue, enqueue_again, load_the_way_out, publish_impatiently  # noqa: PLC0415
    from jitprov.receiver.app import serve  # noqa: PLC0415
    from jitprov.receiver.body import StartRule  # noqa: PLC0415
    from jitprov.receiver.intake import new_id  # noqa: PLC0415
    from jitprov.receiver.keyring import Keyring  # noqa: PLC0415
    from jitprov.receiver.quarantine import Warden  # noqa: PLC0415
    from jitprov.wiring import make_budget, make_cache, make_overview, make_seals, match_data_key  # noqa: PLC0415

    chosen = settings()
    logs.setup(chosen.log_level, masked=chosen.secret_values())
    match_data_key(chosen)
    publish_impatiently()
    start_tracing(chosen, "receiver")
    load_the_way_out()
    # The sender gives up at 5 s: a ledger that is silent for 1 s is answered with 503, and comes again.
    ledger = make_overview(chosen, timeout_s=1.0)
    budget, cache = make_budget(chosen), make_cache(chosen)
    desk = Desk(
        ledger,
        budget,
        enqueue_again,
        pace_of(chosen, cache),
        grace_s=chosen.message_grace_s,
        settle_s=chosen.settle_s / chosen.time_scale,
        flower_url=chosen.flower_url or f"http://{chosen.flower_host}:{chosen.flower_port}",
    )
    keys = Keyring(lambda: read_settings().webhook_keys, files_mark)
    secrets = Keyring(lambda: read_settings().signing_secrets, files_mark)
    operators = Keyring(lambda: [read_settings().operator_key.get_secret_value()], files_mark)
    viewers = Keyring(lambda: [read_settings().viewer_key.get_secret_value()], files_mark)
    seals = make_seals(chosen)
    warden = Warden(ledger, seals, StartRule.from_settings(chosen), enqueue, new_id, chosen.message_grace_s)
    guard = Guard(
        lambda: {Role.OPERATOR: operators.keys(), Role.VIEWER: viewers.keys()}, forwarded_header=chosen.forwarded_header
    )
    serve(
        chosen,
        ledger,
        enqueue,
        keys=keys.keys,
        signing_secrets=secrets.keys,
        seals=seals,
        rooms=[make_room(desk, guard), make_quarantine_room(warden, guard)],
        collectors=[BudgetGauges(budget), AlertGauges(ledger, cache, facts_of(chosen, ledger, budget, cache).now)],
        tell_answers=door_teller(cache, ledger.ping),
    )
    for keyring in (keys, secrets, operators, viewers):
        keyring.close()


def worker(ctx: typer.Context) -> None:
    """A Celery worker; further options go to `celery worker`.

    Example: jitprov worker --concurrency 16 --hostname second@%h
    """
    from jitprov.wiring import match_data_key  # noqa: PLC0415  each part loads only what it needs

    chosen = settings()
    if not chosen.client_id or not chosen.client_secret.get_secret_value():
        msg = "no Genesys OAuth client: set JITPROV_CLIENT_ID and JITPROV_CLIENT_SECRET, or try `jitprov demo`"
        raise ConfigurationError(msg)
    load_rules(chosen.rules_file)  # wrong rules are told now, not by the first agent
    match_data_key(chosen)
    # Gossip and mingle leave queues behind on Redis and serve nothing here. Events feed Flower.
    _become_celery("worker", "--without-gossip", "--without-mingle", "-E", *ctx.args)


def flower(ctx: typer.Context) -> None:
    """Flower behind the board's keys, with the agent and *Retry chain* on each task's page.

    Any user name, which is written into the log of acts, and a key of the board as password. Further options go to
    `celery flower`.

    Example: jitprov flower --max_tasks=50000
    """
    from jitprov.flower.doorkeeper import keys_of  # noqa: PLC0415

    chosen = settings()
    keys_of(chosen)  # refuses without keys, before Celery begins
    chosen.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    conf = find_spec("flowerconfig")
    if conf is None:
        raise ConfigurationError("flower: flowerconfig.py is not installed beside jitprov. Install jitprov again")
    _become_celery("flower", f"--conf={conf.origin}", *ctx.args)


def _become_celery(*args: str) -> None:
    # The process becomes Celery, so that signals and exit codes are Celery's own.
    os.execv(sys.executable, [sys.executable, "-m", "celery", "-A", "jitprov", *args])


def reconciler() -> None:
    """Republishes what the broker lost, rings when something is wrong, finds missed events and drift where that is set.

    Any number may run, one looks at a time.

    Example: jitprov reconciler
    """
    from jitprov.alerts import keeper  # noqa: PLC0415
    from jitprov.alerts.assembly import facts_of, keeper_of  # noqa: PLC0415
    from jitprov.alerts.tallies import look_teller  # noqa: PLC0415
    from jitprov.pipeline.chain import enqueue_again, look_into_broker  # noqa: PLC0415
    from jitprov.pipeline.reconciler import Reconciler, run_forever  # noqa: PLC0415
    from jitprov.wiring import RealClock, make_budget, make_cache, make_ledger, make_overview  # noqa: PLC0415

    chosen = settings()
    logs.setup(chosen.log_level, masked=chosen.secret_values())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    start_tracing(chosen, "reconciler")
    ledger, cache = make_ledger(chosen), make_cache(chosen)
    facts = facts_of(chosen, make_overview(chosen), make_budget(chosen), make_cache(chosen))
    alerts = keeper_of(chosen, facts, RealClock().now)
    ringing = threading.Thread(
        target=keeper.run_forever, args=(alerts, stop), kwargs={"every_s": _ALERTS_EVERY_S}, name="alerts", daemon=True
    )
    ringing.start()
    missed = _look_for_missed(chosen, stop)
    drift = _look_for_drift(chosen, stop)
    looking = Reconciler(ledger, look_into_broker, enqueue_again, grace_s=chosen.message_grace_s)
    told = look_teller(cache, ledger.ping, batch=looking.batch)
    keep = timedelta(days=chosen.keep_ended_days)
    run_forever(looking, cache, stop, every_s=chosen.reconcile_every_s, keep=keep, told=told)
    ringing.join(timeout=_LAST_WORD_S)
    for looking_on in (missed, drift):
        if looking_on:
            looking_on.join(timeout=_LAST_WORD_S)


def _look_for_missed(chosen: Settings, stop: threading.Event) -> threading.Thread | None:
    """Start what looks for users whose event never came, where the settings ask for it."""
    if not chosen.missed_every_s:
        return None
    from jitprov.pipeline.chain import enqueue  # noqa: PLC0415
    from jitprov.pipeline.late_events import accept_late  # noqa: PLC0415
    from jitprov.receiver import missed  # noqa: PLC0415
    from jitprov.receiver.body import StartRule  # noqa: PLC0415
    from jitprov.receiver.intake import new_id  # noqa: PLC0415
    from jitprov.wiring import make_audits, make_budget, make_cache, make_ledger  # noqa: PLC0415

    ledger, cache = make_ledger(chosen), make_cache(chosen)
    audits = make_audits(chosen, budget=make_budget(chosen), cache=cache)
    rounds = missed.Round(
        missed.Search(audits, StartRule.from_settings(chosen), ledger, new_id, ahead=missed.ahead_of(chosen)),
        cache,
        accept=lambda openings: accept_late(ledger, enqueue, openings, look_after_s=chosen.message_grace_s),
        overlap=timedelta(seconds=chosen.missed_overlap_s + chosen.missed_every_s),
        reach=missed.reach_of(chosen),
    )
    kept = {"every_s": chosen.missed_every_s}
    thread = threading.Thread(target=missed.run_forever, args=(rounds, stop), kwargs=kept, name="missed", daemon=True)
    thread.start()
    return thread


def _look_for_drift(chosen: Settings, stop: threading.Event) -> threading.Thread | None:
    """Start what looks how far agents have drifted, where the settings ask for it."""
    if not chosen.drift_every_s:
        return None
    from jitprov.alerts.drift_watch import DriftWatch, run_forever  # noqa: PLC0415
    from jitprov.pipeline.drift import everybody  # noqa: PLC0415
    from jitprov.wiring import make_services  # noqa: PLC0415

    kept = make_services(chosen)
    watch = DriftWatch(
        find=lambda: everybody(kept),
        cache=kept.cache,
        now=kept.ledger.ping,
        every=timedelta(seconds=chosen.drift_every_s),
    )
    thread = threading.Thread(target=run_forever, args=(watch, stop), name="drift", daemon=True)
    thread.start()
    return thread


def sandbox(
    options: Annotated[Path | None, typer.Option(help="JSON file with the sandbox' options.")] = None,
    port: Annotated[int | None, typer.Option(help="Data port; 0 takes a free one.")] = None,
    control_port: Annotated[int | None, typer.Option(help="Control port; 0 takes a free one.")] = None,
    time_scale: Annotated[float | None, typer.Option(help="Sandbox seconds per real second.")] = None,
) -> None:
    """A stand-in Genesys Cloud on this machine, with rate limit, late stations and faults on demand.

    Example: jitprov sandbox --port 8100 --time-scale 8
    """
    from jitprov.sandbox.options import OptionError, SandboxOptions  # noqa: PLC0415
    from jitprov.sandbox.server import serve  # noqa: PLC0415

    given = {"port": port, "control_port": control_port, "time_scale": time_scale}
    try:
        values = json.loads(options.read_text()) if options else {}
        chosen = SandboxOptions.from_json(values | {name: value for name, value in given.items() if value is not None})
    except (OSError, ValueError, OptionError) as error:
        msg = f"sandbox: {error}"
        raise ConfigurationError(msg) from error
    serve(
        chosen,
        lambda host, data, control: print(
            f"sandbox: API http://{host}:{data}  control http://{host}:{control}", flush=True
        ),
    )
