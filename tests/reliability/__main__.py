"""`python -m reliability report`; run it through make."""

from __future__ import annotations

import argparse

from reliability.report import PAGE, publish


def main() -> None:
    """Run one suite."""
    parser = argparse.ArgumentParser(prog="reliability", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("report", help="write docs/reliability.md from the figures of the last runs")
    parser.parse_args()
    publish()
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
