"""Ask pip-audit whether anything that the locks name has a known vulnerability; fail when it could not look.

pip-audit alone passes over what it cannot look up, and with --strict ends in a stack trace or a word about one package.
Exit codes: 0 nothing is known, 1 something is vulnerable, 2 it could not look, so nothing is known either way.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
CLEAN, VULNERABLE, NOT_LOOKED = 0, 1, 2
_ASK = ("--strict", "--disable-pip", "--require-hashes", "--progress-spinner=off", "--timeout=15", "--format=json")


def main(locks: Sequence[str]) -> int:
    """Audit the locks, print what came out in a sentence, return the exit code."""
    worst = CLEAN
    for lock in locks or LOCKS:
        done = subprocess.run(  # noqa: S603  the tool of this environment, on files of this project
            [Path(sys.executable).with_name("pip-audit"), *_ASK, "-r", ROOT / lock],
            capture_output=True,
            text=True,
            check=False,
        )
        code, told = judge(done.returncode, done.stdout, done.stderr)
        print(f"audit of {lock}: {told}", file=sys.stderr if code else sys.stdout)
        worst = max(worst, code)
    return worst


def judge(returned: int, out: str, err: str) -> tuple[int, str]:
    """Return exit code and sentence for what pip-audit said.

    Only its own list of all packages, none of them skipped, counts as having looked.
    """
    try:
        packages = json.loads(out)["dependencies"]
        skipped = [package["name"] for package in packages if "vulns" not in package]
        found = {f"{one['name']} {one['version']}": one["vulns"] for one in packages if one.get("vulns")}
    except (ValueError, KeyError, TypeError):
        cause = (err.strip() or f"it ended with code {returned}").splitlines()[-1]
        return NOT_LOOKED, _not_looked(cause)
    if found:
        lines = [f"{name}: {', '.join(vuln['id'] for vuln in vulns)}" for name, vulns in found.items()]
        return VULNERABLE, "\n  ".join(["known vulnerabilities:", *lines, "Raise what is named, then: make lock"])
    if skipped or not packages or returned:
        return NOT_LOOKED, _not_looked(f"skipped: {', '.join(skipped) or 'everything'}")
    return CLEAN, f"no vulnerability is known of its {len(packages)} packages"


def _not_looked(cause: str) -> str:
    return (
        "NOT AUDITED. The vulnerability data could not be had, so nothing is known about these packages.\n"
        f"  {cause[:300]}\n  Run it where the package index answers with its vulnerability data."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
