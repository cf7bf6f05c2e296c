"""What the 08:30 checklist looks at. Every check says what it found and, when it is not well, what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from jitprov.domain.provisioning import State
from jitprov.errors import ConfigurationError, DataKeyWrong, DependencyDown, JitprovError, LedgerLost, StepError
from jitprov.genesys.naming import unknown_names
from jitprov.ledger.book import Book, BookMemory
from jitprov.ledger.overview import Filter
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.reconciler import HEARTBEAT
from jitprov.rules.loader import load_rules
from jitprov.settings import KEY_CHARS_MIN, Settings
from jitprov.stack.ports import reachable_host
from jitprov.stack.probes import answers_http
from jitprov.wiring import RULES_REFUSED, make_cache, make_ledger, make_overview, make_services

_NOT_ASKED = "not asked: what is down above has to be up first"

Health = Literal["ok", "warning", "configuration", "down"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist."""

    name: str
    health: Health
    found: str
    remedy: str = ""


def check_keys(chosen: Settings) -> Iterator[Check]:
    """Are the keys set that receiver, worker and Flower refuse to start without?"""
    secrets = {
        "webhook key": (chosen.webhook_key, "JITPROV_WEBHOOK_KEY"),
        "data key": (chosen.data_key, "JITPROV_DATA_KEY"),
        "operator key, of board and Flower": (chosen.operator_key, "JITPROV_OPERATOR_KEY"),
    }
    for name, (secret, variable) in secrets.items():
        long_enough = len(secret.get_secret_value()) >= KEY_CHARS_MIN
        remedy = "" if long_enough else f"Set {variable}; at least {KEY_CHARS_MIN} random characters"
        yield Check(
            name, "ok" if long_enough else "configuration", "set" if long_enough else "missing or too short", remedy
        )


def check_redis(chosen: Settings) -> Iterator[Check]:
    """Does Redis answer, and does it keep what it acknowledges?"""
    facts = make_ledger(chosen, timeout_s=2.0).server_facts()
    yield Check("Redis", "ok", f"answers, version {facts['version']}")
    wanted = {"appendonly": ("yes",), "appendfsync": ("always",), "maxmemory-policy": ("noeviction",)}
    for name, good in wanted.items():
        well = facts[name] in good
        remedy = "" if well else f"Set {name} {good[0]}: otherwise an accepted event can be lost with the machine"
        yield Check(f"Redis {name}", "ok" if well else "warning", facts[name], remedy)


def check_ledger(chosen: Settings) -> Iterator[Check]:
    """Is the ledger the one that was worked with, and would its loss be noticed?"""
    ledger = make_ledger(chosen, timeout_s=2.0)
    try:
        # A first start is left to the first event; whatever else is there, or remembered, is judged.
        first_start = ledger.book() == Book() and BookMemory(chosen.ledger_memory).recall() is None
        book = Book() if first_start else ledger.trust()
    except LedgerLost as error:
        cause, _, remedy = str(error).partition(". ")
        yield Check("ledger", "down", cause, remedy)
        return
    yield from _check_sealed(chosen, ledger)
    if not book.book_id:
        yield Check("ledger", "ok", "none yet: the first event opens it")
    else:
        lost = f"; lost and acknowledged at {book.acknowledged_at:%Y-%m-%d %H:%M} UTC" if book.acknowledged_at else ""
        yield Check("ledger", "ok", f"book {book.book_id[:8]}, {sum(ledger.count().values())} provisionings{lost}")
    if chosen.ledger_memory is None:
        found = "running processes only: after a restart an emptied Redis passes for a new one"
        yield Check("ledger's memory", "warning", found, "Set JITPROV_LEDGER_MEMORY for receiver and reconciler")


def _check_sealed(chosen: Settings, ledger: RedisLedger) -> Iterator[Check]:
    """Can what lies sealed be opened, here and by all workers?"""
    try:
        ledger.match_key(keep="nothing")
    except ConfigurationError as error:
        yield Check("data key", "configuration", *str(error).split(". ", 1))
    if wait := make_overview(chosen, timeout_s=2.0).causes(Filter((State.WAITING,), error=DataKeyWrong.code)):
        found = f"{sum(each.count for each in wait)} agents wait for a worker with the key that sealed their findings"
        yield Check("data key of the workers", "configuration", found, DataKeyWrong.default_remedy)


def check_workers(_: Settings) -> Iterator[Check]:
    """Is there a worker that would take the messages?"""
    from jitprov.celery import app  # noqa: PLC0415  Celery only where it is used

    try:
        answers = app.control.ping(timeout=1.0)
    except Exception as error:  # noqa: BLE001  kombu raises what its transport raises; all of it means the same here
        yield Check(
            "workers", "down", f"the broker does not answer ({type(error).__name__})", "Check JITPROV_REDIS_URL"
        )
        return
    names = [name for answer in answers for name in answer]
    if names:
        yield Check("workers", "ok", f"{len(names)}: {', '.join(sorted(names))}")
    else:
        yield Check("workers", "down", "none answers", "Start one: jitprov worker")


