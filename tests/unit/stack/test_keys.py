from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from jitprov.errors import ConfigurationError
from jitprov.settings import KEY_CHARS_MIN
from jitprov.stack.keys import Keys, keep_keys


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_keys_are_made_once(data_dir: Path) -> None:
    """The next start finds the keys of the first, and two folders share none."""
    first = keep_keys(data_dir)

    assert keep_keys(data_dir).values() == first.values()
    assert not set(first.values()) & set(keep_keys(data_dir.with_name("other")).values())


def test_keys_are_long_and_distinct(data_dir: Path) -> None:
    """Each key is a secret of its own, long enough for the receiver to take it."""
    values = keep_keys(data_dir).values()

    assert len(set(values)) == len(fields(Keys)) == 7
    assert min(map(len, values)) >= KEY_CHARS_MIN


def test_keys_are_for_this_user_alone(data_dir: Path) -> None:
    """Folder and file are closed to everyone else, and the keys do not show when printed."""
    keys = keep_keys(data_dir)

    assert (mode(data_dir), mode(data_dir / "keys.json")) == (0o700, 0o600)
    assert not [value for value in keys.values() if value in repr(keys)]


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_a_readable_file_is_refused(data_dir: Path, bits: int) -> None:
    """Keys that others could have read are not used; the error says what to do and shows none."""
    keys = keep_keys(data_dir)
    (data_dir / "keys.json").chmod(bits)

    with pytest.raises(ConfigurationError, match="Remove it") as caught:
        keep_keys(data_dir)
    assert not [value for value in keys.values() if value in str(caught.value)]


@pytest.mark.parametrize("bits", [0o750, 0o705, 0o777])
def test_an_open_folder_is_refused(data_dir: Path, bits: int) -> None:
    """A folder that others can enter is refused and left as it is, never narrowed behind its owner's back."""
    data_dir.mkdir()
    data_dir.chmod(bits)

    with pytest.raises(ConfigurationError, match="chmod 700"):
        keep_keys(data_dir)
    assert mode(data_dir) == bits
    assert list(data_dir.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"webhook_key": 7}'])
def test_a_damaged_file_is_refused(data_dir: Path, content: str) -> None:
    """A damaged file is told and kept: replacing it in silence would lock every sender out."""
    keep_keys(data_dir)
    (data_dir / "keys.json").write_text(content)

    with pytest.raises(ConfigurationError, match="Remove it"):
        keep_keys(data_dir)
    assert (data_dir / "keys.json").read_text() == content


def test_a_link_is_not_followed(data_dir: Path) -> None:
    """A link in place of the file is refused."""
    keep_keys(data_dir)
    real = data_dir / "keys.json"
    real.rename(data_dir / "elsewhere.json")
    real.symlink_to(data_dir / "elsewhere.json")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        keep_keys(data_dir)


def test_a_missing_key_is_added(data_dir: Path) -> None:
    """A file of an earlier version keeps its keys and gets the new ones."""
    first = keep_keys(data_dir)
    path = data_dir / "keys.json"
    kept = json.loads(path.read_text())
    del kept["operator_key"]
    path.write_text(json.dumps(kept))

    again = keep_keys(data_dir)

    assert again.webhook_key == first.webhook_key
    assert again.operator_key != first.operator_key
    assert again == keep_keys(data_dir)
    assert mode(path) == 0o600
