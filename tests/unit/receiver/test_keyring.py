"""Keys that change while the receiver runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from jitprov.errors import ConfigurationError
from jitprov.receiver.keyring import Keyring

MakeKeyring = Callable[[Callable[[], tuple[str, ...]]], Keyring]


@pytest.fixture
def make_keyring() -> Iterator[MakeKeyring]:
    """Keyrings that look when told to."""
    made: list[Keyring] = []
    marks = iter(range(1000))

    def make(read: Callable[[], tuple[str, ...]]) -> Keyring:
        made.append(Keyring(read, lambda: next(marks), every_s=3600))
        return made[-1]

    yield make
    for keyring in made:
        keyring.close()


def test_rotation(make_keyring: MakeKeyring) -> None:
    """A new key counts after one look, a removed one no more after two."""
    configured = ["old"]
    keyring = make_keyring(lambda: tuple(configured))
    configured[:] = ["old", "new"]
    keyring.look()
    assert set(keyring.keys()) == {"old", "new"}

    configured[:] = ["new"]
    keyring.look()
    assert set(keyring.keys()) == {"old", "new"}
    keyring.look()
    assert set(keyring.keys()) == {"new"}


def test_half_written_file(make_keyring: MakeKeyring) -> None:
    """A file that is empty or cut off for one look costs no right key."""
    configured = ["key"]
    keyring = make_keyring(lambda: tuple(configured))
    for seen in ([], ["key"], ["k"], ["key"]):
        configured[:] = seen
        keyring.look()
        assert "key" in set(keyring.keys())


def test_unreadable(make_keyring: MakeKeyring) -> None:
    """Keys that cannot be read stay as they are, for as long as it takes; then they are read again."""
    configured, broken = ["old"], False

    def read() -> tuple[str, ...]:
        if broken:
            msg = "another setting is wrong"
            raise ConfigurationError(msg)
        return tuple(configured)

    keyring = make_keyring(read)
    broken = True
    for _ in range(3):
        keyring.look()
    assert keyring.keys() == ("old",)
    configured, broken = ["new"], False
    keyring.look()
    keyring.look()
    assert keyring.keys() == ("new",)


def test_unchanged_files_are_not_read() -> None:
    """As long as the files are the same they are not read again."""
    reads: list[int] = []
    keyring = Keyring(lambda: (str(len(reads)), reads.append(1))[:1], lambda: "same", every_s=3600)
    for _ in range(5):
        keyring.look()
    keyring.close()

    assert len(reads) == 1


def test_unreadable_at_the_start() -> None:
    """Wrong settings at the start are told, not kept for later."""

    def read() -> tuple[str, ...]:
        msg = "wrong"
        raise ConfigurationError(msg)

    with pytest.raises(ConfigurationError):
        Keyring(read, lambda: 0)


def test_a_change_that_could_not_be_read_is_read_later() -> None:
    """A look that fails, in reading or already in looking, neither ends the looking nor forgets the change."""
    configured, broken, mark = ["old"], "", 0

    def fail_if(where: str) -> None:
        if broken == where:
            raise OSError

    def read() -> tuple[str, ...]:
        fail_if("reading")
        return tuple(configured)

    def look() -> int:
        fail_if("looking")
        return mark

    keyring = Keyring(read, look, every_s=3600)
    configured, mark = ["new"], 1
    for where in ("looking", "reading", "reading"):
        broken = where
        keyring.look()
        assert set(keyring.keys()) == {"old"}
    broken = ""
    keyring.look()
    keyring.close()

    assert set(keyring.keys()) == {"old", "new"}
