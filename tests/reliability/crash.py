"""`make crash`: the Nth send of each process is its last, N = 1, 2, … until a run ends without reaching N.

In the manner of SQLite's tests: no point is left out, and none is chosen by anybody's idea of where it is dangerous.
Each point runs in a lane (`reliability.lane`), several lanes side by side; the results are kept line by line, so that a
run that was stopped goes on where it was. The same enumeration over a plain Celery chain shows that the check bites.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import statistics
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from reliability.lane import Lane, warm_up
from reliability.point import Point, Result, run
from reliability.report import ROOT, Row, record
from reliability.tripwire import Phase

FOLDER = ROOT / "build/crash"
PHASES: tuple[Phase, ...] = ("before", "after")
# Every send of these.
ALL: tuple[tuple[str, str], ...] = (
    ("plain", "worker"),
    ("jitprov", "worker"),
    ("jitprov", "receiver"),
    ("jitprov", "reconciler"),
)
# Two processes share the work, so the Nth send is not the same each time: every third.
SOME: tuple[tuple[str, str], ...] = (("jitprov", "pool"), ("jitprov", "child"))
STRIDE = 3
_N_MAX = 900
# About where a worker whose agent walks all seven steps sends its first word of the last two.
_JOINED_FROM = 158

Told = Callable[[Result], None]


@dataclass
class Series:
    """The points of one process and phase, in order, until one is not reached."""

    system: str
    subject: str
    phase: Phase
    first: int = 1
    stride: int = 1
    ended: bool = False

    def points(self) -> Iterator[Point]:
        """Yield the points that are still wanted."""
        for n in range(self.first, _N_MAX, self.stride):
            if self.ended:
                return
            yield Point(self.system, self.subject, self.phase, n)

    def holds(self, point: Point) -> bool:
        """Tell whether a point is of this series."""
        return (point.system, point.subject, point.phase) == (self.system, self.subject, self.phase)


@dataclass
class Book:
    """The results so far, line by line in a file; a new code begins a new file."""

    path: Path
    results: dict[Point, Result] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, *, fresh: bool) -> Book:
        """Return the book, with what an earlier run of the same code left."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() and not fresh else []
        code = _code()
        if not lines or json.loads(lines[0]) != {"code": code}:
            path.write_text(json.dumps({"code": code}) + "\n")
            return cls(path)
        results = [_result(json.loads(line)) for line in lines[1:]]
        return cls(path, {result.point: result for result in results})

    def add(self, result: Result) -> None:
        """Write a result down."""
        self.results[result.point] = result
        with self.path.open("a") as book:
            book.write(json.dumps(result.to_json()) + "\n")


def _result(line: Mapping[str, Any]) -> Result:
    return Result(**{**line, "point": Point(**line["point"])})


def _code() -> str:
    """Return a digest of all that decides a result."""
    digest = hashlib.sha256()
    for path in sorted(itertools.chain((ROOT / "jitprov").rglob("*.py"), (ROOT / "jitprov").rglob("*.lua"))):
        digest.update(path.read_bytes())
    for name in ("tripwire", "lane", "point", "invariants"):
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


# --- lanes ------------------------------------------------------------------------------------------------------


class Lanes:
    """Processes that each run one point after the other."""

    def __init__(self, count: int, folder: Path) -> None:
        warm_up()
        context = multiprocessing.get_context("fork")
        self._lanes: dict[Connection, Point | None] = {}
        self._processes = []
        for number in range(count):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, folder / f"lane-{number}"))
            process.start()
            there.close()
            self._processes.append(process)
            self._lanes[here] = None

    def run(self, points: Iterator[Point], told: Told) -> None:
        """Run points as they come, as many at a time as there are lanes."""
        for lane in self._lanes:
            self._give(lane, points)
        while busy := [lane for lane, point in self._lanes.items() if point]:
            ready = wait(busy)
            for lane in busy:
                if lane in ready:
                    told(lane.recv())
                    self._give(lane, points)

    def _give(self, lane: Connection, points: Iterator[Point]) -> None:
        point = next(points, None)
        self._lanes[lane] = point
        if point:
            lane.send(point)

    def close(self) -> None:
        """End all lanes."""
        for lane in self._lanes:
            lane.send(None)
        for process in self._processes:
            process.join(60)


