"""A power cut under Redis, as its log sees it: what was not synced when an answer came is gone, in part or whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builders import an_opening
from jitprov.ledger.redis import RedisLedger
from own_redis import OwnRedis

pytestmark = [pytest.mark.integration, pytest.mark.faults]

EVENTS = 20
CUTS = 60


def _log(folder: Path) -> Path:
    """Return the file that Redis appends to; from 7.0 on it lies in a folder."""
    files = [file for file in folder.rglob("appendonly*.aof") if ".base." not in file.name]
    return max(files, key=lambda file: file.name)


def test_what_was_answered_survives_a_cut_anywhere_after_it(own_redis: OwnRedis, tmp_path: Path) -> None:
    """Each event is in the log when its answer comes; cut at any byte after that, Redis starts, and has it."""
    ledger = RedisLedger.connect(own_redis.url, "jitprov:")
    log = _log(own_redis.folder)
    answered: list[tuple[int, str]] = []
    for _ in range(EVENTS):
        opening = an_opening()
        ledger.accept([opening], look_after_s=60)
        answered.append((log.stat().st_size, opening.event_id))
        assert opening.event_id.encode() in log.read_bytes()
    ledger.close()
    own_redis.kill()

    begin, end = answered[-3][0], answered[-1][0]
    step = max(1, (end - begin) // CUTS)
    cuts = sorted({*range(begin, end + 1, step), *(size + by for size, _ in answered[-3:-1] for by in (0, 1)), end})
    gone = 0
    for cut in cuts:
        folder = tmp_path / f"cut-{cut}"
        shutil.copytree(own_redis.folder, folder, ignore=shutil.ignore_patterns("cut-*", "*.log"))
        with _log(folder).open("r+b") as file:
            file.truncate(cut)
        again = OwnRedis(folder)
        again.start()
        after = RedisLedger.connect(again.url, "jitprov:")
        lost = [event_id for size, event_id in answered if size <= cut and after.find(event_id) is None]
        gone += any(size > cut and after.find(event_id) is None for size, event_id in answered)
        after.close()
        again.kill()
        shutil.rmtree(folder)
        assert lost == [], f"cut at {cut} of {end}"
    assert gone > CUTS / 2  # the cuts do take something away: what was not answered yet
