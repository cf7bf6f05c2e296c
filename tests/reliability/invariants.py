"""What must hold once all is quiet, whatever was killed or broken before: one function per invariant.

Each takes the evidence and returns what is wrong, a sentence each; nothing when it holds. The evidence comes from
outside the product: the sandbox' own books, Redis itself, the logs, and the ledger as an operator reads it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

import jitprov.budget.redis
import jitprov.ledger.redis
from jitprov.domain.provisioning import Provisioning, State
from jitprov.ledger.redis import RedisLedger
from jitprov.pipeline.names import QUEUES
from jitprov.sandbox.control_client import SandboxControl

Found = list[str]

# What the shipped rules say, written down a second time.
SKILLS: Mapping[str, Mapping[str, float]] = {
    "Seasonal_Retail": {"Customer_Service": 1.0, "Order_Tracking": 1.0},
    "Seasonal_Tech_Support": {"Basic_Troubleshooting": 1.0},
    "Seasonal_Lead": {"Escalations": 3.0},
}
# What else the rules of `reliability.lane` give, by department, in the words of the sandbox' state.
ACCESS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "Seasonal_Lead": {
        "roles": frozenset({"Seasonal Agent", "employee"}),
        "groups": frozenset({"Retail Floor"}),
        "queues": frozenset({"Retail Calls", "Overflow"}),
    },
}
CHATS: Mapping[str, int] = {"Seasonal_Lead": 2}
ATTEMPTS_MAX = 6

_FAMILY = re.compile(r"^ *((?:[a-z]+|:|\{[^}]*\})+) {2,}(?:hash|zset|string|list|set|stream) ", re.MULTILINE)
_BROKERS = r"_kombu\.binding.*|unacked.*|jitprov\.[a-z_]+(\x06\x16\d)?|.*pidbox.*|celeryev.*"
_UNHANDLED = (
    "Traceback (most recent call last)",
    "Unrecoverable error",
    "Can't decode message body",
    "Received unregistered task",
)
_ACTOR = re.compile(r"\(provisioning ([0-9a-f-]{36})\)")
_WRITES = {"POST", "PATCH", "PUT", "DELETE"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known after a run.

    Attributes:
        accepted: Events that were answered with 202: event id → user id.
        records: The ledger's, by provisioning id.
        by_event: Event id → provisioning id, as the ledger finds it.
        users: Of the sandbox, by id.
        oracle: The sandbox' own findings.
        journal: Every request that the sandbox saw.
        logs: All that the parts have said.
        secrets: What must be nowhere: name → bytes.
        keys: Redis' keys that have no time to live.
        held: All bytes that Redis holds outside the ledger's records.
        queued: Messages left in queues.
        chains: Per provisioning, how often its first step was sent anew.
        went_back: Provisionings whose step or generation was seen to decrease.
        acl_log: Redis' log of denied commands.
        quiet_within_s: How long it took until all was quiet; None when it never was.
    """

    accepted: Mapping[str, str]
    records: Mapping[str, Provisioning]
    by_event: Mapping[str, str]
    users: Mapping[str, Mapping[str, Any]]
    oracle: Mapping[str, Any]
    journal: Sequence[Mapping[str, Any]]
    logs: str
    secrets: Mapping[str, bytes]
    keys: Sequence[str]
    held: bytes
    queued: int
    chains: Mapping[str, int]
    went_back: Sequence[str]
    acl_log: Sequence[Any]
    quiet_within_s: float | None
    may_fail: bool = False
    api_lies: bool = False
    extra_chains: int = 0
    noise: frozenset[str] = field(default_factory=frozenset)


def i1_accepted_has_ended(e: Evidence) -> Found:
    """Every accepted event is known, and its agent ended ready, or visibly failed with a reason."""
    found = []
    for event_id, user_id in e.accepted.items():
        record = e.records.get(e.by_event.get(event_id, ""))
        if record is None:
            found.append(f"lost: event {event_id} was accepted and is unknown")
        elif record.user_id != user_id:
            found.append(f"event {event_id} leads to another user")
        elif record.state is not State.READY and not (e.may_fail and record.state is State.FAILED):
            found.append(f"lost: {record.provisioning_id} is {record.state} at {record.step}")
        elif record.state is State.FAILED and not (record.failure and record.failure.remedy):
            found.append(f"{record.provisioning_id} failed without saying why")
    return found