def _serve(orders: Connection, folder: Path) -> None:
    parent = os.getppid()
    with Lane(folder) as lane:
        while point := _next_order(orders, parent):
            try:
                result = run(lane, point)
            except Exception:  # noqa: BLE001  told as what it is: a run that did not come to its end
                result = Result(point, True, 0, "", wrong={"run": [traceback.format_exc(limit=4)]})
            if not result.wrong:
                shutil.rmtree(folder / point.name, ignore_errors=True)
            orders.send(result)


def _next_order(orders: Connection, parent: int) -> Point | None:
    """Return the next point; None at the end, or when whoever gives orders is gone."""
    while not orders.poll(1):
        if os.getppid() != parent:
            return None
    point: Point | None = orders.recv()
    return point


# --- which points -----------------------------------------------------------------------------------------------


def every_point(book: Book, seed: int) -> tuple[list[Series], Iterator[Point]]:
    """Return all series, and their points that the book lacks."""
    chance = random.Random(seed)
    series = [Series(*who, phase) for who in ALL for phase in PHASES]
    series += [Series(*who, phase, chance.randint(1, STRIDE), STRIDE) for who in SOME for phase in PHASES]
    for each in series:
        each.ended = any(each.holds(result.point) and not result.reached for result in book.results.values())
    return series, (point for each in series for point in each.points() if not each.ended and point not in book.results)


def joined_points(book: Book) -> tuple[list[Series], Iterator[Point]]:
    """Return the series of a worker that dies from the end of the common corridor on, and its points still wanted."""
    series = [Series("jitprov", "worker", phase, _JOINED_FROM) for phase in PHASES]
    for each in series:
        each.ended = any(each.holds(result.point) and not result.reached for result in book.results.values())
    # Both at once, so that a run that is stopped has seen as much of each.
    pairs = itertools.zip_longest(*(each.points() for each in series))
    return series, (point for pair in pairs for point in pair if point and point not in book.results)


