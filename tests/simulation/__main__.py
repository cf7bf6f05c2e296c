"""`python -m simulation`: more histories than the tests run, seed by seed. Run it through `make simulate`."""

from __future__ import annotations

import argparse
import sys
import time
from random import SystemRandom

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from reliability.report import Row, record
from simulation.test_histories import SHORT, History

_UNTESTED = [
    "A lost meter, in simulated histories: the meter's own drawn histories lose it (make test-meter).",
    "A meter set back to an older replica: a slot of the forgotten time may be used beside the one given anew.",
    "The two steps that join on demand, in simulated histories; they are in the crash points.",
]


def main() -> int:
    """Run rounds of histories until the time is up; return 1 at the first that fails, with its seed."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32), help="of the first round")
    parser.add_argument("--minutes", type=float, default=3.0, help="no round begins later")
    parser.add_argument("--histories", type=int, default=1000, help="of one round")
    parser.add_argument("--no-shrinking", action="store_true", help="tell the first failure as it came")
    given = parser.parse_args()
    began_s, done, at = time.monotonic(), 0, given.seed
    phases = [Phase.generate] if given.no_shrinking else [Phase.generate, Phase.shrink]
    chosen = settings(SHORT, max_examples=given.histories, derandomize=False, database=None, phases=phases)
    while not done or time.monotonic() - began_s < given.minutes * 60:
        print(f"seed {at}: {given.histories} histories", flush=True)
        try:
            run_state_machine_as_test(seed(at)(History), settings=chosen)
        except Exception:  # whatever it is: the seed must be told
            print(f"\nfailed; again: make simulate SIMULATE_ARGS='--seed {at} --minutes 0'\n", flush=True)
            raise
        done, at = done + given.histories, at + 1
    took_min = (time.monotonic() - began_s) / 60
    print(f"{done:,} histories held, {done / took_min:,.0f} a minute; seeds {given.seed} to {at - 1}")
    rows = [
        Row("histories", done),
        Row("moves of each, at most", SHORT.stateful_step_count),
        Row("a minute", round(done / took_min)),
        Row("histories after which something did not hold", 0, bar="0"),
    ]
    record("simulation", command=f"make simulate SIMULATE_ARGS='--seed {given.seed}'", rows=rows, untested=_UNTESTED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
