"""`python -m mutants`: switch each protection off, one at a time, and see who notices. Run it through make."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from queue import Queue

from mutants.mutations import MUTATIONS, Mutation
from mutants.scratch import Run, Scratch, scratch
from reliability.report import Row, record


def main() -> int:
    """Try the mutations; return 1 when one is noticed by nobody."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many of them, drawn by seed; 0 for all")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the sample")
    parser.add_argument("--only", default="", help="those whose name holds this")
    parser.add_argument("--lanes", type=int, default=2, help="how many at a time")
    given = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if given.only in mutation.name]
    if given.sample:
        print(f"seed {given.seed}")
        chosen = random.Random(given.seed).sample(chosen, min(given.sample, len(chosen)))
    began_s = time.monotonic()
    found: dict[str, Run] = {}
    with ExitStack() as opened, ThreadPoolExecutor(given.lanes) as pool:
        copies: Queue[Scratch] = Queue()
        for _ in range(given.lanes):
            copies.put(opened.enter_context(scratch()))

        def run(tests: Sequence[str], mutation: Mutation | None = None) -> Run:
            copy = copies.get()
            try:
                with copy.without(mutation) if mutation else nullcontext():
                    return copy.test(tests)
            finally:
                copies.put(copy)

        for healthy in pool.map(run, _together(chosen)):
            if healthy.caught:
                print(f"with everything on, {healthy.by} fails: mend that first")
                return 1
        print(f"with everything on, all hold; now {len(chosen)} without", flush=True)
        for mutation, tried in zip(chosen, pool.map(lambda each: run(each.tests, each), chosen), strict=True):
            found[mutation.name] = tried
            print(f"{'caught ' if tried.caught else 'MISSED '} {mutation.name}  ←  {tried.by}", flush=True)
    killed = sum(run.caught for run in found.values())
    print(f"{killed} of {len(found)} caught in {(time.monotonic() - began_s) / 60:.1f} minutes")
    if not given.sample and not given.only:
        caught_by = {name: run.by for name, run in found.items()}
        rows = [Row("protections switched off, caught by a test", f"{killed} of {len(found)}", bar="all")]
        record("mutants", command="make mutants", rows=rows, caught_by=caught_by)
    return 0 if killed == len(found) else 1


def _together(chosen: Sequence[Mutation]) -> list[tuple[str, ...]]:
    """Return all tests in few runs: those that are narrowed down each by themselves, the rest in one."""
    sets = sorted({mutation.tests for mutation in chosen})
    whole = sorted({file for tests in sets if "-k" not in tests for file in tests})
    return [*(tests for tests in sets if "-k" in tests), *([tuple(whole)] if whole else [])]


if __name__ == "__main__":
    sys.exit(main())
