from __future__ import annotations

import os
from pathlib import Path

import pytest

from jitprov.errors import ConfigurationError
from jitprov.stack.folder import FolderLock, make_private, write_private


def test_one_stack_at_a_time(tmp_path: Path) -> None:
    """A second stack is refused at once, and is told the first one's process and what to do."""
    folder = tmp_path / "data"
    told = rf"process {os.getpid()}: stop that one, or set JITPROV_DATA_DIR"
    with FolderLock(folder), pytest.raises(ConfigurationError, match=told):
        FolderLock(folder).__enter__()
    with FolderLock(folder):
        pass


def test_what_a_killed_stack_left_is_waited_for(tmp_path: Path) -> None:
    """While processes of a dead stack still hold the folder, the next one waits, and then says so."""
    folder = tmp_path / "data"
    with FolderLock(folder):
        (folder / "stack.lock").write_text("999999999\n")
        with pytest.raises(ConfigurationError, match="process 999999999 has left behind"):
            FolderLock(folder, patience_s=0).__enter__()


def test_the_lock_is_held_by_whoever_inherited_it(tmp_path: Path) -> None:
    """The folder stays taken as long as anybody holds the lock's file descriptor."""
    folder = tmp_path / "data"
    with FolderLock(folder) as lock:
        inherited = os.dup(lock.fd)
    try:
        with pytest.raises(ConfigurationError):
            FolderLock(folder, patience_s=0).__enter__()
    finally:
        os.close(inherited)
    with FolderLock(folder):
        pass


def test_a_released_lock_has_no_descriptor(tmp_path: Path) -> None:
    """After its block the lock hands out nothing that could be inherited."""
    with FolderLock(tmp_path / "data") as lock:
        pass

    with pytest.raises(ValueError, match="not held"):
        _ = lock.fd


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    """A folder that cannot be made names the setting."""
    (tmp_path / "data").write_text("")

    with pytest.raises(ConfigurationError, match="JITPROV_DATA_DIR"):
        make_private(tmp_path / "data")


def test_a_foreign_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another user is refused."""
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)

    with pytest.raises(ConfigurationError, match="another user"):
        make_private(tmp_path)


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    """A private file is closed to others whatever stood there, and nothing half-written stays beside it."""
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    path.with_name("secret.new").write_text("half")

    write_private(path, "new")

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