def check_doors(chosen: Settings) -> Iterator[Check]:
    """Do receiver and Flower answer, and does the reconciler look? The first two may be on other machines."""
    doors = {
        "receiver": (chosen.receiver_host, chosen.receiver_port, "/readyz", "jitprov receiver"),
        "Flower": (chosen.flower_host, chosen.flower_port, "/healthcheck", "jitprov flower"),
    }
    for name, (host, port, path, command) in doors.items():
        address = f"{reachable_host(host)}:{port}"
        well = answers_http(reachable_host(host), port, path, {HTTPStatus.OK})()
        remedy = "" if well else f"Start it: {command}; or it is on another machine, and all is well"
        yield Check(name, "ok" if well else "warning", f"{'answers' if well else 'no answer'} at {address}", remedy)
    beat = make_cache(chosen).get(HEARTBEAT)
    found = "looks regularly" if beat else "has not looked for a while"
    remedy = "" if beat else "Start it: jitprov reconciler. Without it, what the broker loses stays lost"
    yield Check("reconciler", "ok" if beat else "down", found, remedy)


def check_rules(chosen: Settings) -> Iterator[Check]:
    """Can the rules be read?"""
    book = load_rules(chosen.rules_file)
    found = f"{chosen.rules_file or 'the shipped ones'}, {len(book.skill_names())} skills, version {book.rules_version}"
    yield Check("rules", "ok", found)
    refused = make_cache(chosen).get(RULES_REFUSED)
    if refused is not None:
        cause = refused.decode(errors="replace")
        remedy = "Mend the file where the workers run; until then they go on with the rules of before"
        yield Check("rules of the workers", "configuration", f"a changed file was not taken: {cause}", remedy)


def check_genesys(chosen: Settings) -> Iterator[Check]:
    """Do the credentials work, and does the organization have what rules and phones need?"""
    if not chosen.client_id:
        remedy = "Set JITPROV_CLIENT_ID and JITPROV_CLIENT_SECRET"
        yield Check("Genesys credentials", "configuration", "not set", remedy)
        return
    kept = make_services(chosen)
    site_id = kept.genesys.get_default_site_id()
    yield Check("Genesys credentials", "ok", f"accepted by {chosen.api_base_url}")
    if site_id:
        yield Check("default site", "ok", site_id)
    unknown = list(unknown_names(kept.rules.in_force(), kept.catalogue, kept.belongings))
    for each in unknown:
        yield Check(
            "names in the rules", "configuration", f"line {each.line}: {each.message}", "Make it, or mend the rules"
        )
    if not unknown:
        yield Check("names in the rules", "ok", "all exist")
    setup = kept.catalogue.phone_setup()
    yield Check("site and phone base", "ok", f"site {setup.site_id}, WebRTC base {setup.phone_base_id}")


_CHECKS: tuple[tuple[str, Callable[[Settings], Iterator[Check]]], ...] = (
    ("keys", check_keys),
    ("Redis", check_redis),
    ("ledger", check_ledger),
    ("workers", check_workers),
    ("receiver, Flower, reconciler", check_doors),
    ("rules", check_rules),
    ("Genesys Cloud", check_genesys),
)


def aim_hint(error: DependencyDown, chosen: Settings) -> str:
    """Return what to add for somebody whose shell does not know where the stack's Redis is; empty for all others."""
    if "redis_url" in chosen.model_fields_set or "JITPROV_REDIS_URL" not in str(error):
        return ""
    return ". JITPROV_REDIS_URL is not set here: with `jitprov up` or `demo --keep`, source the file that they print"


def examine(chosen: Settings) -> list[Check]:
    """Run every check; one that breaks off says why and the others go on."""
    found: list[Check] = []
    for name, check in _CHECKS:
        try:
            found.extend(check(chosen))
        except DependencyDown as error:
            remedy = "Start it, or mend its address" + aim_hint(error, chosen)
            told = any(check.remedy == remedy for check in found)
            found.append(Check(name, "down", _NOT_ASKED, "") if told else Check(name, "down", str(error), remedy))
        except ConfigurationError as error:
            found.append(Check(name, "configuration", str(error), "Mend it and run `jitprov doctor` again"))
        except StepError as error:
            trace = f" [correlation id {error.correlation_id}]" if error.correlation_id else ""
            health: Health = "down" if error.retry_helps else "configuration"
            remedy = error.remedy.replace(", then: jitprov retry ID", "").replace("; then: jitprov retry ID", "")
            found.append(Check(name, health, f"{error.code}: {error.message}{trace}", remedy))
        except JitprovError as error:
            found.append(Check(name, "configuration", str(error)))
    return found
