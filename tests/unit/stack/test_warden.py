from __future__ import annotations

import os
from pathlib import Path

import pytest

from jitprov.stack import warden
from jitprov.stack.warden import Charge

OWN_GROUP = os.getpgrp()


def test_a_registered_group_is_ours() -> None:
    """A group whose leader started when it was registered is ended."""
    charge = Charge()
    charge.note(f"+{OWN_GROUP} {warden.started_ticks(OWN_GROUP) or 0}")

    assert charge.still_ours() == [OWN_GROUP]


def test_what_is_gone_is_forgotten() -> None:
    """A group that was taken from the list is not looked at again; forgetting twice is no harm."""
    charge = Charge()
    for line in ("+4711 17", "-4711", "-4711"):
        charge.note(line)

    assert charge.groups == {}


@pytest.mark.parametrize("line", ["", "+", "+x 1", "+1", "-", "dir", "dir 1 2", "dir x 2 /", "what"])
def test_a_senseless_line_stops_nothing(line: str) -> None:
    """A line that makes no sense changes nothing, and the lines after it still count."""
    charge = Charge()
    charge.note(line)
    charge.note("+4711 17")

    assert (charge.groups, charge.folders) == ({4711: 17}, {})


def test_a_throw_away_folder_goes(tmp_path: Path) -> None:
    """A registered folder is removed with all that is in it, spaces in its name included."""
    folder = tmp_path / "a throw-away"
    (folder / "deep").mkdir(parents=True)
    seen = folder.stat()
    left = warden.watch([f"dir {seen.st_dev} {seen.st_ino} {folder}\n".encode()], grace_s=0)

    assert left == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_took_over_the_name_stays(tmp_path: Path) -> None:
    """Another folder that bears the registered name by now is not touched."""
    folder = tmp_path / "taken-over"
    folder.mkdir()
    seen = folder.stat()

    warden.remove({str(folder): (seen.st_dev, seen.st_ino + 1), str(tmp_path / "absent"): (1, 1)})

    assert folder.is_dir()


def test_a_cut_line_is_left_out(tmp_path: Path) -> None:
    """A last line that the supervisor's death has cut is not obeyed: its path may be another folder's."""
    seen = tmp_path.stat()

    # Cut in the middle of the name of a folder beside it.
    warden.watch([f"dir {seen.st_dev} {seen.st_ino} {tmp_path}-".encode()], grace_s=0)

    assert tmp_path.is_dir()


def test_no_process_has_no_start() -> None:
    """A number that no process has gives None, not an error."""
    assert warden.started_ticks(2**22 + 1) is None
    assert warden.members(2**22 + 1) == []
