"""The overview in Redis, beside the ledger whose keys it reads.

key (after the prefix)   type   unit                    lifetime             who writes
acts                     zset   begun, µs → act's id    the newest 10,000    note
acts:told                hash   act's id → JSON         as its act           note
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

from jitprov.domain.provisioning import CORRIDOR, EVERY_STEP, Provisioning, State, Step
from jitprov.ledger.codec import department_digests, from_us, open_findings, signs_of, to_us, words_of
from jitprov.ledger.overview import UNFINISHED, Act, Cause, Filter, Found, Mark, Standing, place_of
from jitprov.ledger.redis import DEPARTMENTS, RedisLedger, reached
from jitprov.sealing import SealBroken

_LUA = Path(__file__).parent / "lua"
_ACT: TypeAdapter[Act] = TypeAdapter(Act)

# Provisionings that one call of the script looks at: about a millisecond in which Redis serves nobody else.
_STRETCH = 500
# Where only ids are read and no record is looked into.
_LONG_STRETCH = 3000
_WITH_ERROR = (State.FAILED, State.WAITING)
# Names that a process keeps in mind for searches, some 200 bytes each.
_OPENED_MAX = 200_000


class RedisOverview(RedisLedger):
    """See `Overview`.

    Names lie sealed in Redis: a search by name looks through what this process has opened so far, and opens the rest.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._search, self._curve = (
            self._redis.register_script((_LUA / f"{name}.lua").read_text()) for name in ("search", "curve")
        )
        self._opened: dict[str, str] = {}
        self._unnamed: set[str] = set()

    def _walk(self, wanted: Filter, form: str, after: str | None, limit: int) -> Iterator[tuple[str, list[Any]]]:
        """Yield, stretch by stretch, where to go on and what was found; ends after the last stretch."""
        start, last = place_of(after) if after else (to_us(wanted.since) if wanted.since else 0, "")
        states = wanted.states or tuple(State)
        if wanted.error:
            states = tuple(state for state in states if state in _WITH_ERROR)
        if not states:
            return
        keys = [self._key(f"state:{state}") for state in states]
        departments = " ".join(department_digests(wanted.department, self._seals)) if wanted.department else ""
        if wanted.department and not departments:
            return  # without a key nobody's department is known
        fixed = [wanted.step or "", wanted.error, departments]
        stretch = _STRETCH if any(fixed) or form != "ids" else _LONG_STRETCH
        while True:
            args: list[str | int] = [self._prefix, form, start, last, stretch, min(limit, stretch), *fixed]
            start, last, *found = self._search(keys=keys, args=args)
            following = f"{start}-{last}" if last else ""
            yield following, found
            if not following:
                return

    def _ids(self, wanted: Filter, after: str | None, limit: int) -> Iterator[str]:
        """Yield the ids of what matches, words included."""
        words = wanted.words
        # Who stands before the first step has no name yet; of all others it is enough to have asked once.
        nameless = set(self._redis.zrange(self._key(f"at:{CORRIDOR[0]}"), 0, -1)) if words else set()
        for _, found in self._walk(wanted, "ids", after, _LONG_STRETCH if words else limit):
            if words:
                self._open([each for each in found if self._must_open(each, nameless)])
            for provisioning_id in found:
                known = self._opened.get(provisioning_id, "") if words else ""
                if all(word in known for word in words):
                    yield provisioning_id

    def _must_open(self, provisioning_id: str, nameless: set[Any]) -> bool:
        if provisioning_id not in self._opened:
            return True
        return provisioning_id in self._unnamed and provisioning_id not in nameless

    def _open(self, provisioning_ids: Sequence[str]) -> None:
        """Keep the words of provisionings in this process' memory; profiles seldom change once they are read."""
        if not provisioning_ids:
            return
        if len(self._opened) > _OPENED_MAX:
            self._opened.clear()
            self._unnamed.clear()
        pipe = self._redis.pipeline(transaction=False)
        for provisioning_id in provisioning_ids:
            pipe.hmget(self._hash(provisioning_id), "user", "findings")
        for provisioning_id, (user_id, sealed) in zip(provisioning_ids, pipe.execute(), strict=True):
            profile = open_findings(provisioning_id, sealed or "", self._seals).profile
            name, email = (profile.name, profile.email) if profile else ("", "")
            self._opened[provisioning_id] = words_of(name, email, user_id or "")
            (self._unnamed.discard if profile else self._unnamed.add)(provisioning_id)

    @reached
    def search(self, wanted: Filter, *, after: str | None = None, limit: int = 100) -> Found:
        """See `Overview.search`."""
        # One more than asked for tells whether another page is worth offering.
        ids = list(islice(self._ids(wanted, after, limit + 1), limit + 1))
        records = self.get_many(ids[:limit])
        if len(ids) <= limit:
            return Found(records, None)
        accepted = cast("str", self._redis.hget(self._hash(ids[limit - 1]), "accepted"))
        return Found(records, f"{accepted}-{ids[limit - 1]}")

    def _groups(self, wanted: Filter, form: str) -> Iterator[tuple[Step, str, int, str]]:
        if wanted.words:
            for record in self.get_many(list(self._ids(wanted, None, _STRETCH))):
                yield record.step, signs_of(record).cause, 1, record.provisioning_id
            return
        for _, found in self._walk(wanted, form, None, _STRETCH + 1):
            for step, cause, count, example in zip(*(found[place::4] for place in range(4)), strict=True):
                yield Step(step), cause, int(count), example

    @reached
    def tally(self, wanted: Filter) -> Mapping[Step, int]:
        """See `Overview.tally`."""
        counts: Counter[Step] = Counter()
        for step, _, count, _ in self._groups(wanted, "tally"):
            counts[step] += count
        return {step: counts[step] for step in EVERY_STEP if counts[step]}

    @reached
    def causes(self, wanted: Filter) -> Sequence[Cause]:
        """See `Overview.causes`."""
        states = tuple(state for state in _WITH_ERROR if state in (wanted.states or State))
        if not states:
            return []
        counts: Counter[tuple[Step, str]] = Counter()
        examples: dict[tuple[Step, str], str] = {}
        for step, cause, count, example in self._groups(replace(wanted, states=states), "causes"):
            if cause:
                counts[step, cause] += count
                examples.setdefault((step, cause), example)
        return [_cause(count, step, cause, examples[step, cause]) for (step, cause), count in counts.most_common()]

    @reached
    def standing(self, since: datetime | None = None) -> Standing:
        """See `Overview.standing`."""
        start = to_us(since) if since else 0
        in_states = [self._key(f"state:{state}") for state in State]
        at_steps = [self._key(f"at:{step}") for step in EVERY_STEP]
        pipe = self._redis.pipeline(transaction=True)
        for key in in_states:
            pipe.zcount(key, start, "+inf")
        for state in UNFINISHED:
            pipe.zcount(self._key(f"state:{state}"), "-inf", f"({start}")
        for key in at_steps:
            pipe.zcard(key)
        for key in in_states:
            pipe.zrangebyscore(key, start, "+inf", start=0, num=1, withscores=True)
        for key in at_steps:
            pipe.zrange(key, 0, 0, withscores=True)
        pipe.zrange(self._key("ended:ready"), -1, -1, withscores=True)
        pipe.time()
        answers = iter(pipe.execute())

        def take(number: int) -> list[Any]:
            return list(islice(answers, number))

        def first(entries: list[Any]) -> datetime | None:
            return min((from_us(int(entry[0][1])) for entry in entries if entry), default=None)

        counts, older, under_way = take(len(State)), take(len(UNFINISHED)), take(len(EVERY_STEP))
        first_accepted, oldest, last_ready = first(take(len(State))), first(take(len(EVERY_STEP))), first(take(1))
        [(seconds, microseconds)] = take(1)
        return Standing(
            now=from_us(seconds * 1_000_000 + microseconds),
            counts=dict(zip(State, counts, strict=True)),
            older=sum(older),
            under_way=dict(zip(EVERY_STEP, under_way, strict=True)),
            first_accepted_at=first_accepted,
            last_ready_at=last_ready,
            oldest_under_way_at=oldest,
        )

    @reached
    def curve(self, since: datetime | None, instants: Sequence[datetime]) -> Sequence[Mark]:
        """See `Overview.curve`."""
        keys = [*(self._key(f"ended:{state}") for state in (State.READY, State.FAILED))]
        keys += [self._key(f"state:{state}") for state in State]
        start = to_us(since) if since else 0
        flat = self._curve(keys=keys, args=[start, *map(to_us, instants)])
        return [
            Mark(at, arrived, ready, failed)
            for at, arrived, ready, failed in zip(instants, flat[::3], flat[1::3], flat[2::3], strict=True)
        ]

    @reached
    def ahead(self, record: Provisioning) -> Mapping[Step, int]:
        """See `Overview.ahead`."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcount(self._key(f"at:{record.step}"), "-inf", f"({to_us(record.accepted_at)}")
        later = EVERY_STEP[record.step.number :]
        for step in later:
            pipe.zcard(self._key(f"at:{step}"))
        return dict(zip((record.step, *later), pipe.execute(), strict=True))

    @reached
    def departments(self) -> Sequence[str]:
        """See `Overview.departments`."""
        names = set()
        for sealed in cast("list[str]", self._redis.hvals(self._key(DEPARTMENTS))):
            with suppress(SealBroken):  # another key's: nobody here can read it
                names.add(self._seals.open(sealed, about=DEPARTMENTS).decode())
        return sorted(names)

    @reached
    def note(self, act: Act, *, keep: int = 10_000) -> None:
        """See `Overview.note`."""
        order, told = self._key("acts"), self._key("acts:told")
        pipe = self._redis.pipeline(transaction=True)
        pipe.zadd(order, {act.act_id: to_us(act.at)})
        pipe.hset(told, act.act_id, _ACT.dump_json(act).decode())
        pipe.zrange(order, 0, -keep - 1)
        old = pipe.execute()[-1]
        if old:
            pipe.zrem(order, *old)
            pipe.hdel(told, *old)
            pipe.execute()

    @reached
    def acts(self, *, limit: int = 100) -> Sequence[Act]:
        """See `Overview.acts`."""
        ids = cast("list[str]", self._redis.zrange(self._key("acts"), 0, limit - 1, desc=True))
        held = self._redis.hmget(self._key("acts:told"), ids) if ids else []
        return [_ACT.validate_json(told) for told in held if told]


def _cause(count: int, step: Step, told: str, example: str) -> Cause:
    code, message, remedy, retry_helps = json.loads(told)
    return Cause(count, step, code, message, remedy, retry_helps, example)