def i2_one_phone(e: Evidence) -> Found:
    """A ready agent has one phone, the one that the ledger names; any other at most one."""
    found = []
    for record in e.records.values():
        phones = e.users[record.user_id]["phones"]
        if len(phones) > 1:
            found.append(f"doubled: user {record.user_id} has {len(phones)} phones")
        if record.state is State.READY and not phones:
            found.append(f"user {record.user_id} is ready and has no phone")
        if record.state is State.READY and phones:
            known = record.findings.phone.phone_id if record.findings.phone else None
            if known not in {phone["id"] for phone in phones}:
                found.append(f"user {record.user_id}: the ledger names another phone")
    return found


def i3_as_the_rules_say(e: Evidence) -> Found:
    """A ready agent has exactly the skills of its department, and its phone's station as default station."""
    found = []
    for record in e.records.values():
        if record.state is not State.READY:
            continue
        user = e.users[record.user_id]
        skills = {skill["name"]: skill["proficiency"] for skill in user["skills"]}
        if skills != SKILLS[str(user["department"])]:
            found.append(f"wrong: user {record.user_id} has skills {skills}")
        if user["phones"] and user["default_station_id"] != user["phones"][0]["station_id"]:
            found.append(f"wrong: user {record.user_id} has another default station than its phone's")
        found += _access_found_wrong(user)
    return found


def _access_found_wrong(user: Mapping[str, Any]) -> Found:
    """Return what an agent lacks, or has too much, of roles, groups, queues and utilization."""
    department, found = str(user["department"]), []
    for what, should in ACCESS.get(department, {}).items():
        has = {each["name"] if isinstance(each, dict) else each for each in user[what]}
        if has != should:
            found.append(f"wrong: user {user['id']} has {what} {sorted(has)}")
    if department in CHATS:
        media = (user["utilization"] or {}).get("utilization", {})
        if media.get("chat", {}).get("maximumCapacity") != CHATS[department]:
            found.append(f"wrong: user {user['id']} has utilization {media}")
    return found


def i4_limit_kept(e: Evidence) -> Found:
    """No window of 60 s holds more requests than the API allows, none falls into a pause or bears a dead token."""
    zero = ["windows_over", "requests_inside_retry_after", "unknown_paths", "wildcard_filters"]
    if not e.api_lies:
        zero += ["requests_with_expired_token", "answers_429"]
    return [f"{name} is {e.oracle[name]}" for name in zero if e.oracle[name]]


def i5_effects_have_an_author(e: Evidence) -> Found:
    """Each request that changes something names a provisioning that the ledger knows."""
    found = []
    for entry in e.journal:
        if entry["method"] in _WRITES and not str(entry["path"]).startswith("/oauth"):
            named = _ACTOR.search(entry["user_agent"])
            if named is None or named[1] not in e.records:
                found.append(f"{entry['method']} {entry['route']} by nobody known ({entry['user_agent']})")
    return found


def i6_forward_and_bounded(e: Evidence) -> Found:
    """No step is tried more often than allowed, and no provisioning goes back."""
    found = [f"{provisioning_id} went back" for provisioning_id in e.went_back]
    for record in e.records.values():
        for step, held in record.steps.items():
            if held.attempts > ATTEMPTS_MAX + 1:
                found.append(f"{record.provisioning_id}: {held.attempts} attempts of {step}")
    return found


def i7_no_secret(e: Evidence) -> Found:
    """No secret, token or personal field is in a log, a message, a cached value or a key's name."""
    logs = e.logs.encode()
    return [
        f"{name} is in {where}"
        for name, secret in e.secrets.items()
        for where, text in (("a log", logs), ("Redis", e.held))
        if secret in text
    ]


def i8_no_surprise(e: Evidence) -> Found:
    """No unhandled error, no unrecoverable one, no message that could not be read, no denied command."""
    found = [f"{word!r} in a log" for word in _UNHANDLED if word not in e.noise and word in e.logs]
    return found + ([f"Redis denied {len(e.acl_log)} commands"] if e.acl_log else [])


