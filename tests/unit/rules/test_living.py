"""Rules that follow their file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from builders import a_profile
from fixed_clock import FixedClock
from jitprov.errors import ConfigurationError
from jitprov.rules.living import LivingRules

FILE = "version: 1\nrules:\n  - name: {name}\n    skills: {{S: 1}}\n"


class Watched:
    """A rules file, and rules that follow it."""

    def __init__(self, path: Path, clock: FixedClock) -> None:
        self.path, self.clock = path, clock
        self.told: list[str | None] = []
        self.write("one")
        self.rules = LivingRules(path, clock.monotonic_s, self.told.append)

    def write(self, name: str) -> None:
        self.path.write_text(FILE.format(name=name))

    def seen(self, *, after_s: float = 2.0) -> str:
        self.clock.advance(after_s)
        return self.rules.wanted_for(a_profile()).rules[0]


@pytest.fixture
def watched(tmp_path: Path, clock: FixedClock) -> Watched:
    return Watched(tmp_path / "rules.yaml", clock)


def test_a_changed_file_is_taken_within_seconds(watched: Watched) -> None:
    """Two seconds after a change the new rules decide, under their own version; an unchanged file is not read."""
    before = watched.rules.in_force()
    assert watched.seen() == "one"
    assert watched.rules.in_force() is before

    watched.write("other")

    assert watched.seen(after_s=0.1) == "one"
    assert watched.seen(after_s=1.9) == "other"
    assert watched.rules.in_force().rules_version != before.rules_version
    assert watched.told == [None]


def test_a_wrong_file_is_not_taken_and_that_is_said(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is wrong, or gone, leaves the rules of before in force, once said aloud; mended, it is taken."""
    watched.path.write_text("version: 1\nrules: {}\n")
    with caplog.at_level(logging.ERROR):
        assert watched.seen() == watched.seen() == "one"
    assert [record.getMessage() for record in caplog.records] == ["rules_refused"]
    assert len(watched.told) == 1
    assert "rules.yaml:2: rules: must be a list" in str(watched.told[0])

    watched.path.unlink()
    assert watched.seen() == "one"
    assert "cannot be read" in str(watched.told[1])

    watched.write("mended")
    assert watched.seen() == "mended"
    assert watched.told[2:] == [None]


def test_a_wrong_file_at_the_start_is_refused(tmp_path: Path, clock: FixedClock) -> None:
    """There are no rules of before to go on with."""
    with pytest.raises(ConfigurationError):
        LivingRules(tmp_path / "absent.yaml", clock.monotonic_s)