def some_points(lanes: Lanes, count: int, seed: int) -> list[Point]:
    """Return points drawn by seed, after counting the sends of a run in which nobody dies.

    Of the plain chain those where it loses and doubles: a message taken from its queue and not yet noted as taken, a
    phone made and not yet known to be.
    """
    chance = random.Random(seed)
    counted: list[Result] = []
    lanes.run((Point(*who, "before", 0) for who in (*ALL, *SOME)), counted.append)
    sends = {(result.point.system, result.point.subject): result.sends for result in counted}
    shares = [("worker", 4), ("receiver", 2), ("reconciler", 2), ("child", 1), ("pool", 1)]
    subjects = [subject for subject, share in shares for _ in range(share)]
    drawn = []
    for number in range(count):
        subject = subjects[number * len(subjects) // count]
        drawn.append(
            Point("jitprov", subject, chance.choice(PHASES), chance.randint(1, max(sends["jitprov", subject], 1)))
        )
    plain = next(result.trace for result in counted if result.point.system == "plain")
    taken = [n for n in range(1, len(plain)) if plain[n - 1] == "redis BRPOP" and plain[n].startswith("redis MULTI")]
    made = [n for n, what in enumerate(plain, 1) if what.startswith("http POST") and what.endswith("/phones")]
    drawn += [Point("plain", "worker", "before", n + 1) for n in chance.sample(taken, min(2, len(taken)))]
    return drawn + [Point("plain", "worker", "after", n) for n in made]


# --- figures ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figures:
    """What an enumeration found of one system."""

    points: Counter[str]
    lost: int
    two_phones: int
    asked_twice: int
    wrong: int
    helped: int
    recoveries_s: Sequence[float]

    @property
    def tried(self) -> int:
        """All points."""
        return sum(self.points.values())


def figures_of(results: Sequence[Result], system: str) -> Figures:
    """Count the points that were reached."""
    mine = [result for result in results if result.point.system == system and result.reached]
    return Figures(
        points=Counter(result.point.subject for result in mine),
        lost=sum(result.lost for result in mine),
        two_phones=sum(result.phones > 1 for result in mine),
        asked_twice=sum(result.phone_calls > 1 for result in mine),
        wrong=sum(bool(result.wrong) for result in mine),
        helped=sum(result.republished > 0 for result in mine),
        recoveries_s=sorted(result.recovery_s for result in mine if result.recovery_s > 0),
    )


def rows_of(results: Sequence[Result]) -> list[Row]:
    """Return the rows of the page."""
    ours, plain = figures_of(results, "jitprov"), figures_of(results, "plain")
    names = {
        "worker": "worker, one thread: every send",
        "receiver": "receiver: every send and answer",
        "reconciler": "reconciler: every send",
        "pool": f"forking worker, main process: every {STRIDE}rd send",
        "child": f"forking worker, its child: every {STRIDE}rd send",
    }
    rows = [
        Row(f"points, {name}", ours.points[who], plain=plain.points[who] or "")
        for who, name in names.items()
        if ours.points[who]
    ]
    rows += [
        Row("points in all", ours.tried, plain=plain.tried),
        Row("agents lost", ours.lost, bar="0", plain=plain.lost),
        Row("agents with two phones", ours.two_phones, bar="0", plain=plain.two_phones),
        Row("points at which a phone was asked for twice", ours.asked_twice, bar="0", plain=plain.asked_twice),
        Row("points after which any of I1 to I11 did not hold", ours.wrong, bar="0"),
        Row("points at which the reconciler had to help", ours.helped),
    ]
    if ours.recoveries_s:
        p50, p99 = statistics.median(ours.recoveries_s), ours.recoveries_s[int(len(ours.recoveries_s) * 0.99)]
        rows.append(
            Row(
                "from the kill to the agent ready, p50 / p99 / max, s",
                f"{p50:.1f} / {p99:.1f} / {ours.recoveries_s[-1]:.1f}",
            )
        )
    return rows


def _book(sample: int, *, joined: bool) -> str:
    return "sample.jsonl" if sample else "joined.jsonl" if joined else "points.jsonl"


UNTESTED = [
    "A power cut of the machine itself; Redis' log is cut at bytes after each answer instead (test_power_cut.py).",
    "Crash points under Redis 7 and later, and of more than one agent at a time (random kills are, in `make chaos`).",
]


def _print(rows: Sequence[Row]) -> None:
    for row in rows:
        print(f"{row.name:62} {row.ours!s:>20} {row.plain!s:>6}")


def main(*, lanes: int, sample: int, seed: int, fresh: bool, joined: bool = False) -> bool:
    """Run the enumeration, or a sample of it; tell whether all held.

    Args:
        lanes: How many points at a time.
        sample: How many points, drawn by seed; 0 for all.
        seed: Of the draw.
        joined: Only a worker's sends in the two steps that join on demand.
        fresh: Forget what an earlier run found.
    """
    began = time.monotonic()
    print(f"crash: seed {seed}")
    book = Book.open(FOLDER / _book(sample, joined=joined), fresh=fresh or bool(sample))
    running = Lanes(lanes, FOLDER)
    series: list[Series] = []

    def told(result: Result) -> None:
        book.add(replace(result, trace=()))
        for each in series:
            if each.holds(result.point) and not result.reached:
                each.ended = True
        mark = "lost" if result.lost else "WRONG" if result.wrong else "held" if result.reached else "not reached"
        print(f"{result.point.name}  {mark:11} {max(result.recovery_s, 0):5.1f} s  {result.what}", flush=True)
        for name, found in result.wrong.items() if result.point.system == "jitprov" else ():
            print(f"    {name}: {'; '.join(found)}", flush=True)

    try:
        if sample:
            running.run(iter(some_points(running, sample, seed)), told)
        else:
            series, points = joined_points(book) if joined else every_point(book, seed)
            running.run(points, told)
    finally:
        running.close()
    results = list(book.results.values())
    rows = rows_of(results)
    _print(rows)
    print(f"crash: {time.monotonic() - began:.0f} s")
    if joined:
        rows = [replace(row, plain="") for row in rows]  # the plain chain was not run
        record("crash_joined", command="make crash-joined", rows=rows, seed=seed)
    elif not sample:
        record("crash", command="make crash", rows=rows, untested=UNTESTED, seed=seed)
    ours, plain = figures_of(results, "jitprov"), figures_of(results, "plain")
    if joined:
        return ours.wrong == 0
    if not plain.lost:
        print("crash: the plain chain lost nobody, so this check does not bite")
    return ours.wrong == 0 and plain.lost > 0