def declared_families() -> re.Pattern[str]:
    """Return what the maps of keys in the modules' own docstrings declare, and the broker's own."""
    declared = [
        re.sub(r"\\\{.*?\\\}", "[^:]+", re.escape(family))
        for module in (jitprov.ledger.redis, jitprov.budget.redis)
        for family in _FAMILY.findall(module.__doc__ or "")
    ]
    return re.compile(f"jitprov:({'|'.join(declared)})|{_BROKERS}")


def i9_nothing_piles_up(e: Evidence) -> Found:
    """No key stays for ever but those of the families that the modules declare, and the broker's own."""
    families = declared_families()
    return [f"key without a time to live: {key}" for key in e.keys if not families.fullmatch(key)]


def i10_quiet_in_time(e: Evidence) -> Found:
    """All came to rest in time: nothing queued, nothing running."""
    if e.quiet_within_s is None:
        return ["it never came to rest"]
    return [f"{e.queued} messages are left"] if e.queued else []


def i11_one_chain_per_event(e: Evidence) -> Found:
    """A chain was begun once, and once more for each time the reconciler says that it sent it again."""
    found = []
    for provisioning_id, sent in e.chains.items():
        record = e.records.get(provisioning_id)
        allowed = 1 + (record.republished if record else 0) + e.extra_chains
        if sent > allowed:
            found.append(f"{provisioning_id}: {sent} chains, {allowed} accounted for")
    return found


INVARIANTS: dict[str, Callable[[Evidence], Found]] = {
    "I1": i1_accepted_has_ended,
    "I2": i2_one_phone,
    "I3": i3_as_the_rules_say,
    "I4": i4_limit_kept,
    "I5": i5_effects_have_an_author,
    "I6": i6_forward_and_bounded,
    "I7": i7_no_secret,
    "I8": i8_no_surprise,
    "I9": i9_nothing_piles_up,
    "I10": i10_quiet_in_time,
    "I11": i11_one_chain_per_event,
}


def judge(evidence: Evidence) -> dict[str, Found]:
    """Return what is wrong, by invariant; empty when all hold."""
    return {name: found for name, holds in INVARIANTS.items() if (found := holds(evidence))}


# --- gathering --------------------------------------------------------------------------------------------------


def all_requests(control: SandboxControl) -> list[Mapping[str, Any]]:
    """Return the sandbox' whole journal."""
    entries: list[Mapping[str, Any]] = []
    while page := control.journal(since=entries[-1]["seq"] if entries else 0, limit=5000):
        entries += page
    return entries


def records_of(ledger: RedisLedger) -> dict[str, Provisioning]:
    """Return every record of the ledger."""
    found: dict[str, Provisioning] = {}
    while page := ledger.page(offset=len(found), limit=500):
        found |= {record.provisioning_id: record for record in page}
    return found


def lasting_keys(client: Redis) -> list[str]:
    """Return the keys without a time to live."""
    keys = [bytes(key) for key in client.scan_iter(count=1000)]
    ttls = [client.ttl(key) for key in keys]
    return [key.decode("utf-8", "replace") for key, ttl in zip(keys, ttls, strict=True) if ttl == -1]


def held_outside_the_ledger(client: Redis) -> bytes:
    """Return all keys' names, and all that lies in queues, among taken messages, and in the cache."""
    parts: list[Any] = []
    for raw in client.scan_iter(count=1000):
        key = bytes(raw)
        parts.append(key)
        kind = client.type(key)
        if kind == b"string":
            parts.append(client.get(key) or b"")
        elif kind == b"list":
            parts += client.lrange(key, 0, -1)
        elif kind == b"hash" and not key.startswith(b"jitprov:p:"):
            parts += client.hvals(key)
    return b"\n".join(parts)


def messages_left(client: Redis) -> int:
    """Return how many messages wait in queues."""
    return sum(client.llen(queue) for queue in QUEUES)


def chains_begun(pushed: Iterable[str]) -> Counter[str]:
    """Return per provisioning how often its first step was sent anew; Celery's own retries and returns do not count."""
    begun: Counter[str] = Counter()
    for text in pushed:
        try:
            message = json.loads(text)
        except ValueError:
            continue
        headers, given = message.get("headers", {}), message.get("properties", {}).get("delivery_info", {})
        if headers.get("task") == QUEUES[-1] and not headers.get("retries") and not given.get("redelivered"):
            begun[str(headers.get("argsrepr", "")).strip("(),'\"")] += 1
    return begun
