"""`python -m reliability crash | chaos | report`; run them through make."""

from __future__ import annotations

import argparse
import random
import sys

from reliability import chaos, crash
from reliability.report import PAGE, publish


def main() -> int:
    """Run one suite; 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="reliability", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    crashing = commands.add_parser("crash", help="kill each process at each send")
    crashing.add_argument("--sample", type=int, default=0, help="so many points drawn by seed, in place of all")
    crashing.add_argument("--lanes", type=int, default=3, help="points at a time")
    crashing.add_argument(
        "--joined", action="store_true", help="only a worker's sends in the steps that join on demand"
    )
    crashing.add_argument("--fresh", action="store_true", help="forget what an earlier run found")
    storming = commands.add_parser("chaos", help="kill processes at random while the API misbehaves")
    storming.add_argument("--quick", action="store_true", help="150 agents and 12 kills, about a minute")
    for each in (crashing, storming):
        each.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of whatever is drawn")
    commands.add_parser("report", help="write docs/reliability.md from the figures of the last runs")
    asked = parser.parse_args()
    if asked.command == "crash":
        how = {name: getattr(asked, name) for name in ("lanes", "sample", "seed", "fresh", "joined")}
        return 0 if crash.main(**how) else 1
    if asked.command == "chaos":
        size = chaos.QUICK if asked.quick else chaos.Size()
        return 0 if chaos.main(size, seed=asked.seed, published=not asked.quick) else 1
    publish()
    print(f"written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
