"""The ledger in Redis. Its own clock (TIME) stamps every instant; every write is one script, safe to repeat.

key (after the prefix)   type   unit              lifetime                      who writes
p:{provisioning id}      hash   see codec         until forgotten               accept, claim, write, looked
events                   hash   event id → id     with the provisioning         accept
users                    hash   user id → id      with the provisioning         accept
emails                   hash   keyed digest → id       with the provisioning         write
state:{state}            zset   accepted, µs      while in that state           accept, claim, write
at:{step}                zset   accepted, µs      while under way at that step  accept, write
ended:{state}            zset   ended, µs         while ended so                write
departments              hash   digest → sealed   for ever; a few dozen         write
given                    hash   user id → sealed  until all is taken away       write
due                      zset   look at, µs       until it ended                accept, claim, write, looked
quarantine:order         zset   refused, µs       until forgotten; newest 1,000 receiver
quarantine:entries       hash   id → JSON         with its place in the order   receiver
quarantine:texts         hash   id → sealed body  with its entry                receiver
book                     hash   see lua/book.lua  for ever                      open, doubt, acknowledge
canary                   hash   a sealed word     for ever                      whoever starts; see canary.py
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from jitprov import logs
from jitprov.domain.events import Acceptance, Opening
from jitprov.domain.given import Memory
from jitprov.domain.ids import is_uuid, parse_task_id
from jitprov.domain.provisioning import CORRIDOR, EVERY_STEP, Provisioning, State, Step
from jitprov.errors import DependencyDown, LedgerLost
from jitprov.ledger.book import Book, BookKeeper, BookMemory
from jitprov.ledger.canary import Canary
from jitprov.ledger.codec import (
    HELD_CAUSE,
    HELD_STORY,
    Unreadable,
    decode,
    department_digests,
    email_digests,
    from_us,
    open_memory,
    sealed_findings,
    sealed_memory,
    sealed_order,
    signs_of,
    story_of,
    to_us,
    why_sealed,
)
from jitprov.ledger.port import ID_TAKEN, Claim, Denied, Due, Keep
from jitprov.ledger.redis_shelf import RedisShelf
from jitprov.redis_client import RedisClient
from jitprov.sealing import Seals

_LUA = Path(__file__).parent / "lua"
_SCRIPTS = (
    "write",
    "renew",
    "looked",
    "cancel",
    "due",
    "waiting",
    "forget",
    "open",
    "doubt",
    "acknowledge",
    "quarantine",
    "release",
)
# What nobody may do on a ledger that was lost; see lua/book.lua.
_GUARDED = ("accept", "claim")

_log = logging.getLogger(__name__)

# What the names of departments are sealed as being about.
DEPARTMENTS = "departments"

# Real seconds until the reconciler looks again at a record that it cannot read.
_UNREADABLE_AGAIN_S = 60.0

P = ParamSpec("P")
R = TypeVar("R")


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def reached(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Turn the driver's errors into DependencyDown; the driver's own stays on `__cause__`."""

    @wraps(method)
    def asked(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except RedisError as error:
            msg = f"the ledger's Redis does not answer ({type(error).__name__}). Check JITPROV_REDIS_URL and the server"
            raise DependencyDown(msg) from error

    return cast("Callable[Concatenate[Any, P], R]", asked)


class RedisLedger:
    """See `Ledger`. Threads may share one; make it after a fork.

    Args:
        client: With decoded answers and a bounded timeout.
        prefix: Of every key.
        seals: What seals and opens findings; without a key, records are read and written without them.
        memory: What remembers the ledger beyond this process.
    """

    def __init__(
        self, client: Redis, prefix: str, seals: Seals | None = None, *, memory: BookMemory | None = None
    ) -> None:
        self._redis = client
        self._prefix = prefix
        self._seals = seals or Seals()
        guard = (_LUA / "book.lua").read_text()
        self._run: dict[str, Callable[..., Any]] = {
            name: client.register_script((guard if name in _GUARDED else "") + (_LUA / f"{name}.lua").read_text())
            for name in (*_SCRIPTS, *_GUARDED)
        }
        self._canary = Canary(client, self._key("canary"))
        self._keeper = BookKeeper(RedisShelf(client, prefix, self._run), memory)

    @classmethod
    def connect(
        cls,
        url: str,
        prefix: str,
        *,
        seals: Seals | None = None,
        memory: BookMemory | None = None,
        timeout_s: float = 5.0,
    ) -> Self:
        """Return a ledger over its own connection pool; connects at the first use.

        Args:
            url: `redis://` or `rediss://`.
            prefix: Of every key.
            seals: See the class.
            memory: See the class.
            timeout_s: Longest silence of the server. Each call is repeated once, which the scripts allow.
        """
        client = RedisClient.connect(url, timeout_s=timeout_s)
        return cls(client, prefix, seals, memory=memory)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _hash(self, provisioning_id: str) -> str:
        return f"{self._prefix}p:{provisioning_id}"

    def _readable(self, provisioning_id: str, fields: Mapping[str, str]) -> Provisioning | None:
        # Among many, one that cannot be read is told in the log and left out: the others go on.
        try:
            return decode(provisioning_id, fields, self._seals)
        except Unreadable as error:
            logs.event(
                _log, "record_unreadable", level=logging.ERROR, provisioning_id=provisioning_id, error=str(error)
            )
            return None

    def _guarded(self, name: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run a script that works only on the book in hand.

        Raises:
            LedgerLost: It is another, and stays so after a look.
        """
        for _ in range(2):
            book_id, witness = self._keeper.proof()
            proof_keys = [self._key("book"), self._hash(witness.provisioning_id) if witness else self._key("book")]
            proof = [book_id, witness.version if witness else ""]
            try:
                return self._run[name](keys=[*proof_keys, *keys], args=[*proof, *args])
            except ResponseError as error:
                if not str(error).startswith("BOOK "):
                    raise
                self._keeper.look()  # says what is wrong, or takes what was acknowledged meanwhile
        raise LedgerLost("the ledger is being exchanged just now. Wait a moment, then: jitprov doctor")

    @reached
    def accept(self, openings: Sequence[Opening], *, look_after_s: float) -> list[Acceptance]:
        """See `Ledger.accept`."""
        if not openings:
            return []
        fixed = ("events", "users", "state:accepted", "due", "given")
        keys = [*map(self._key, fixed), *(self._hash(opening.provisioning_id) for opening in openings)]
        args: list[str | int] = [_us(look_after_s), self._prefix, HELD_STORY, HELD_CAUSE]
        for opening in openings:
            order = sealed_order(opening.provisioning_id, opening.order, self._seals)
            args += [opening.provisioning_id, opening.event_id, opening.user_id, CORRIDOR[0], opening.kind, order]
        answer = self._guarded("accept", keys, args)
        if not isinstance(answer, list) or len(answer) != len(openings) + 1:
            raise DependencyDown("what answers for the ledger's Redis is none. Check JITPROV_REDIS_URL and the server")
        now, *serving = answer
        if "taken" in serving:
            raise DependencyDown(ID_TAKEN)
        accepted = [
            Acceptance(served, opening.event_id, opening.user_id, duplicate=served != opening.provisioning_id)
            for opening, served in zip(openings, serving, strict=True)
        ]
        for acceptance in accepted:
            if not acceptance.duplicate:
                self._keeper.wrote(acceptance.provisioning_id, 0, from_us(int(now)))
        return accepted

    @reached
    def get(self, provisioning_id: str) -> Provisioning | None:
        """See `Ledger.get`."""
        fields = cast("dict[str, str]", self._redis.hgetall(self._hash(provisioning_id)))
        return decode(provisioning_id, fields, self._seals) if fields else None

    @reached
    def get_many(self, provisioning_ids: Sequence[str]) -> list[Provisioning]:
        """See `Ledger.get_many`."""
        if not provisioning_ids:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for provisioning_id in provisioning_ids:
            pipe.hgetall(self._hash(provisioning_id))
        answers = zip(provisioning_ids, pipe.execute(), strict=True)
        read = (self._readable(provisioning_id, fields) for provisioning_id, fields in answers if fields)
        return [record for record in read if record]

    @reached
    def find(self, any_id: str) -> Provisioning | None:
        """See `Ledger.find`."""
        wanted = any_id.strip()
        if "@" in wanted:
            digests = email_digests(wanted, self._seals)
            known = cast("list[str | None]", self._redis.hmget(self._key("emails"), digests) if digests else [])
            by_email = next(filter(None, known), None)
            return self.get(by_email) if by_email else None
        wanted = wanted.lower()
        pipe = self._redis.pipeline(transaction=False)
        pipe.hget(self._key("users"), wanted)
        pipe.hget(self._key("events"), wanted)
        served = next(filter(None, pipe.execute()), None)
        if served:
            return self.get(str(served))
        task = parse_task_id(wanted)
        found = self.get(task.provisioning_id if task else wanted) if is_uuid(wanted) else None
        if (
            found
            and task
            and (task.generation > found.generation or task.step_number not in {step.number for step in found.corridor})
        ):
            return None
        return found

    @reached
    def claim(self, provisioning_id: str, step: Step, generation: int, *, token: str, lease_s: float) -> Claim | Denied:
        """See `Ledger.claim`."""
        reason, number, *held = self._guarded(
            "claim",
            [self._hash(provisioning_id), self._key("due"), self._key("given")],
            [self._prefix, provisioning_id, step, generation, token, _us(lease_s), *EVERY_STEP],
        )
        if reason:
            return Denied(reason, int(number) / 1_000_000)
        fields, now = _pairs(json.loads(held[0])), from_us(int(number))
        record = decode(provisioning_id, fields, self._seals)
        # Without its findings a step would take what was made for not made.
        sealed, memory = why_sealed(provisioning_id, fields, self._seals), Memory()
        try:
            memory = open_memory(record.user_id, fields.get("memory"), self._seals)
        except Unreadable as error:
            sealed = sealed or str(error)
        self._keeper.wrote(provisioning_id, record.version, now)
        return Claim(record, token, now, look_first=fields["look"] == "1", sealed=sealed, memory=memory)

    @reached
    def still_held(self, claim: Claim, *, lease_s: float) -> bool:
        """See `Ledger.still_held`."""
        provisioning_id = claim.record.provisioning_id
        keys = [self._hash(provisioning_id), self._key("due")]
        return bool(self._run["renew"](keys=keys, args=[provisioning_id, claim.token, _us(lease_s)]))

    def _write(
        self, guard: str, token: str, seen: Provisioning, record: Provisioning, look_after_s: float, memory: str = ""
    ) -> bool:
        found_more = record.findings != seen.findings
        sealed = sealed_findings(record, self._seals) if found_more else ""
        profile = record.findings.profile
        # What an agent is found by follows from the profile alone, and was written with it, perhaps by the old key.
        fresh = profile if profile != seen.findings.profile or (found_more and self._seals.rotating) else None
        email = fresh.email if fresh else ""
        department = fresh.department if fresh else ""
        signs = signs_of(record)
        return bool(
            self._run["write"](
                keys=[self._hash(record.provisioning_id), *map(self._key, ("due", "emails", "given"))],
                args=[
                    self._prefix,
                    record.provisioning_id,
                    guard,
                    token,
                    seen.version,
                    record.state,
                    record.step,
                    record.generation,
                    record.steps[record.step].attempts,
                    to_us(record.not_before) if record.not_before else 0,
                    int(record.state.ended),
                    story_of(record),
                    _us(look_after_s),
                    email_digests(email, self._seals)[0] if email else "",
                    sealed,
                    signs.code,
                    signs.cause,
                    department_digests(department, self._seals)[0] if department else "",
                    self._seals.seal(department.encode(), about=DEPARTMENTS) if department else "",
                    memory,
                ],
            )
        )

    @reached
    def record(self, claim: Claim, record: Provisioning, *, look_after_s: float, memory: Memory | None = None) -> bool:
        """See `Ledger.record`."""
        changed = memory is not None and memory != claim.memory
        kept = sealed_memory(record.user_id, memory, self._seals) if memory is not None and changed else ""
        written = self._write("lease", claim.token, claim.record, record, look_after_s, kept)
        if written:
            self._keeper.wrote(record.provisioning_id, claim.record.version + 1, claim.now)
        return written

    @reached
    def memories(self, user_ids: Sequence[str]) -> Mapping[str, Memory]:
        """See `Ledger.memories`."""
        found = cast("list[str | None]", self._redis.hmget(self._key("given"), list(user_ids))) if user_ids else []
        return self._memories_of(zip(user_ids, found, strict=True))

    @reached
    def all_memories(self) -> Mapping[str, Memory]:
        """See `Ledger.all_memories`."""
        return self._memories_of(self._redis.hscan_iter(self._key("given"), count=500))

    def _memories_of(self, entries: Iterable[tuple[str, str | None]]) -> dict[str, Memory]:
        memories = {}
        for user_id, sealed in entries:
            try:
                if sealed:
                    memories[user_id] = open_memory(user_id, sealed, self._seals)
            except Unreadable as error:  # left out, as any other record among many
                logs.event(_log, "memory_unreadable", level=logging.ERROR, user_id=user_id, error=str(error))
        return memories

    @reached
    def change(self, seen: Provisioning, record: Provisioning, *, look_after_s: float) -> bool:
        """See `Ledger.change`."""
        return self._write("seen", uuid4().hex, seen, record, look_after_s)

    @reached
    def ask_cancel(self, provisioning_id: str) -> bool:
        """See `Ledger.ask_cancel`."""
        keys = [self._hash(provisioning_id), self._key("due")]
        return bool(self._run["cancel"](keys=keys, args=[provisioning_id]))

    @reached
    def due(self, *, limit: int) -> list[Due]:
        """See `Ledger.due`."""
        now, *rest = self._run["due"](keys=[self._key("due")], args=[self._prefix, limit])
        found = []
        for provisioning_id, flat in zip(rest[::2], rest[1::2], strict=True):
            fields = _pairs(flat)
            leased = bool(fields.get("lease"))
            runs = leased and int(fields["lease_until"]) > int(now)
            record = self._readable(provisioning_id, fields)
            if record is None:
                self.looked(provisioning_id, missed=0, look_after_s=_UNREADABLE_AGAIN_S)
                continue
            found.append(Due(record, int(fields.get("missed", 0)), leased=runs, lease_lost=leased and not runs))
        return found

    @reached
    def looked(self, provisioning_id: str, *, missed: int, look_after_s: float, republished: bool = False) -> None:
        """See `Ledger.looked`."""
        keys = [self._hash(provisioning_id), self._key("due")]
        self._run["looked"](keys=keys, args=[provisioning_id, missed, _us(look_after_s), int(republished)])

    @reached
    def page(self, states: Sequence[State] = (), *, offset: int = 0, limit: int = 100) -> list[Provisioning]:
        """See `Ledger.page`."""
        keys = [self._key(f"state:{state}") for state in states or State]
        if len(keys) == 1:
            ids = cast("Sequence[str]", self._redis.zrange(keys[0], offset, offset + limit - 1))
        else:
            # A provisioning stands in one state only, so the union's summed scores are the accepted instants.
            ids = cast("Sequence[str]", self._redis.zunion(keys))[offset : offset + limit]
        return self.get_many(ids)

    @reached
    def count(self) -> Mapping[State, int]:
        """See `Ledger.count`."""
        pipe = self._redis.pipeline(transaction=False)
        for state in State:
            pipe.zcard(self._key(f"state:{state}"))
        return dict(zip(State, pipe.execute(), strict=True))

    @reached
    def waiting_users(self, *, limit: int) -> Sequence[str]:
        """See `Ledger.waiting_users`."""
        keys = [self._key("state:running"), self._key("state:accepted")]
        users: list[str] = self._run["waiting"](keys=keys, args=[self._prefix, limit, CORRIDOR[0]])
        return users

    @reached
    def standing_at(self, step: Step, *, limit: int) -> Sequence[Provisioning]:
        """See `Ledger.standing_at`."""
        return self.get_many(cast("list[str]", self._redis.zrange(self._key(f"at:{step}"), 0, limit - 1)))

    @reached
    def forget(self, *, ended_before: datetime, limit: int = 500) -> int:
        """See `Ledger.forget`."""
        ids = [self._key(name) for name in ("events", "users", "emails")]
        args = [self._prefix, to_us(ended_before), limit]
        self._run["release"](keys=self._quarantine_keys(), args=["", to_us(ended_before), limit])
        ended_well = (State.READY, State.CANCELLED)
        forget = self._run["forget"]
        return sum(
            int(forget(keys=[self._key(f"state:{state}"), *ids, self._key(f"ended:{state}")], args=args))
            for state in ended_well
        )

    def _quarantine_keys(self) -> list[str]:
        return [self._key(f"quarantine:{name}") for name in ("order", "entries", "texts")]

    @reached
    def quarantine(self, entry: Mapping[str, str], *, keep: int, sealed: str = "") -> None:
        """See `Ledger.quarantine`."""
        args = [entry["id"], json.dumps(dict(entry)), sealed, keep]
        self._run["quarantine"](keys=self._quarantine_keys(), args=args)

    @reached
    def quarantined(self, *, limit: int = 100) -> Sequence[Mapping[str, str]]:
        """See `Ledger.quarantined`."""
        order, entries, _ = self._quarantine_keys()
        ids = cast("list[str]", self._redis.zrevrange(order, 0, limit - 1))
        found = cast("list[str | None]", self._redis.hmget(entries, ids)) if ids else []
        return [json.loads(entry) for entry in found if entry]

    @reached
    def sealed_body(self, entry_id: str) -> str:
        """See `Ledger.sealed_body`."""
        return cast("str | None", self._redis.hget(self._quarantine_keys()[2], entry_id)) or ""

    @reached
    def release(self, entry_id: str) -> bool:
        """See `Ledger.release`."""
        return bool(entry_id and self._run["release"](keys=self._quarantine_keys(), args=[entry_id, 0, 0]))

    @reached
    def ping(self) -> datetime:
        """See `Ledger.ping`."""
        seconds, microseconds = self._redis.time()
        return from_us(seconds * 1_000_000 + microseconds)

    @reached
    def trust(self) -> Book:
        """See `Ledger.trust`."""
        return self._keeper.look()

    @reached
    def book(self) -> Book:
        """See `Ledger.book`."""
        return self._keeper.seen()

    @reached
    def match_key(self, *, keep: Keep = "the first") -> None:
        """See `Ledger.match_key`."""
        self._canary.match(self._seals, keep=keep)

    @reached
    def acknowledge_loss(self, *, opens_in_s: float, looks_for_s: float) -> None:
        """See `Ledger.acknowledge_loss`."""
        self._keeper.acknowledge(opens_in_s=opens_in_s, looks_for_s=looks_for_s)

    @reached
    def server_facts(self) -> dict[str, str]:
        """Return what decides whether "accepted" means durable; `unknown` where the server does not tell.

        Keys: `version`, `appendonly`, `appendfsync`, `maxmemory-policy`.
        """
        facts = {"version": str(self._redis.info("server").get("redis_version", "unknown"))}
        for name in ("appendonly", "appendfsync", "maxmemory-policy"):
            try:
                facts[name] = str(self._redis.config_get(name).get(name, "unknown"))
            except ResponseError:  # managed servers, and least privilege, forbid CONFIG
                facts[name] = "unknown"
        return facts
